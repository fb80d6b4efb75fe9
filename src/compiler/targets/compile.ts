// A graph to a program by the name of the target: `nvdla:nv_large`, `gna:3.0`.
// Not a target: it only knows which there are.
import { type GnaGeneration, gnaConfigs } from '../../hw/gna/index.js';
import { type ConfigName, configs } from '../../hw/nvdla/index.js';
import { CompileError, type Graph } from '../ir/index.js';
import {
  type Calibration,
  observeRanges,
  quantize,
  type QuantizeOptions,
  type ValueRanges,
} from '../quantize/index.js';
import { compileGna } from './gna/index.js';
import { compileNvdla } from './nvdla/index.js';
import type { CompiledProgram } from './program.js';

/** Names of all targets. */
export const targets: readonly string[] = [
  ...Object.keys(configs).map((name) => `nvdla:${name}`),
  ...Object.keys(gnaConfigs).map((name) => `gna:${name}`),
];

/** What a target computes in: int8, int16, fp16. Empty for GNA, and for a target that is not known. */
export function targetPrecisions(target: string): readonly string[] {
  const config = target.startsWith('nvdla:') && targets.includes(target) ? target.slice(6) : undefined;
  return config === undefined ? [] : configs[config as ConfigName].precisions;
}

/** What a target wants to know of a float graph besides the graph. */
export interface TargetCalibration {
  readonly ranges?: ValueRanges;
}

function kindOf(target: string): { kind: string; config: string } {
  if (!targets.includes(target))
    throw new CompileError('EOPNOTSUPP', { rule: `no target ${target}; there are ${targets.join(', ')}` });
  const at = target.indexOf(':');
  return { kind: target.slice(0, at), config: target.slice(at + 1) };
}

/**
 * Makes a float graph one that the target can run: quantised to int8 in place, or, where the target has 16 bits, left as it is and
 * its ranges observed.
 * @throws CompileError EINVAL without samples
 */
export function calibrate(
  graph: Graph,
  target: string,
  samples: readonly Calibration[],
  options?: QuantizeOptions,
): TargetCalibration {
  if (kindOf(target).kind === 'gna') return { ranges: observeRanges(graph, samples) };
  quantize(graph, samples, options);
  return {};
}

/** @throws CompileError EOPNOTSUPP for a target that is not known, and what that target's compiler throws */
export function compile(graph: Graph, target: string, calibration: TargetCalibration = {}): CompiledProgram {
  const { kind, config } = kindOf(target);
  if (kind === 'gna')
    return compileGna(graph, { generation: config as GnaGeneration, ranges: calibration.ranges });
  return compileNvdla(graph, { config: config as ConfigName });
}
