// Reads PDP's and PDP_RDMA's registers into the blocks of a command. Fact sheet sections 1.5, 2.6.
// Not the numerics: engine/pdp.ts.
import { cubeLayout, pdpLayout, type Cube } from '../engine/command.js';
import { address, Refused, type Plan } from './plan.js';

export interface PdpShape {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/** The shape of the cube that PDP takes. */
export function pdpShape(plan: Plan): PdpShape {
  const { PDP } = plan.units;
  return {
    width: PDP.get('D_DATA_CUBE_IN_WIDTH', 'CUBE_IN_WIDTH') + 1,
    height: PDP.get('D_DATA_CUBE_IN_HEIGHT', 'CUBE_IN_HEIGHT') + 1,
    channels: PDP.get('D_DATA_CUBE_IN_CHANNEL', 'CUBE_IN_CHANNEL') + 1,
  };
}

/** The cube that PDP_RDMA reads. */
export function planPdpSource(plan: Plan): Cube {
  const { PDP_RDMA } = plan.units;
  const { table } = PDP_RDMA;
  // PDP_RDMA's own FLYING_MODE is not looked at: the vendor's driver leaves it at reset (on the fly) and runs from memory.
  const precision = plan.precision('PDP_RDMA', PDP_RDMA.get('D_DATA_FORMAT', 'INPUT_DATA'));
  const shape = pdpShape(plan);
  const width = PDP_RDMA.get('D_DATA_CUBE_IN_WIDTH', 'CUBE_IN_WIDTH') + 1;
  const height = PDP_RDMA.get('D_DATA_CUBE_IN_HEIGHT', 'CUBE_IN_HEIGHT') + 1;
  const channels = PDP_RDMA.get('D_DATA_CUBE_IN_CHANNEL', 'CUBE_IN_CHANNEL') + 1;
  if (width !== shape.width || height !== shape.height || channels !== shape.channels) {
    const theirs = `${width}x${height}x${channels}`;
    throw new Refused(
      `PDP_RDMA reads ${theirs}, PDP expects ${shape.width}x${shape.height}x${shape.channels}`,
    );
  }
  return plan.cube(
    address(PDP_RDMA.word(table.D_SRC_BASE_ADDR_HIGH), PDP_RDMA.word(table.D_SRC_BASE_ADDR_LOW)),
    { width, height, surfaces: Math.ceil(channels / plan.elements(precision)), pixel: plan.config.atom },
    PDP_RDMA.word(table.D_SRC_LINE_STRIDE),
    PDP_RDMA.word(table.D_SRC_SURFACE_STRIDE),
    'read',
    PDP_RDMA.get('D_SRC_RAM_CFG', 'SRC_RAM_TYPE'),
  );
}

/** Writes the PDP blocks: values, destination. */
export function planPdp(plan: Plan): void {
  const { PDP } = plan.units;
  const { table } = PDP;
  const precision = plan.precision('PDP', PDP.get('D_DATA_FORMAT', 'INPUT_DATA'));
  const atom = plan.elements(precision);
  const { width, height, channels } = pdpShape(plan);
  const outWidth = PDP.get('D_DATA_CUBE_OUT_WIDTH', 'CUBE_OUT_WIDTH') + 1;
  const outHeight = PDP.get('D_DATA_CUBE_OUT_HEIGHT', 'CUBE_OUT_HEIGHT') + 1;
  const kernelWidth = PDP.get('D_POOLING_KERNEL_CFG', 'KERNEL_WIDTH') + 1;
  const kernelHeight = PDP.get('D_POOLING_KERNEL_CFG', 'KERNEL_HEIGHT') + 1;
  const method = PDP.get('D_OPERATION_MODE_CFG', 'POOLING_METHOD');
  if (kernelWidth > 8 || kernelHeight > 8) throw new Refused(`PDP: window ${kernelWidth}x${kernelHeight}`);
  if (method > 2) throw new Refused(`PDP: method ${method}`);
  const outChannels = PDP.get('D_DATA_CUBE_OUT_CHANNEL', 'CUBE_OUT_CHANNEL') + 1;
  if (outChannels !== channels) throw new Refused(`PDP: ${channels} channels in, ${outChannels} out`);
  const destination = plan.cube(
    address(PDP.word(table.D_DST_BASE_ADDR_HIGH), PDP.word(table.D_DST_BASE_ADDR_LOW)),
    { width: outWidth, height: outHeight, surfaces: Math.ceil(channels / atom), pixel: plan.config.atom },
    PDP.word(table.D_DST_LINE_STRIDE),
    PDP.word(table.D_DST_SURFACE_STRIDE),
    'write',
    PDP.get('D_DST_RAM_CFG', 'DST_RAM_TYPE'),
  );
  plan.writer
    .block(pdpLayout, {
      atom,
      precision,
      // Only what PDP_RDMA reads is flushed.
      nanToZero:
        PDP.get('D_OPERATION_MODE_CFG', 'FLYING_MODE') === 0
          ? 0
          : PDP.get('D_NAN_FLUSH_TO_ZERO', 'NAN_TO_ZERO'),
      width,
      height,
      channels,
      outWidth,
      outHeight,
      method,
      kernelWidth,
      kernelHeight,
      strideX: PDP.get('D_POOLING_KERNEL_CFG', 'KERNEL_STRIDE_WIDTH') + 1,
      strideY: PDP.get('D_POOLING_KERNEL_CFG', 'KERNEL_STRIDE_HEIGHT') + 1,
      padLeft: PDP.get('D_POOLING_PADDING_CFG', 'PAD_LEFT'),
      padTop: PDP.get('D_POOLING_PADDING_CFG', 'PAD_TOP'),
      recipWidth: PDP.get('D_RECIP_KERNEL_WIDTH', 'RECIP_KERNEL_WIDTH'),
      recipHeight: PDP.get('D_RECIP_KERNEL_HEIGHT', 'RECIP_KERNEL_HEIGHT'),
      pad1: PDP.signed('D_POOLING_PADDING_VALUE_1_CFG', 'PAD_VALUE_1X'),
      pad2: PDP.signed('D_POOLING_PADDING_VALUE_2_CFG', 'PAD_VALUE_2X'),
      pad3: PDP.signed('D_POOLING_PADDING_VALUE_3_CFG', 'PAD_VALUE_3X'),
      pad4: PDP.signed('D_POOLING_PADDING_VALUE_4_CFG', 'PAD_VALUE_4X'),
      pad5: PDP.signed('D_POOLING_PADDING_VALUE_5_CFG', 'PAD_VALUE_5X'),
      pad6: PDP.signed('D_POOLING_PADDING_VALUE_6_CFG', 'PAD_VALUE_6X'),
      pad7: PDP.signed('D_POOLING_PADDING_VALUE_7_CFG', 'PAD_VALUE_7X'),
    })
    .block(cubeLayout, destination);
}
