// Reads the convolution pipe's registers (CDMA, CSC, CMAC, CACC) into one layer. Fact sheet sections 1.5, 2.1, 2.2, 3.
// Not the numerics: engine/conv.ts. Not a fetch: the convolution buffer's contents are not kept between layers.
import { checkConv, convLayout, pixelLayout, type ConvParams } from '../engine/conv-params.js';
import { address, Refused, type Plan } from './plan.js';

export interface ConvShape {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Channels of a group of results. */
  readonly atom: number;
  /** 0 int8, 1 int16, 2 fp16. */
  readonly precision: number;
}

/** Writes the layer's block. Returns the shape of its output. */
export function planConv(plan: Plan): ConvShape {
  checkModes(plan);
  const shape = outputShape(plan);
  const params = readParams(plan, shape);
  checkBuffer(plan, params);
  checkConv(params);
  plan.writer.block(convLayout, { ...params, ...mapOperands(plan, params) });
  return shape;
}

function checkModes(plan: Plan): void {
  const { CDMA, CSC, CMAC_A, CMAC_B, CACC } = plan.units;
  const precision = plan.precision('CDMA', CDMA.get('D_MISC_CFG', 'PROC_PRECISION'));
  plan.precision('CDMA input', CDMA.get('D_MISC_CFG', 'IN_PRECISION'));
  for (const unit of [CSC, CMAC_A, CMAC_B, CACC]) {
    if (unit.get('D_MISC_CFG', 'PROC_PRECISION') !== precision)
      throw new Refused(`${unit.name} and CDMA differ in precision`);
    if (unit.get('D_MISC_CFG', 'CONV_MODE') !== 0)
      throw new Refused(`${unit.name}: Winograd is not modelled`);
  }
  if (CDMA.get('D_MISC_CFG', 'CONV_MODE') !== 0) throw new Refused('CDMA: Winograd is not modelled');
  if (CDMA.get('D_MISC_CFG', 'DATA_REUSE') !== 0 || CDMA.get('D_MISC_CFG', 'WEIGHT_REUSE') !== 0) {
    throw new Refused('CDMA: operands left in the buffer by an earlier layer are not modelled');
  }
  if (CDMA.get('D_WEIGHT_FORMAT', 'WEIGHT_FORMAT') !== 0)
    throw new Refused('CDMA: compressed weights are not modelled');
  if (CDMA.get('D_BATCH_NUMBER', 'BATCHES') !== 0) throw new Refused('CDMA: batches are not modelled');
}

/** CSC, CACC and SDP must agree on what comes out. */
function outputShape(plan: Plan): ConvShape {
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

function readParams(plan: Plan, out: ConvShape): ConvParams {
  const { CDMA, CSC, CACC } = plan.units;
  const { config } = plan;
  const { precision, atom } = out;
  const input = CDMA.get('D_MISC_CFG', 'IN_PRECISION');
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
    lineStride: CDMA.word(CDMA.table.D_LINE_STRIDE),
    lineStride1: CDMA.word(CDMA.table.D_LINE_UV_STRIDE),
    surfaceStride: CDMA.word(CDMA.table.D_SURF_STRIDE),
    batchStride: 0,
    width: CDMA.get('D_DATAIN_SIZE_0', 'DATAIN_WIDTH') + 1,
    height: CDMA.get('D_DATAIN_SIZE_0', 'DATAIN_HEIGHT') + 1,
    channels: CDMA.get('D_DATAIN_SIZE_1', 'DATAIN_CHANNEL') + 1,
    batches: 1,
    kernelWidth: CSC.get('D_WEIGHT_SIZE_EXT_0', 'WEIGHT_WIDTH_EXT') + 1,
    kernelHeight: CSC.get('D_WEIGHT_SIZE_EXT_0', 'WEIGHT_HEIGHT_EXT') + 1,
    kernelChannels: CSC.get('D_WEIGHT_SIZE_EXT_1', 'WEIGHT_CHANNEL_EXT') + 1,
    kernels: out.channels,
    strideX: CSC.get('D_CONV_STRIDE_EXT', 'CONV_X_STRIDE_EXT') + 1,
    strideY: CSC.get('D_CONV_STRIDE_EXT', 'CONV_Y_STRIDE_EXT') + 1,
    dilationX: CSC.get('D_DILATION_EXT', 'X_DILATION_EXT') + 1,
    dilationY: CSC.get('D_DILATION_EXT', 'Y_DILATION_EXT') + 1,
    padLeft: CSC.get('D_ZERO_PADDING', 'PAD_LEFT'),
    padTop: CSC.get('D_ZERO_PADDING', 'PAD_TOP'),
    padValue: CSC.signed('D_ZERO_PADDING_VALUE', 'PAD_VALUE'),
    weightAddress: 0,
    weightBytes: CDMA.word(CDMA.table.D_WEIGHT_BYTES),
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
    clipTruncate: CACC.get('D_CLIP_CFG', 'CLIP_TRUNCATE'),
    outWidth: out.width,
    outHeight: out.height,
  };
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
  if (dataBanks + weightBanks > banks) {
    throw new Refused(`CDMA: ${dataBanks} data and ${weightBanks} weight banks, there are ${banks}`);
  }
  const { kernelWidth, kernelHeight, kernelChannels, kernels } = params;
  const bank = entriesPerBank * bytesPerEntry;
  // Products need all lines that a kernel spans.
  const lines = Math.min(params.height, (kernelHeight - 1) * params.dilationY + 1);
  const bytes = params.precision === 0 ? 1 : 2;
  const elements = plan.elements(params.precision);
  const pixel =
    bytes * (params.image === 0 ? Math.ceil(params.channels / elements) * elements : params.channels);
  if (lines * params.width * pixel > dataBanks * bank) {
    throw new Refused(
      `CDMA: ${lines} lines of ${params.width * pixel} bytes do not fit ${dataBanks} data banks`,
    );
  }
  const group = Math.min(kernels, params.atomicK) * kernelWidth * kernelHeight * kernelChannels * bytes;
  if (group > weightBanks * bank) {
    throw new Refused(`CDMA: a kernel group of ${group} bytes does not fit ${weightBanks} weight banks`);
  }
}

function mapOperands(plan: Plan, params: ConvParams): Partial<ConvParams> {
  const { CDMA } = plan.units;
  const { table } = CDMA;
  const input = address(CDMA.word(table.D_DAIN_ADDR_HIGH_0), CDMA.word(table.D_DAIN_ADDR_LOW_0));
  const weights = address(CDMA.word(table.D_WEIGHT_ADDR_HIGH), CDMA.word(table.D_WEIGHT_ADDR_LOW));
  const { width, height, channels, lineStride, lineStride1, surfaceStride, pixelOffset } = params;
  const ram = CDMA.get('D_DAIN_RAM_TYPE', 'DATAIN_RAM_TYPE');
  const weightRam = CDMA.get('D_WEIGHT_RAM_TYPE', 'WEIGHT_RAM_TYPE');
  const weightAddress = plan.map(weights, params.weightBytes, 'read', weightRam);
  if (params.image === 0) {
    const surfaces = Math.ceil(channels / params.inputAtom);
    const shape = { width, height, surfaces, pixel: plan.config.atom };
    const { address: inputAddress } = plan.cube(input, shape, lineStride, surfaceStride, 'read', ram);
    return { inputAddress, weightAddress };
  }
  const layout = pixelLayout(params.pixelFormat);
  const pixels = pixelOffset + width;
  const inputAddress = plan.map(input, (height - 1) * lineStride + pixels * layout.pixelBytes, 'read', ram);
  if (layout.planes === 1) return { inputAddress, weightAddress };
  const second = address(CDMA.word(table.D_DAIN_ADDR_HIGH_1), CDMA.word(table.D_DAIN_ADDR_LOW_1));
  // U and V alternate in the second plane.
  const inputAddress1 = plan.map(
    second,
    (height - 1) * lineStride1 + pixels * 2 * layout.elementBytes,
    'read',
    ram,
  );
  return { inputAddress, inputAddress1, weightAddress };
}
