// Reads RUBIK's registers into a command. Fact sheet sections 1.5, 2.8.
// Not the reshaping: kernels/nvdla/move.ts.
import { cubeLayout, operation, rubikLayout } from '../engine/command.js';
import { RubikMode } from '../engine/move.js';
import { address, Refused, type Plan } from './plan.js';

/** Lines of planes are read and written in whole atoms. */
const atoms = (bytes: number, atom: number): number => Math.ceil(bytes / atom) * atom;

export function planRubik(plan: Plan): void {
  const { RBK } = plan.units;
  const { table } = RBK;
  const { atom } = plan.config;
  const mode = RBK.get('D_MISC_CFG', 'RUBIK_MODE');
  const precision = RBK.get('D_MISC_CFG', 'IN_PRECISION');
  if (mode > RubikMode.MERGE) throw new Refused(`RUBIK: mode ${mode}`);
  if (precision > 2) throw new Refused(`RUBIK: precision ${precision}`);
  const bytes = precision === 0 ? 1 : 2;
  const width = RBK.get('D_DATAIN_SIZE_0', 'DATAIN_WIDTH') + 1;
  const height = RBK.get('D_DATAIN_SIZE_0', 'DATAIN_HEIGHT') + 1;
  const channelsIn = RBK.get('D_DATAIN_SIZE_1', 'DATAIN_CHANNEL') + 1;
  const channelsOut = RBK.get('D_DATAOUT_SIZE_1', 'DATAOUT_CHANNEL') + 1;
  const strideX = RBK.get('D_DECONV_STRIDE', 'DECONV_X_STRIDE') + 1;
  const strideY = RBK.get('D_DECONV_STRIDE', 'DECONV_Y_STRIDE') + 1;
  const column = RBK.word(table.D_CONTRACT_STRIDE_0);
  const block = RBK.word(table.D_CONTRACT_STRIDE_1);
  if (mode === RubikMode.SPLIT && channelsIn !== channelsOut)
    throw new Refused(`RUBIK: ${channelsIn} channels in, ${channelsOut} planes out`);

  const source = {
    address: address(RBK.word(table.D_DAIN_ADDR_HIGH), RBK.word(table.D_DAIN_ADDR_LOW)),
    line: RBK.word(table.D_DAIN_LINE_STRIDE),
    surface: RBK.word(mode === RubikMode.MERGE ? table.D_DAIN_PLANAR_STRIDE : table.D_DAIN_SURF_STRIDE),
  };
  const destination = {
    address: address(RBK.word(table.D_DAOUT_ADDR_HIGH), RBK.word(table.D_DAOUT_ADDR_LOW)),
    line: RBK.word(table.D_DAOUT_LINE_STRIDE),
    surface: RBK.word(mode === RubikMode.SPLIT ? table.D_DAOUT_PLANAR_STRIDE : table.D_DAOUT_SURF_STRIDE),
  };
  const feature = { width, height, surfaces: Math.ceil((channelsIn * bytes) / atom), pixel: atom };
  // Pixels of 1 byte, as many as a line of a plane occupies.
  const planar = { width: atoms(width * bytes, atom), height, surfaces: channelsIn, pixel: 1 };
  let from = mode === RubikMode.MERGE ? planar : feature;
  let to = mode === RubikMode.SPLIT ? planar : feature;
  let before = 0;
  let after = 0;
  if (mode === RubikMode.CONTRACT) {
    const surfaces = Math.ceil((channelsOut * bytes) / atom);
    // The input's last column and the output's last line of a block lie beyond the cubes that the strides describe.
    before = (strideX * strideY - 1) * column;
    after = (height - 1) * block;
    from = { ...feature, surfaces };
    to = { width: width * strideX, height: strideY, surfaces, pixel: atom };
  }
  const sourceRam = RBK.get('D_DAIN_RAM_TYPE', 'DATAIN_RAM_TYPE');
  const destinationRam = RBK.get('D_DAOUT_RAM_TYPE', 'DATAOUT_RAM_TYPE');
  const bytesOf = ({ width, height, surfaces, pixel }: typeof from, line: number, surface: number): number =>
    (surfaces - 1) * surface + (height - 1) * line + width * pixel;
  const sourceBytes = bytesOf(from, source.line, source.surface) + before;
  const destinationBytes = bytesOf(to, destination.line, destination.surface) + after;
  const values = {
    mode,
    bytes,
    width,
    height,
    channels: mode === RubikMode.CONTRACT ? channelsOut : channelsIn,
    strideX,
    strideY,
    column,
    block,
  };
  plan.writer
    .word(operation.rubik)
    .block(rubikLayout, values)
    .block(cubeLayout, {
      ...source,
      address: plan.map(source.address, sourceBytes, 'read', sourceRam),
    })
    .block(cubeLayout, {
      ...destination,
      address: plan.map(destination.address, destinationBytes, 'write', destinationRam),
    });
}
