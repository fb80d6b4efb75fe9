// BDMA's and RUBIK's data paths: reads their blocks of a command and calls the kernels.
// Not a queue: which copies belong together is the front's business. Fact sheet sections 2.8, 2.9.
import { copyLayout, cubeLayout, rubikLayout, type CommandReader } from './command.js';
import type { ProcessorKernels } from './kernels.js';

/** RUBIK's modes, as RUBIK_MODE numbers them. */
export const RubikMode = { CONTRACT: 0, SPLIT: 1, MERGE: 2 } as const;

/** A launch of BDMA: copies in the order they were queued. */
export function copy(kernels: ProcessorKernels, command: CommandReader): void {
  for (let count = command.word(); count > 0; count--) {
    const { bytes, lines, surfaces } = command.block(copyLayout);
    const source = command.block(cubeLayout);
    const { address, line, surface } = command.block(cubeLayout);
    kernels.copyCube(
      source.address,
      source.line,
      source.surface,
      address,
      line,
      surface,
      bytes,
      lines,
      surfaces,
    );
  }
}

export function reshape(kernels: ProcessorKernels, command: CommandReader): void {
  const { mode, bytes, width, height, channels, ...deconvolution } = command.block(rubikLayout);
  const src = command.block(cubeLayout);
  const dst = command.block(cubeLayout);
  if (mode === RubikMode.CONTRACT) {
    const { strideX, strideY, column, block } = deconvolution;
    const surfaces = Math.ceil((channels * bytes) / 32);
    kernels.contractCube(
      src.address,
      src.line,
      src.surface,
      column,
      width,
      height,
      surfaces,
      strideX,
      strideY,
      dst.address,
      dst.line,
      block,
      dst.surface,
    );
    return;
  }
  const run = mode === RubikMode.SPLIT ? kernels.splitCube : kernels.mergeCube;
  run(src.address, src.line, src.surface, width, height, channels, bytes, dst.address, dst.line, dst.surface);
}
