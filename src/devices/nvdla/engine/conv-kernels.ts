// Types of the kernel module's exports that the convolution uses. Contracts are in kernels/nvdla/conv-*.ts.
// Not those of SDP, PDP and CDP: kernels.ts.

export interface ConvKernels {
  convElement10(
    src: number,
    step: number,
    low: number,
    bits: number,
    channels: number,
    dst: number,
    count: number,
  ): void;
  convExpand(
    bits: number,
    sizes: number,
    packed: number,
    packedBytes: number,
    dst: number,
    kernels: number,
    elements: number,
    atomicK: number,
    bytes: number,
  ): number;
  convFill(dst: number, value: number, count: number): void;
  convFeatures(
    src: number,
    line: number,
    surface: number,
    step: number,
    atom: number,
    channels: number,
    table: number,
    y: number,
    everyY: number,
    height: number,
    dst: number,
    rowBytes: number,
    lines: number,
    pixels: number,
    left: number,
    right: number,
    pad: number,
  ): void;
  convFeatures16(
    src: number,
    line: number,
    surface: number,
    step: number,
    atom: number,
    channels: number,
    converter: number,
    y: number,
    everyY: number,
    height: number,
    dst: number,
    rowBytes: number,
    lines: number,
    pixels: number,
    left: number,
    right: number,
    pad: number,
  ): void;
  convConverter(
    dst: number,
    half: number,
    signed: number,
    scale: number,
    shift: number,
    precision: number,
    offset0: number,
    offset1: number,
    offset2: number,
    offset3: number,
  ): void;
  convConvert(at: number, count: number, converter: number, channels: number): void;
  convElement16(src: number, step: number, channels: number, dst: number, count: number): void;
  convTable(
    dst: number,
    enabled: number,
    signed: number,
    offset: number,
    scale: number,
    shift: number,
    precision: number,
  ): void;
  convElement(src: number, step: number, table: number, channels: number, dst: number, count: number): void;
  convPixels(
    src: number,
    elements: number,
    channels: number,
    order: number,
    dst: number,
    count: number,
    signed: number,
    offset0: number,
    offset1: number,
    offset2: number,
    offset3: number,
    scale: number,
    shift: number,
  ): number;
  convPack(
    dst: number,
    table: number,
    first: number,
    last: number,
    weights: number,
    kernels: number,
    atomicK: number,
    atomicC: number,
    channels: number,
    rows: number,
    columns: number,
    joint: number,
    rowBytes: number,
    columnBytes: number,
    flat: number,
    maxRuns: number,
    bytes: number,
  ): number;
  convTiles(
    dst: number,
    rows: number,
    columns: number,
    stepX: number,
    stepY: number,
    pixel: number,
    outRow: number,
  ): number;
  convPanels(
    table: number,
    first: number,
    panels: number,
    a: number,
    tiles: number,
    lastTile: number,
    out: number,
    outSurface: number,
    atom: number,
    shift: number,
  ): void;
  convPanels16(
    table: number,
    first: number,
    panels: number,
    a: number,
    tiles: number,
    lastTile: number,
    out: number,
    outSurface: number,
    atom: number,
    shift: number,
    largest: number,
  ): number;
  convLargest(at: number, count: number): number;
  convDecodeHalf(src: number, dst: number, count: number): number;
  convPackHalf(dst: number, weights: number, size: number, segments: number, lengths: number): number;
  convHalf(
    packed: number,
    segments: number,
    table: number,
    a: number,
    tiles: number,
    lastTile: number,
    out: number,
    live: number,
    nans: number,
    work: number,
  ): void;
  convHalfWork(): number;
  convNansHalf(at: number, count: number): number;
  convWord(at: number, value: number): void;
  convSegments(
    a: number,
    rowBytes: number,
    columnBytes: number,
    atomicC: number,
    channels: number,
    rows: number,
    columns: number,
    joint: number,
    lengths: number,
    dst: number,
  ): number;
  convDot(
    weights: number,
    kernels: number,
    atomicK: number,
    segments: number,
    lengths: number,
    a: number,
    out: number,
    outSurface: number,
    atom: number,
    shift: number,
  ): void;
  convDotWide(
    weights: number,
    kernels: number,
    atomicK: number,
    segments: number,
    lengths: number,
    a: number,
    out: number,
    outSurface: number,
    atom: number,
    shift: number,
    bytes: number,
  ): number;
  convLargestKernel(
    weights: number,
    kernels: number,
    atomicK: number,
    atomicC: number,
    channels: number,
    rows: number,
    columns: number,
    joint: number,
    bytes: number,
  ): number;
  convPreAdd(
    src: number,
    rowBytes: number,
    pixel: number,
    channels: number,
    tiles: number,
    dst: number,
    plane: number,
    tile: number,
    shift: number,
    most: number,
    work: number,
  ): void;
  convPackWinograd(
    dst: number,
    first: number,
    last: number,
    weights: number,
    kernels: number,
    atomicK: number,
    channels: number,
    bytes: number,
  ): void;
  convProducts(
    a: number,
    plane: number,
    tile: number,
    tiles: number,
    panel: number,
    channels: number,
    out: number,
  ): void;
  convProductsWide(
    a: number,
    plane: number,
    tile: number,
    tiles: number,
    panel: number,
    channels: number,
    out: number,
  ): void;
  convPostAdd(
    products: number,
    plane: number,
    tiles: number,
    out: number,
    pixel: number,
    row: number,
    shift: number,
  ): void;
  convPostAddWide(
    products: number,
    plane: number,
    tiles: number,
    out: number,
    pixel: number,
    row: number,
    shift: number,
  ): number;
  convPreAddHalf(
    src: number,
    rowBytes: number,
    pixel: number,
    channels: number,
    tiles: number,
    dst: number,
    plane: number,
    tile: number,
    work: number,
  ): void;
  convWinogradHalf(
    packed: number,
    blocks: number,
    a: number,
    plane: number,
    tile: number,
    tiles: number,
    out: number,
    pixel: number,
    row: number,
    live: number,
    nans: number,
    work: number,
  ): void;
  convWinogradWork(): number;
}
