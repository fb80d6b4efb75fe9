// MLGraph: a program built for a context, with its placement and figures.
// Not mutable and not shared between contexts.
import type { CompiledProgram, LayerReport, TensorInfo } from '../compiler/targets/program.js';
import type { Values } from './backends/backend.js';
import type { MLContext } from './context.js';
import { placementOf, type MLPlacement } from './placement.js';
import { LoadedProgram } from './program.js';
import type { BuildTimes, DispatchReport } from './stats.js';
import type { MLOperandDescriptor } from './tensor.js';

/** A graph's input or output: descriptor, and what its integers stand for. */
export interface MLGraphTensor extends MLOperandDescriptor {
  readonly quantization?: TensorInfo['quantization'];
}

/** Made by building a graph for a context. */
export class MLGraph implements AsyncDisposable {
  readonly context: MLContext;
  readonly inputs: Readonly<Record<string, MLGraphTensor>>;
  readonly outputs: Readonly<Record<string, MLGraphTensor>>;
  readonly buildTimes: BuildTimes;
  readonly #program: LoadedProgram;
  #destroying: Promise<void> | undefined;

  private constructor(context: MLContext, program: LoadedProgram, buildTimes: BuildTimes) {
    this.context = context;
    this.#program = program;
    this.buildTimes = buildTimes;
    this.inputs = tensors(program.compiled.inputs);
    this.outputs = tensors(program.compiled.outputs);
  }

  /** Loads a compiled program. `compile` is the time it took. @throws AccelError with nothing left behind */
  static async load(context: MLContext, compiled: CompiledProgram, compile: number): Promise<MLGraph> {
    const { backends, host, ticks } = context;
    const start = ticks.now();
    const program = await LoadedProgram.load(compiled, { backends, host, ticks });
    const graph = new MLGraph(context, program, { compile, upload: ticks.now() - start });
    try {
      context.add(graph);
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
    return graph;
  }

  /** The compiled program: segments, buffers, layers. */
  get compiled(): CompiledProgram {
    return this.#program.compiled;
  }

  get destroyed(): boolean {
    return this.#destroying !== undefined;
  }

  /** Which operator runs where and why, with multiply-accumulates. */
  placement(): MLPlacement {
    return placementOf(this.compiled);
  }

  /** The hardware layers of all device segments, in order. */
  layers(): LayerReport[] {
    return this.compiled.segments.flatMap((segment) => (segment.kind === 'host' ? [] : segment.layers));
  }

  /** For the context: one inference, not queued. */
  run(values: Values): Promise<DispatchReport> {
    return this.#program.run(values);
  }

  /** Frees device memory after the dispatches asked for so far. Idempotent. */
  destroy(): Promise<void> {
    this.#destroying ??= this.context.after(async () => {
      this.context.remove(this);
      await this.#program[Symbol.asyncDispose]();
    });
    return this.#destroying;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }
}

function tensors(infos: readonly TensorInfo[]): Record<string, MLGraphTensor> {
  return Object.fromEntries(
    infos.map(({ name, type, shape, quantization }) => [
      name,
      { dataType: type, shape, ...(quantization === undefined ? {} : { quantization }) },
    ]),
  );
}
