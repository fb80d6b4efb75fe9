// Reads CDP's and CDP_RDMA's registers into the blocks of a command. Fact sheet sections 1.5, 2.7.
// Not the numerics: engine/cdp.ts.
import { cdpLayout, cubeLayout, lutLayout } from '../engine/command.js';
import { cdpLut } from './lut.js';
import { address, type Plan } from './plan.js';

/** Writes the CDP blocks: source, values, table, destination. */
export function planCdp(plan: Plan): void {
  const { CDP, CDP_RDMA } = plan.units;
  const { atom } = plan.config;
  plan.checkInt8('CDP', CDP.get('D_DATA_FORMAT', 'INPUT_DATA_TYPE'));
  plan.checkInt8('CDP_RDMA', CDP_RDMA.get('D_DATA_FORMAT', 'INPUT_DATA'));
  const width = CDP_RDMA.get('D_DATA_CUBE_WIDTH', 'WIDTH') + 1;
  const height = CDP_RDMA.get('D_DATA_CUBE_HEIGHT', 'HEIGHT') + 1;
  const channels = CDP_RDMA.get('D_DATA_CUBE_CHANNEL', 'CHANNEL') + 1;
  const shape = { width, height, surfaces: Math.ceil(channels / atom), pixel: atom };
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
  // The output offset has 25 bits for int8.
  const outOffset = (CDP.word(CDP.table.D_DATOUT_OFFSET) << 7) >> 7;
  plan.writer
    .block(cubeLayout, source)
    .block(cdpLayout, {
      atom,
      width,
      height,
      channels,
      reach: CDP.get('D_LRN_CFG', 'NORMALZ_LEN') + 1,
      sumBypass: CDP.get('D_FUNC_BYPASS', 'SQSUM_BYPASS'),
      mulBypass: CDP.get('D_FUNC_BYPASS', 'MUL_BYPASS'),
      // The input offset is an int8 here.
      inOffset: (CDP.get('D_DATIN_OFFSET', 'DATIN_OFFSET') << 24) >> 24,
      inScale: CDP.signed('D_DATIN_SCALE', 'DATIN_SCALE'),
      inShift: CDP.get('D_DATIN_SHIFTER', 'DATIN_SHIFTER'),
      outOffset,
      outScale: CDP.signed('D_DATOUT_SCALE', 'DATOUT_SCALE'),
      outShift: CDP.get('D_DATOUT_SHIFTER', 'DATOUT_SHIFTER'),
    })
    .block(lutLayout, cdpLut(plan))
    .block(cubeLayout, destination);
}
