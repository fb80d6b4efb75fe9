// Reads the convolution pipe's registers (CDMA, CSC, CMAC, CACC) into one layer. Fact sheet sections 1.5, 2.1, 2.2, 3.
// Not the numerics: engine/conv.ts. Not what the convolution buffer keeps between layers: conv-buffer.ts.
import { checkConv, convLayout, winogradChannels, type ConvParams } from '../engine/conv-params.js';
import { pixelLayout } from '../engine/pixels.js';
import { address, Refused, type Plan } from './plan.js';

export interface ConvShape {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Channels of a group of results. */
  readonly atom: number;
  /** 0 int8, 1 int16, 2 fp16. */
  readonly precision: number;
  /** Cubes of this shape. */
  readonly batches: number;
  readonly winograd: boolean;
}

type OutputShape = Omit<ConvShape, 'batches' | 'winograd'>;

/** Writes the layer's block. Returns the shape of its output. */
export function planConv(plan: Plan): ConvShape {
  checkModes(plan);
  const shape = outputShape(plan);
  const read = readParams(plan, shape);
  checkBuffer(plan, read);
  if (read.winograd !== 0) checkExtended(plan, read);
  // Compressed weights have their bytes only once they are expanded.
  if (plan.units.CDMA.get('D_WEIGHT_FORMAT', 'WEIGHT_FORMAT') === 0) checkConv(read);
  const buffer = plan.convBuffer.plan(plan, read);
  const { skipped } = plan.convBuffer;
  const params = { ...read, ...(skipped.weights ? {} : mapWeights(plan, read)), ...buffer };
  // Compressed ones are expanded to where they stay.
  if (params.weightKeep !== 0 && params.weightBits !== 0) params.weightAddress = params.weightKeep;
  checkConv(params);
  // What CDMA fetches is `read`; what CSC sees may begin with a former layer's lines.
  plan.writer.block(convLayout, { ...params, ...(skipped.data ? {} : mapInput(plan, read)) });
  return { ...shape, batches: params.batches, winograd: params.winograd !== 0 };
}

function checkModes(plan: Plan): void {
  const { CDMA, CSC, CMAC_A, CMAC_B, CACC } = plan.units;
  const precision = plan.precision('CDMA', CDMA.get('D_MISC_CFG', 'PROC_PRECISION'));
  const mode = CDMA.get('D_MISC_CFG', 'CONV_MODE');
  plan.precision('CDMA input', CDMA.get('D_MISC_CFG', 'IN_PRECISION'));
  for (const unit of [CSC, CMAC_A, CMAC_B, CACC]) {
    if (unit.get('D_MISC_CFG', 'PROC_PRECISION') !== precision)
      throw new Refused(`${unit.name} and CDMA differ in precision`);
    if (unit.get('D_MISC_CFG', 'CONV_MODE') !== mode)
      throw new Refused(`${unit.name} and CDMA differ in mode: one is Winograd's`);
  }
  if (mode !== 0 && !plan.config.winograd) throw new Refused(`CDMA: ${plan.config.name} has no Winograd`);
  if (mode !== 0 && CDMA.get('D_DATAIN_FORMAT', 'DATAIN_FORMAT') !== 0)
    throw new Refused('CDMA: Winograd is for feature cubes');
  const compressed = CDMA.get('D_WEIGHT_FORMAT', 'WEIGHT_FORMAT');
  if (compressed !== 0 && !plan.config.weightCompression)
    throw new Refused(`CDMA: ${plan.config.name} has no weight decompression`);
  if (CSC.get('D_WEIGHT_FORMAT', 'WEIGHT_FORMAT') !== compressed)
    throw new Refused('CDMA and CSC differ in the format of weights');
  const batches = CDMA.get('D_BATCH_NUMBER', 'BATCHES') + 1;
  if (
    CSC.get('D_BATCH_NUMBER', 'BATCHES') + 1 !== batches ||
    CACC.get('D_BATCH_NUMBER', 'BATCHES') + 1 !== batches
  )
    throw new Refused('CDMA, CSC and CACC differ in batches');
  if (batches > plan.config.maxBatch)
    throw new Refused(`CDMA: ${batches} cubes at once, ${plan.config.name} takes ${plan.config.maxBatch}`);
  if (batches > 1 && CDMA.get('D_DATAIN_FORMAT', 'DATAIN_FORMAT') !== 0)
    throw new Refused('CDMA: batches are for feature cubes');
}

/** CSC, CACC and SDP must agree on what comes out. */
function outputShape(plan: Plan): OutputShape {
  const { CSC, CACC } = plan.units;
  const csc = {
    width: CSC.get('D_DATAOUT_SIZE_0', 'DATAOUT_WIDTH') + 1,
    height: CSC.get('D_DATAOUT_SIZE_0', 'DATAOUT_HEIGHT') + 1,
    channels: CSC.get('D_DATAOUT_SIZE_1', 'DATAOUT_CHANNEL') + 1,
  };
  const cacc = {
    width: CACC.get('D_DATAOUT_SIZE_0', 'DATAOUT_WIDTH') + 1,
    height: CACC.get('D_DATAOUT_SIZE_0', 'DATAOUT_HEIGHT') + 1,
    channels: CACC.get('D_DATAOUT_SIZE_1', 'DATAOUT_CHANNEL') + 1,
  };
  const kernels = CSC.get('D_WEIGHT_SIZE_EXT_1', 'WEIGHT_KERNEL') + 1;
  if (csc.width !== cacc.width || csc.height !== cacc.height || csc.channels !== cacc.channels) {
    throw new Refused(`CSC gives ${text(csc)}, CACC expects ${text(cacc)}`);
  }
  if (kernels !== csc.channels) throw new Refused(`CSC: ${kernels} kernels for ${csc.channels} channels`);
  const precision = CSC.get('D_MISC_CFG', 'PROC_PRECISION');
  return { ...csc, atom: plan.elements(precision), precision };
}

export function text(shape: Pick<ConvShape, 'width' | 'height' | 'channels'>): string {
  return `${shape.width}x${shape.height}x${shape.channels}`;
}

function readParams(plan: Plan, out: OutputShape): ConvParams {
  const { CDMA, CSC, CACC } = plan.units;
  const { config } = plan;
  const { precision, atom } = out;
  const input = CDMA.get('D_MISC_CFG', 'IN_PRECISION');
  const winograd = CDMA.get('D_MISC_CFG', 'CONV_MODE');
  return {
    input,
    precision,
    nanToZero: CDMA.get('D_NAN_FLUSH_TO_ZERO', 'NAN_TO_ZERO'),
    image: CDMA.get('D_DATAIN_FORMAT', 'DATAIN_FORMAT'),
    pixelFormat: CDMA.get('D_DATAIN_FORMAT', 'PIXEL_FORMAT'),
    pixelOffset: CDMA.get('D_PIXEL_OFFSET', 'PIXEL_X_OFFSET'),
    pixelSigned: CDMA.get('D_DATAIN_FORMAT', 'PIXEL_SIGN_OVERRIDE'),
    inputAddress: 0,
    inputAddress1: 0,
    pixelOffset1: 0,
    lineStride: CDMA.word(CDMA.table.D_LINE_STRIDE),
    lineStride1: CDMA.word(CDMA.table.D_LINE_UV_STRIDE),
    surfaceStride: CDMA.word(CDMA.table.D_SURF_STRIDE),
    batchStride: CDMA.word(CDMA.table.D_BATCH_STRIDE),
    width: CDMA.get('D_DATAIN_SIZE_0', 'DATAIN_WIDTH') + 1,
    height: CDMA.get('D_DATAIN_SIZE_0', 'DATAIN_HEIGHT') + 1,
    channels: CDMA.get('D_DATAIN_SIZE_1', 'DATAIN_CHANNEL') + 1,
    batches: CDMA.get('D_BATCH_NUMBER', 'BATCHES') + 1,
    kernelWidth: CSC.get('D_WEIGHT_SIZE_EXT_0', 'WEIGHT_WIDTH_EXT') + 1,
    kernelHeight: CSC.get('D_WEIGHT_SIZE_EXT_0', 'WEIGHT_HEIGHT_EXT') + 1,
    kernelChannels: CSC.get('D_WEIGHT_SIZE_EXT_1', 'WEIGHT_CHANNEL_EXT') + 1,
    kernels: out.channels,
    dilationX: CSC.get('D_DILATION_EXT', 'X_DILATION_EXT') + 1,
    dilationY: CSC.get('D_DILATION_EXT', 'Y_DILATION_EXT') + 1,
    ...edges(plan, winograd),
    rowsAddress: 0,
    rowsFrom: 0,
    rowsKept: 0,
    weightKeep: 0,
    weightAddress: 0,
    weightBytes: CDMA.word(CDMA.table.D_WEIGHT_BYTES),
    weightBits: 0,
    weightSizes: 0,
    weightPacked: 0,
    weightPackedBytes: 0,
    jointRows: 1 << CSC.get('D_POST_Y_EXTENSION', 'Y_EXTENSION'),
    atomicC: config.atomicC,
    // A cell computes two kernels of int8, or one of 16 bits.
    atomicK: config.atomicK / (precision === 0 ? 1 : 2),
    atom,
    inputAtom: plan.elements(input),
    cvt: CDMA.get('D_CVT_CFG', 'CVT_EN'),
    cvtOffset: CDMA.signed('D_CVT_OFFSET', 'CVT_OFFSET'),
    cvtScale: CDMA.signed('D_CVT_SCALE', 'CVT_SCALE'),
    cvtTruncate: CDMA.get('D_CVT_CFG', 'CVT_TRUNCATE'),
    mean: CDMA.get('D_MEAN_FORMAT', 'MEAN_FORMAT'),
    mean0: CDMA.signed('D_MEAN_GLOBAL_0', 'MEAN_RY'),
    mean1: CDMA.signed('D_MEAN_GLOBAL_0', 'MEAN_GU'),
    mean2: CDMA.signed('D_MEAN_GLOBAL_1', 'MEAN_BV'),
    mean3: CDMA.signed('D_MEAN_GLOBAL_1', 'MEAN_AX'),
    winograd,
    praTruncate: CSC.get('D_PRA_CFG', 'PRA_TRUNCATE'),
    clipTruncate: CACC.get('D_CLIP_CFG', 'CLIP_TRUNCATE'),
    outWidth: out.width,
    outHeight: out.height,
  };
}

/** Strides and padding: CSC's, but CDMA's for Winograd, whose extended cube CDMA makes. */
function edges(
  plan: Plan,
  winograd: number,
): Pick<ConvParams, 'strideX' | 'strideY' | 'padLeft' | 'padTop' | 'padValue'> {
  const { CDMA, CSC } = plan.units;
  if (winograd === 0)
    return {
      strideX: CSC.get('D_CONV_STRIDE_EXT', 'CONV_X_STRIDE_EXT') + 1,
      strideY: CSC.get('D_CONV_STRIDE_EXT', 'CONV_Y_STRIDE_EXT') + 1,
      padLeft: CSC.get('D_ZERO_PADDING', 'PAD_LEFT'),
      padTop: CSC.get('D_ZERO_PADDING', 'PAD_TOP'),
      padValue: CSC.signed('D_ZERO_PADDING_VALUE', 'PAD_VALUE'),
    };
  return {
    strideX: CDMA.get('D_CONV_STRIDE', 'CONV_X_STRIDE') + 1,
    strideY: CDMA.get('D_CONV_STRIDE', 'CONV_Y_STRIDE') + 1,
    padLeft: CDMA.get('D_ZERO_PADDING', 'PAD_LEFT'),
    padTop: CDMA.get('D_ZERO_PADDING', 'PAD_TOP'),
    padValue: CDMA.signed('D_ZERO_PADDING_VALUE', 'PAD_VALUE'),
  };
}

/** Winograd's extended cube: CDMA makes what CSC takes, whole tiles, all of it in the buffer before the first product. */
function checkExtended(plan: Plan, params: ConvParams): void {
  const { CDMA, CSC } = plan.units;
  const { strideX, strideY, width, height, outWidth, outHeight } = params;
  const padded = {
    width: width + params.padLeft + CDMA.get('D_ZERO_PADDING', 'PAD_RIGHT'),
    height: height + params.padTop + CDMA.get('D_ZERO_PADDING', 'PAD_BOTTOM'),
  };
  const extended = {
    width: CSC.get('D_DATAIN_SIZE_EXT_0', 'DATAIN_WIDTH_EXT') + 1,
    height: CSC.get('D_DATAIN_SIZE_EXT_0', 'DATAIN_HEIGHT_EXT') + 1,
    channels: CSC.get('D_DATAIN_SIZE_EXT_1', 'DATAIN_CHANNEL_EXT') + 1,
  };
  if (padded.width % (4 * strideX) !== 0 || padded.height % (4 * strideY) !== 0)
    throw new Refused(
      `CDMA: ${padded.width}x${padded.height} padded inputs, Winograd takes multiples of ${4 * strideX}x${4 * strideY}`,
    );
  const made = {
    width: padded.width / strideX,
    height: padded.height / strideY,
    channels: winogradChannels(params),
  };
  if (text(made) !== text(extended))
    throw new Refused(`CSC expects ${text(extended)}, CDMA makes ${text(made)}`);
  if (outWidth + 2 > made.width || outHeight + 2 > made.height)
    throw new Refused(
      `CSC: ${outWidth}x${outHeight} outputs of ${text(made)}: two less in each direction at most`,
    );
  const { bytesPerEntry, entriesPerBank } = plan.config.cbuf;
  const bank = entriesPerBank * bytesPerEntry;
  const banks = CDMA.get('D_BANK', 'DATA_BANK') + 1;
  const bytes = made.width * made.height * made.channels * (params.precision === 0 ? 1 : 2);
  if (bytes > banks * bank)
    throw new Refused(`CDMA: Winograd's ${bytes} bytes of input do not fit ${banks} data banks`);
}

/** Data and weights share the convolution buffer; the lines under a kernel, and a group of kernels, must fit their parts. */
function checkBuffer(plan: Plan, params: ConvParams): void {
  const { CDMA, CSC } = plan.units;
  const { banks, bytesPerEntry, entriesPerBank } = plan.config.cbuf;
  const dataBanks = CDMA.get('D_BANK', 'DATA_BANK') + 1;
  const weightBanks = CDMA.get('D_BANK', 'WEIGHT_BANK') + 1;
  if (
    CSC.get('D_BANK', 'DATA_BANK') + 1 !== dataBanks ||
    CSC.get('D_BANK', 'WEIGHT_BANK') + 1 !== weightBanks
  ) {
    throw new Refused('CDMA and CSC divide the convolution buffer differently');
  }
  // The masks of compressed weights have the last bank.
  const compressed = CDMA.get('D_WEIGHT_FORMAT', 'WEIGHT_FORMAT') !== 0;
  const free = banks - (compressed ? 1 : 0);
  if (dataBanks + weightBanks > free) {
    throw new Refused(`CDMA: ${dataBanks} data and ${weightBanks} weight banks, there are ${free}`);
  }
  const { kernelWidth, kernelHeight, kernelChannels, kernels } = params;
  const bank = entriesPerBank * bytesPerEntry;
  // Products need all lines that a kernel spans.
  const lines = Math.min(params.height, (kernelHeight - 1) * params.dilationY + 1);
  const bytes = params.precision === 0 ? 1 : 2;
  const elements = plan.elements(params.precision);
  const pixel =
    bytes * (params.image === 0 ? Math.ceil(params.channels / elements) * elements : params.channels);
  const line = params.width * pixel * params.batches;
  if (lines * line > dataBanks * bank) {
    throw new Refused(`CDMA: ${lines} lines of ${line} bytes do not fit ${dataBanks} data banks`);
  }
  const group = Math.min(kernels, params.atomicK) * kernelWidth * kernelHeight * kernelChannels * bytes;
  if (!compressed && group > weightBanks * bank) {
    throw new Refused(`CDMA: a kernel group of ${group} bytes does not fit ${weightBanks} weight banks`);
  }
}

/** The weights, or what they are expanded from and room for the result. */
function mapWeights(plan: Plan, params: ConvParams): Partial<ConvParams> {
  const { CDMA } = plan.units;
  const { table } = CDMA;
  const ram = CDMA.get('D_WEIGHT_RAM_TYPE', 'WEIGHT_RAM_TYPE');
  const { weightBytes, kernels } = params;
  const map = (high: number, low: number, bytes: number): number =>
    plan.map(address(high, low), bytes, 'read', ram);
  const weights = map(CDMA.word(table.D_WEIGHT_ADDR_HIGH), CDMA.word(table.D_WEIGHT_ADDR_LOW), weightBytes);
  if (CDMA.get('D_WEIGHT_FORMAT', 'WEIGHT_FORMAT') === 0) return { weightAddress: weights };
  const elements = kernels * params.kernelHeight * params.kernelWidth * params.kernelChannels;
  const bits = CDMA.word(table.D_WMB_BYTES);
  if (bits * 8 < elements) throw new Refused(`CDMA: ${bits} bytes of mask for ${elements} weights`);
  const bytes = elements * (params.precision === 0 ? 1 : 2);
  const groups = Math.ceil(kernels / params.atomicK);
  return {
    weightAddress: plan.buffer(bytes),
    weightBytes: bytes,
    weightBits: map(CDMA.word(table.D_WMB_ADDR_HIGH), CDMA.word(table.D_WMB_ADDR_LOW), bits),
    weightSizes: map(CDMA.word(table.D_WGS_ADDR_HIGH), CDMA.word(table.D_WGS_ADDR_LOW), groups * 4),
    weightPacked: weights,
    weightPackedBytes: weightBytes,
  };
}

function mapInput(plan: Plan, params: ConvParams): Partial<ConvParams> {
  const { CDMA } = plan.units;
  const { table } = CDMA;
  const input = address(CDMA.word(table.D_DAIN_ADDR_HIGH_0), CDMA.word(table.D_DAIN_ADDR_LOW_0));
  const { width, height, channels, lineStride, lineStride1, surfaceStride, pixelOffset } = params;
  const ram = CDMA.get('D_DAIN_RAM_TYPE', 'DATAIN_RAM_TYPE');
  if (params.image === 0) {
    const surfaces = Math.ceil(channels / params.inputAtom);
    const line = width * plan.config.atom;
    const cubes = (params.batches - 1) * params.batchStride;
    const bytes = cubes + (surfaces - 1) * surfaceStride + (height - 1) * lineStride + line;
    return { inputAddress: plan.map(input, bytes, 'read', ram) };
  }
  const layout = pixelLayout(params.pixelFormat);
  const pixels = pixelOffset + width;
  const inputAddress = plan.map(input, (height - 1) * lineStride + pixels * layout.pixelBytes, 'read', ram);
  if (layout.planes === 1) return { inputAddress };
  const second = address(CDMA.word(table.D_DAIN_ADDR_HIGH_1), CDMA.word(table.D_DAIN_ADDR_LOW_1));
  // U and V alternate in the second plane. Its address is of the atom that the offset leads to, as the first plane's is.
  const pair = 2 * layout.elementBytes;
  const pixelOffset1 = ((pixelOffset * pair) % plan.config.atom) / pair;
  const bytes = (height - 1) * lineStride1 + (pixelOffset1 + width) * pair;
  return { inputAddress, inputAddress1: plan.map(second, bytes, 'read', ram), pixelOffset1 };
}
