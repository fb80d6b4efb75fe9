// A graph to a program by the name of the target: `nvdla:nv_large`.
// Not a target: it only knows which there are.
import { type ConfigName, configs } from '../../hw/nvdla/index.js';
import { CompileError, type Graph } from '../ir/index.js';
import { compileNvdla } from './nvdla/index.js';
import type { CompiledProgram } from './program.js';

/** Names of all targets. */
export const targets: readonly string[] = Object.keys(configs).map((name) => `nvdla:${name}`);

/** @throws CompileError EOPNOTSUPP for a target that is not known, and what that target's compiler throws */
export function compile(graph: Graph, target: string): CompiledProgram {
  if (!targets.includes(target))
    throw new CompileError('EOPNOTSUPP', { rule: `no target ${target}; there are ${targets.join(', ')}` });
  return compileNvdla(graph, { config: target.slice(target.indexOf(':') + 1) as ConfigName });
}
