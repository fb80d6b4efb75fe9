// Types of the kernel module's exports, as far as SDP, PDP, CDP, BDMA and RUBIK use them. Contracts are in kernels/nvdla.
// Not the convolution's: engine/conv.ts names its own.

export interface ProcessorKernels {
  widen8(src: number, dst: number, count: number): void;
  widen16(src: number, dst: number, count: number): void;
  widenPair16(first: number, second: number, dst: number, pixels: number, atom: number): void;
  fill32(dst: number, value: number, count: number): void;
  operands(
    src: number,
    dst: number,
    count: number,
    stride: number,
    bytes: number,
    offset: number,
    scale: number,
  ): void;
  stageX(
    tile: number,
    groups: number,
    lanes: number,
    alu: number,
    algo: number,
    mul: number,
    rate: number,
    prelu: number,
    relu: number,
  ): void;
  stageY(
    tile: number,
    groups: number,
    lanes: number,
    mul: number,
    truncate: number,
    prelu: number,
    alu: number,
    algo: number,
  ): number;
  chain8(
    src: number,
    bytes: number,
    dst: number,
    groups: number,
    lanes: number,
    alu1: number,
    mul1: number,
    relu1: number,
    two: number,
    alu2: number,
    mul2: number,
    relu2: number,
    offset: number,
    scale: number,
    live: number,
    still: number,
  ): void;
  chain16(
    src: number,
    bytes: number,
    dst: number,
    groups: number,
    lanes: number,
    alu1: number,
    mul1: number,
    relu1: number,
    two: number,
    alu2: number,
    mul2: number,
    relu2: number,
    offset: number,
    scale: number,
    live: number,
    still: number,
  ): void;
  operands64(
    src: number,
    dst: number,
    count: number,
    stride: number,
    bytes: number,
    offset: number,
    scale: number,
    rate: number,
  ): void;
  fill64(dst: number, value: number, count: number): void;
  convert8(tile: number, dst: number, count: number, offset: number, scale: number): void;
  convert16(
    tile: number,
    dst: number,
    second: number,
    lanes: number,
    count: number,
    offset: number,
    scale: number,
  ): void;
  convertHalf(
    tile: number,
    dst: number,
    second: number,
    lanes: number,
    count: number,
    offset: number,
    scale: number,
  ): void;
  halfToFloat(src: number, dst: number, count: number, nanToZero: number): void;
  floatToHalf(tile: number, dst: number, count: number, integer: number): void;
  floatOfHalf(half: number, nanToZero: number): number;
  flushNans(tile: number, count: number): void;
  operandsHalf(
    src: number,
    dst: number,
    count: number,
    stride: number,
    bytes: number,
    nanToZero: number,
  ): void;
  stageXHalf(
    tile: number,
    groups: number,
    lanes: number,
    alu: number,
    algo: number,
    mul: number,
    prelu: number,
    relu: number,
  ): void;
  stageYHalf(
    tile: number,
    groups: number,
    lanes: number,
    mul: number,
    prelu: number,
    alu: number,
    algo: number,
  ): number;
  lookupTileHalf(tile: number, count: number, lut: number): void;
  poolExtreme8(
    src: number,
    line: number,
    width: number,
    height: number,
    atom: number,
    dst: number,
    outWidth: number,
    top: number,
    kernelWidth: number,
    kernelHeight: number,
    stride: number,
    padLeft: number,
    minimum: number,
  ): void;
  poolExtreme16(
    src: number,
    line: number,
    width: number,
    height: number,
    atom: number,
    dst: number,
    outWidth: number,
    top: number,
    kernelWidth: number,
    kernelHeight: number,
    stride: number,
    padLeft: number,
    minimum: number,
  ): void;
  poolExtremeHalf(
    src: number,
    line: number,
    width: number,
    height: number,
    atom: number,
    dst: number,
    outWidth: number,
    top: number,
    kernelWidth: number,
    kernelHeight: number,
    stride: number,
    padLeft: number,
    minimum: number,
    nanToZero: number,
  ): void;
  poolAverage8(
    src: number,
    line: number,
    width: number,
    height: number,
    atom: number,
    dst: number,
    outWidth: number,
    top: number,
    kernelWidth: number,
    kernelHeight: number,
    stride: number,
    padLeft: number,
    recipWidth: number,
    recipHeight: number,
    pads: number,
  ): void;
  copyCube(
    src: number,
    srcLine: number,
    srcSurface: number,
    dst: number,
    dstLine: number,
    dstSurface: number,
    bytes: number,
    lines: number,
    surfaces: number,
  ): void;
  contractCube(
    src: number,
    line: number,
    surface: number,
    column: number,
    width: number,
    height: number,
    surfaces: number,
    strideX: number,
    strideY: number,
    dst: number,
    outLine: number,
    outBlock: number,
    outSurface: number,
  ): void;
  splitCube(
    src: number,
    line: number,
    surface: number,
    width: number,
    height: number,
    channels: number,
    bytes: number,
    dst: number,
    outLine: number,
    outPlane: number,
  ): void;
  mergeCube(
    src: number,
    line: number,
    plane: number,
    width: number,
    height: number,
    channels: number,
    bytes: number,
    dst: number,
    outLine: number,
    outSurface: number,
  ): void;
  poolAverage16(
    src: number,
    line: number,
    width: number,
    height: number,
    atom: number,
    dst: number,
    outWidth: number,
    top: number,
    kernelWidth: number,
    kernelHeight: number,
    stride: number,
    padLeft: number,
    recipWidth: number,
    recipHeight: number,
    pads: number,
  ): void;
  poolAverageHalf(
    src: number,
    line: number,
    width: number,
    height: number,
    atom: number,
    dst: number,
    outWidth: number,
    top: number,
    kernelWidth: number,
    kernelHeight: number,
    stride: number,
    padLeft: number,
    recipWidth: number,
    recipHeight: number,
    pads: number,
    nanToZero: number,
  ): void;
  lookupTile(tile: number, count: number, lut: number): void;
  cdpConvert(
    tile: number,
    pixels: number,
    atom: number,
    lanes: number,
    offset: number,
    scale: number,
    shift: number,
    bits: number,
  ): void;
  cdpSurface8(
    u: number,
    surface: number,
    surfaces: number,
    pixels: number,
    atom: number,
    reach: number,
    sumBypass: number,
    mulBypass: number,
    lut: number,
    offset: number,
    scale: number,
    shift: number,
    dst: number,
  ): void;
  cdpSurface16(
    u: number,
    surface: number,
    surfaces: number,
    pixels: number,
    atom: number,
    reach: number,
    sumBypass: number,
    mulBypass: number,
    lut: number,
    offset: number,
    scale: number,
    shift: number,
    dst: number,
  ): void;
  cdpSquareHalf(
    src: number,
    tile: number,
    squares: number,
    pixels: number,
    atom: number,
    lanes: number,
    square: number,
    nanToZero: number,
  ): void;
  cdpSurfaceHalf(
    tile: number,
    squares: number,
    surface: number,
    surfaces: number,
    pixels: number,
    atom: number,
    reach: number,
    sumBypass: number,
    mulBypass: number,
    lut: number,
    dst: number,
  ): void;
}
