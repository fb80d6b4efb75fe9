// A model on a device: target, context, graph, inputs by files.
// Not a command: run, trace and verify use it.
import { basename } from 'node:path';
import { AccelError } from '../../base/errors.js';
import {
  createContext,
  loadOnnx,
  type HostExecutor,
  type MLDispatchResult,
  type MLContext,
  type MLGraph,
} from '../../runtime/index.js';
import { createHost } from '../host/index.js';
import { arrayOf, readFile, type InputArray, type InputDescriptor } from '../input/load.js';
import { sidecarFor, type Sidecar } from '../input/sidecar.js';
import { compilation, type CompilationOptions } from './compilation.js';
import type { CommandIo } from './io.js';
import { Progress } from './progress.js';
import { openTarget, type Target, type TargetOptions } from './target.js';

export interface SessionOptions extends TargetOptions, CompilationOptions {
  /** Board name, accelN, or the path of a node of the kernel. Default nvdla:nv_large. */
  readonly device?: string | undefined;
}

export interface Inference extends MLDispatchResult {
  readonly outputs: Readonly<Record<string, InputArray>>;
}

export class Session implements AsyncDisposable {
  readonly target: Target;
  readonly sidecar: Sidecar | undefined;
  readonly context: MLContext;
  readonly graph: MLGraph;
  /** Of the context: what computes operators that no device takes. */
  readonly host: HostExecutor | undefined;
  /** Inputs that a float model was calibrated with: 0 when there were none. Undefined where none are needed. */
  readonly calibrated: number | undefined;

  private constructor(
    parts: Pick<Session, 'target' | 'sidecar' | 'context' | 'graph' | 'host' | 'calibrated'>,
  ) {
    this.target = parts.target;
    this.sidecar = parts.sidecar;
    this.context = parts.context;
    this.graph = parts.graph;
    this.host = parts.host;
    this.calibrated = parts.calibrated;
  }

  static async open(options: SessionOptions, io: CommandIo): Promise<Session> {
    const bytes = readFile(options.model);
    const sidecar = sidecarFor(options.model);
    const target = await openTarget(options.device, options);
    let context: MLContext | undefined;
    try {
      const host = await createHost();
      context = await createContext({
        file: target.file,
        target: target.name,
        owns: true,
        clock: target.clock,
        ...(host === undefined ? {} : { host }),
      });
      using progress = new Progress(io, `compiling ${basename(options.model)} for ${target.name}`);
      let calibrated: number | undefined;
      const graph = await loadOnnx(
        context,
        bytes,
        compilation(options, sidecar, progress, (count) => (calibrated = count)),
      );
      return new Session({ target, sidecar, context, graph, host, calibrated });
    } catch (error) {
      await (context?.destroy() ?? target.file.close());
      target[Symbol.dispose]();
      throw error;
    }
  }

  /** The graph's inputs as files are read for them. */
  get inputs(): InputDescriptor[] {
    return Object.entries(this.graph.inputs).map(([name, { dataType, shape }]) => ({
      name,
      dataType,
      shape,
    }));
  }

  /** One inference with arrays by input name. */
  async infer(inputs: Readonly<Record<string, InputArray>>): Promise<Inference> {
    const { context, graph } = this;
    const given: Record<string, Awaited<ReturnType<MLContext['createTensor']>>> = {};
    const made: typeof given = {};
    try {
      for (const [name, { dataType, shape }] of Object.entries(graph.inputs)) {
        const array = inputs[name];
        if (array === undefined) throw new AccelError('EINVAL', { field: name, reason: 'no input is given' });
        given[name] = await context.createTensor({ dataType, shape, writable: true });
        context.writeTensor(given[name], array as InputArray & { buffer: ArrayBuffer });
      }
      for (const [name, { dataType, shape }] of Object.entries(graph.outputs))
        made[name] = await context.createTensor({ dataType, shape, readable: true });
      const report = await context.dispatch(graph, given, made);
      const outputs: Record<string, InputArray> = {};
      for (const [name, tensor] of Object.entries(made))
        outputs[name] = arrayOf(tensor.dataType, await context.readTensor(tensor));
      return { ...report, outputs };
    } finally {
      for (const tensor of [...Object.values(given), ...Object.values(made)]) tensor.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.context.destroy();
    } finally {
      this.target[Symbol.dispose]();
    }
  }
}
