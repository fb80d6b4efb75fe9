// Graphs on a virtual GNA through the whole path: compiler, runtime, driver, registers, device.
// Not a reference: the evaluator is.
import { evaluate, type Graph, type TypedArray } from '../../src/compiler/index.js';
import { gnaConfigs, type GnaGeneration } from '../../src/hw/gna/index.js';
import { openSystem } from '../../src/node/index.js';
import { buildGraph, createContext, type MLContext, type MLGraph } from '../../src/runtime/index.js';

export const gnaGenerations = Object.keys(gnaConfigs) as GnaGeneration[];

export type Arrays = Readonly<Record<string, TypedArray>>;

const types = { float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int64: BigInt64Array } as const;

/** A context on a GNA of its own; `use` builds and dispatches on it. */
export async function onGna<T>(
  generation: GnaGeneration,
  use: (context: MLContext) => Promise<T>,
): Promise<T> {
  using system = openSystem({ devices: [`gna:${generation}`] });
  const target = `gna:${generation}`;
  await using context = await createContext({ file: system.open(), target, owns: true });
  return await use(context);
}

/** One inference. */
export async function infer(context: MLContext, graph: MLGraph, inputs: Arrays): Promise<Arrays> {
  const given: Record<string, Awaited<ReturnType<MLContext['createTensor']>>> = {};
  const made: typeof given = {};
  for (const [name, { dataType, shape }] of Object.entries(graph.inputs)) {
    given[name] = await context.createTensor({ dataType, shape, writable: true });
    context.writeTensor(given[name], inputs[name] as TypedArray & { buffer: ArrayBuffer });
  }
  for (const [name, { dataType, shape }] of Object.entries(graph.outputs))
    made[name] = await context.createTensor({ dataType, shape, readable: true });
  await context.dispatch(graph, given, made);
  const outputs: Record<string, TypedArray> = {};
  for (const [name, tensor] of Object.entries(made)) {
    const Type = types[tensor.dataType as keyof typeof types];
    outputs[name] = new Type(await context.readTensor(tensor));
  }
  return outputs;
}

export interface GnaResult {
  readonly got: Arrays;
  readonly wanted: Arrays;
  readonly graph: MLGraph;
}

/** Runs what `make` builds on the device, calibrated with `inputs`, and with the evaluator. */
export async function compareOnGna(
  generation: GnaGeneration,
  make: () => Graph,
  inputs: Arrays,
  fallback: 'host' | 'forbid' = 'forbid',
): Promise<GnaResult> {
  const wanted = Object.fromEntries(
    Object.entries(evaluate(make(), inputs)).map(([name, { data }]) => [name, data]),
  );
  return onGna(generation, async (context) => {
    const graph = await buildGraph(context, make(), { fallback, calibration: () => [inputs] });
    return { got: await infer(context, graph, inputs), wanted, graph };
  });
}

/** Signal to noise in dB. */
export function snr(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    signal += wanted[i]! ** 2;
    noise += (got[i]! - wanted[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
