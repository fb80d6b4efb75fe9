// From a layer descriptor to a command: dispatch by operation, and the parts that all kinds share.
// Not execution: operands are device addresses here, the front maps them.
import type { GnaConfig } from '../../../hw/gna/config.js';
import { LayerOp } from '../../../hw/gna/descriptors.js';
import type { Operation } from '../command.js';
import { parameterFault } from '../fault.js';
import type { Operand } from '../mmu.js';
import { planAffine, planDiagonal, planRecurrent } from './affine.js';
import { planConv1d, planConv2d } from './conv.js';
import { planGmm } from './gmm.js';
import { planCopy, planTranspose } from './move.js';

export interface LayerPlan {
  readonly operation: Operation;
  /** Command fields; operands' addresses are filled in by whoever maps them. */
  readonly values: Record<string, number>;
  readonly operands: Operand[];
  /** Multiply-accumulates. */
  readonly macs: number;
  /** Bytes per input element: decides how many of them an engine does per cycle. */
  readonly inputBytes: number;
}

/** What a plan is made from. */
export interface LayerSource {
  readonly config: GnaConfig;
  /** The 128 bytes of the descriptor. */
  readonly bytes: Uint8Array;
  /** The largest of `count` u32 at a device address: an active list bounds the rows that are read. @throws ScoreFault */
  largest(va: number, count: number): number;
  /** 128 bytes at a device address. @throws ScoreFault */
  descriptor(va: number): Uint8Array;
}

/** @throws ScoreFault parameter out of range, or what reading a list or a GMM descriptor ends in */
export function planLayer(source: LayerSource): LayerPlan {
  const { config, bytes } = source;
  const op = bytes[0]!;
  const from = (generation: number): void => {
    if (config.deviceType < generation)
      throw parameterFault(`operation 0x${op.toString(16)} is not of GNA ${config.generation}`);
  };
  switch (op) {
    case LayerOp.AFFINE:
    case LayerOp.AFFINE_ACTIVE_LIST:
      return planAffine(source);
    case LayerOp.AFFINE_MULTIBIAS:
      from(0x20);
      return planAffine(source);
    case LayerOp.DIAGONAL:
      return planDiagonal(source);
    case LayerOp.RECURRENT:
      return planRecurrent(source);
    case LayerOp.CONV_1D:
      from(0x10);
      return planConv1d(source);
    case LayerOp.CONV_2D:
      from(0x30);
      return planConv2d(source);
    case LayerOp.DEINTERLEAVE:
    case LayerOp.INTERLEAVE:
      return planTranspose(source);
    case LayerOp.COPY:
      return planCopy(source);
    case LayerOp.GMM:
    case LayerOp.GMM_ACTIVE_LIST: {
      from(0x20);
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const gmm = source.descriptor(view.getUint32(0x20, true));
      return planGmm({ ...source, bytes: gmm }, op === LayerOp.GMM_ACTIVE_LIST);
    }
    default:
      throw parameterFault(`operation 0x${op.toString(16)}`);
  }
}
