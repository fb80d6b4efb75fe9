// The host's own computing: ONNX Runtime, when it is installed.
// Not a dependency: it is optional, and only operators that no accelerator takes run here.
import type { Graph, Node, TypedArray } from '../../compiler/ir/index.js';
import { AccelError } from '../../base/errors.js';
import type { HostExecutor, HostSession, Values } from '../../runtime/index.js';
import { arrayOf } from '../input/load.js';
import { unwritable, writeOnnx } from './onnx-writer.js';

type Ort = typeof import('onnxruntime-node');

/** ONNX Runtime as the host's executor, or undefined when the package onnxruntime-node is not installed. */
export async function createHost(): Promise<HostExecutor | undefined> {
  try {
    const ort = await import('onnxruntime-node');
    return new OnnxRuntimeHost(ort);
  } catch {
    return undefined;
  }
}

class OnnxRuntimeHost implements HostExecutor {
  readonly name: string;
  readonly #ort: Ort;

  constructor(ort: Ort) {
    this.#ort = ort;
    this.name = `ONNX Runtime ${ort.env.versions.node ?? ort.env.versions.common}`;
  }

  refuses(node: Node): string | undefined {
    return unwritable(node);
  }

  async prepare(graph: Graph): Promise<HostSession> {
    const ort = this.#ort;
    let session: Awaited<ReturnType<Ort['InferenceSession']['create']>>;
    try {
      // Without optimisation: the optimised unsigned by signed kernels saturate on some CPUs.
      session = await ort.InferenceSession.create(writeOnnx(graph), {
        graphOptimizationLevel: 'disabled',
        intraOpNumThreads: 1,
        logSeverityLevel: 3,
      });
    } catch (cause) {
      if (cause instanceof AccelError) throw cause;
      throw new AccelError('EOPNOTSUPP', {
        call: 'build',
        field: [...new Set(graph.nodes.map(({ op }) => op))].join(', '),
        reason: `${this.name} refuses it: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause,
      });
    }
    const { inputs, outputs } = graph;
    return {
      run: async (values: Values) => {
        const feeds: Record<string, InstanceType<Ort['Tensor']>> = {};
        for (const { name, type, shape } of inputs) {
          const elements = values.get(name);
          if (elements === undefined)
            throw new AccelError('EIO', {
              call: 'dispatch',
              field: name,
              reason: 'no earlier segment made it',
            });
          feeds[name] = new ort.Tensor(type as 'float32', elements as Float32Array, shape ?? []);
        }
        const results = await session.run(
          feeds,
          outputs.map(({ name }) => name),
        );
        for (const { name, type } of outputs) {
          const { buffer, byteOffset, byteLength } = results[name]!.data as unknown as Float32Array;
          // A copy: the session owns its results.
          const copy = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength).slice().buffer;
          values.set(name, arrayOf(type, copy) as TypedArray);
        }
      },
      [Symbol.asyncDispose]: () => session.release(),
    };
  }
}
