// Plan of Gaussian mixtures, as a layer or as a request of its own. Section 5.8.
// Not the L1 and Linf distances nor read elimination: no public source tells what they compute.
import { GmmDescriptor } from '../../../hw/gna/descriptors.js';
import { parameterFault } from '../fault.js';
import type { Operand } from '../mmu.js';
import type { LayerPlan, LayerSource } from './plan.js';
import { viewOf } from './precision.js';

const VECTORS_MAX = 8;
const LENGTH_MIN = 24;
const LENGTH_MAX = 96;
const LENGTH_STEP = 8;
const MIXTURES_MAX = 4096;

/** `source.bytes` is the GMM descriptor. */
export function planGmm(source: LayerSource, activeList: boolean): LayerPlan {
  const gmm = GmmDescriptor.view(viewOf(source.bytes));
  const { vectors, length, mixtures } = gmm;
  if (gmm.mode !== 0) throw parameterFault(`GMM mode ${gmm.mode}`);
  if (vectors < 1 || vectors > VECTORS_MAX) throw parameterFault(`${vectors} feature vectors`);
  if (length < LENGTH_MIN || length > LENGTH_MAX || length % LENGTH_STEP !== 0)
    throw parameterFault(`feature vectors of ${length}`);
  if (mixtures < 1 || mixtures > MIXTURES_MAX) throw parameterFault(`${mixtures} mixtures`);
  if (gmm.variance_width !== 1 && gmm.variance_width !== 2)
    throw parameterFault(`variances of ${gmm.variance_width} bytes`);
  const rows = activeList ? gmm.active_list_length : gmm.states;
  if (rows === 0) throw parameterFault('no states');
  const operands: Operand[] = [];
  let states = rows;
  if (activeList) {
    states = source.largest(gmm.active_list, rows) + 1;
    operands.push({ field: 'list', va: gmm.active_list, bytes: rows * 4, access: 'read' });
  }
  const perState = (stride: number, bytes: number): number => (states - 1) * stride + bytes;
  const means = mixtures * length;
  operands.push(
    {
      field: 'features',
      va: gmm.features,
      bytes: (vectors - 1) * gmm.feature_pitch + length,
      access: 'read',
    },
    { field: 'means', va: gmm.means, bytes: perState(gmm.mean_stride, means), access: 'read' },
    {
      field: 'variances',
      va: gmm.variances,
      bytes: perState(gmm.variance_stride, means * gmm.variance_width),
      access: 'read',
    },
    {
      field: 'constants',
      va: gmm.constants,
      bytes: perState(gmm.constant_stride, mixtures * 4),
      access: 'read',
    },
    { field: 'scores', va: gmm.scores, bytes: rows * vectors * 4, access: 'write' },
  );
  const values: Record<string, number> = {
    vectors,
    length,
    mixtures,
    rows,
    featurePitch: gmm.feature_pitch,
    meanStride: gmm.mean_stride,
    varianceStride: gmm.variance_stride,
    varianceBytes: gmm.variance_width,
    constantStride: gmm.constant_stride,
    maxScore: gmm.max_score,
    list: 0,
  };
  return { operation: 'gmm', values, operands, macs: rows * vectors * mixtures * length, inputBytes: 1 };
}
