// The passes and the order they run in by default.
// Not target choices: every pass here helps every target.
import type { Graph } from '../ir/index.js';
import { activationFusion } from './activation.js';
import { affineFolding } from './affine.js';
import { gemmBias, gemmForm, matmulToGemm, padIntoConv, qlinear, reshapes, sums } from './canonicalize.js';
import { constantFolding, deadCode, identityRemoval } from './cleanup.js';
import { transposePropagation } from './layout.js';
import { type Pass, untilStable, verify } from './pass.js';
import { qdqToInteger } from './qdq.js';
import { recurrentSteps } from './recurrent.js';
import { channelShuffle } from './shuffle.js';

export { activationFusion, affineFolding, constantFolding, deadCode, gemmBias, gemmForm, identityRemoval };
export {
  channelShuffle,
  matmulToGemm,
  padIntoConv,
  qdqToInteger,
  qlinear,
  recurrentSteps,
  reshapes,
  sums,
  transposePropagation,
  untilStable,
  verify,
};
export type { Pass };

/** Cleans, brings operators into one form, folds constants into weights, fuses activations, makes QDQ integer. */
export const defaultPasses: readonly Pass[] = [
  untilStable('float', [
    constantFolding({ keepDequantized: true }),
    recurrentSteps,
    identityRemoval,
    sums,
    qlinear,
    matmulToGemm,
    gemmBias,
    channelShuffle,
    reshapes,
    transposePropagation,
    padIntoConv,
    deadCode,
  ]),
  untilStable('arithmetic', [
    constantFolding({ keepDequantized: true }),
    gemmForm,
    affineFolding,
    activationFusion,
    deadCode,
  ]),
  untilStable('integer', [qdqToInteger, reshapes, identityRemoval, deadCode]),
  untilStable('rest', [
    constantFolding({ keepDequantized: false }),
    identityRemoval,
    gemmForm,
    affineFolding,
    activationFusion,
    deadCode,
  ]),
];

/** Runs passes over a graph, in place, and returns it. What the graph computes stays the same up to rounding. */
export function optimize(graph: Graph, passes: readonly Pass[] = defaultPasses): Graph {
  for (const pass of passes) pass.run(graph);
  verify(graph);
  return graph;
}
