// Reads CDP's and CDP_RDMA's registers into the blocks of a command. Fact sheet sections 1.5, 2.7.
// Not the numerics: engine/cdp.ts.
import { cdpLayout, cubeLayout, lutLayout } from '../engine/command.js';
import { cdpLut } from './lut.js';
import { address, Refused, type Plan } from './plan.js';

/** Writes the CDP blocks: source, values, table, destination. */
export function planCdp(plan: Plan): void {
  const { CDP, CDP_RDMA } = plan.units;
  const precision = plan.precision('CDP', CDP.get('D_DATA_FORMAT', 'INPUT_DATA_TYPE'));
  const theirs = plan.precision('CDP_RDMA', CDP_RDMA.get('D_DATA_FORMAT', 'INPUT_DATA'));
  if (precision !== theirs) throw new Refused('CDP and CDP_RDMA differ in precision');
  const atom = plan.elements(precision);
  const width = CDP_RDMA.get('D_DATA_CUBE_WIDTH', 'WIDTH') + 1;
  const height = CDP_RDMA.get('D_DATA_CUBE_HEIGHT', 'HEIGHT') + 1;
  const channels = CDP_RDMA.get('D_DATA_CUBE_CHANNEL', 'CHANNEL') + 1;
  const shape = { width, height, surfaces: Math.ceil(channels / atom), pixel: plan.config.atom };
  const source = plan.cube(
    address(
      CDP_RDMA.word(CDP_RDMA.table.D_SRC_BASE_ADDR_HIGH),
      CDP_RDMA.word(CDP_RDMA.table.D_SRC_BASE_ADDR_LOW),
    ),
    shape,
    CDP_RDMA.word(CDP_RDMA.table.D_SRC_LINE_STRIDE),
    CDP_RDMA.word(CDP_RDMA.table.D_SRC_SURFACE_STRIDE),
    'read',
    CDP_RDMA.get('D_SRC_DMA_CFG', 'SRC_RAM_TYPE'),
  );
  const destination = plan.cube(
    address(CDP.word(CDP.table.D_DST_BASE_ADDR_HIGH), CDP.word(CDP.table.D_DST_BASE_ADDR_LOW)),
    shape,
    CDP.word(CDP.table.D_DST_LINE_STRIDE),
    CDP.word(CDP.table.D_DST_SURFACE_STRIDE),
    'write',
    CDP.get('D_DST_DMA_CFG', 'DST_RAM_TYPE'),
  );
  // Offsets have 8 bits (input) and 25 (output) for int8, 16 and 32 for int16. fp16 uses neither.
  const unused = precision === 0 ? [24, 7] : [16, 0];
  const inOffset = (CDP.get('D_DATIN_OFFSET', 'DATIN_OFFSET') << unused[0]) >> unused[0];
  const outOffset = (CDP.word(CDP.table.D_DATOUT_OFFSET) << unused[1]) >> unused[1];
  plan.writer
    .block(cubeLayout, source)
    .block(cdpLayout, {
      atom,
      precision,
      nanToZero: CDP.get('D_NAN_FLUSH_TO_ZERO', 'NAN_TO_ZERO'),
      width,
      height,
      channels,
      reach: CDP.get('D_LRN_CFG', 'NORMALZ_LEN') + 1,
      sumBypass: CDP.get('D_FUNC_BYPASS', 'SQSUM_BYPASS'),
      mulBypass: CDP.get('D_FUNC_BYPASS', 'MUL_BYPASS'),
      inOffset,
      inScale: CDP.signed('D_DATIN_SCALE', 'DATIN_SCALE'),
      inShift: CDP.get('D_DATIN_SHIFTER', 'DATIN_SHIFTER'),
      outOffset,
      outScale: CDP.signed('D_DATOUT_SCALE', 'DATOUT_SCALE'),
      outShift: CDP.get('D_DATOUT_SHIFTER', 'DATOUT_SHIFTER'),
    })
    .block(lutLayout, cdpLut(plan))
    .block(cubeLayout, destination);
}
