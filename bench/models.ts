// How fast does a whole network run on the virtual NVDLA, next to ONNX Runtime on the same CPU with as many threads?
// Not a comparison of results: those are compared by accel verify.
import { buildGraph, createContext, type MLGraph } from '../src/runtime/index.js';
import { openSystem } from '../src/node/system.js';
import { best, print, type Row } from './harness.js';
import { networks, tensorsOf } from './networks.js';
import { loadOrt, session, type InferenceSession, type Ort } from './peer.js';

const BOARD = 'nvdla:nv_large';

async function peerTime(ort: Ort, model: InferenceSession, graph: MLGraph): Promise<number> {
  const feeds = Object.fromEntries(
    Object.entries(graph.inputs).map(([name, { dataType, shape }]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const zeros = dataType === 'int8' ? new Int8Array(count) : new Float32Array(count);
      return [name, new ort.Tensor(dataType as 'int8' | 'float32', zeros, shape)];
    }),
  );
  return best(() => model.run(feeds));
}

export async function models(): Promise<void> {
  const ort = await loadOrt();
  const rows: Row[] = [];
  for (const { name, graph: make, int8, float } of networks())
    for (const engines of ['inline', 'worker'] as const) {
      const threads = engines === 'worker' ? 2 : 1;
      const system = openSystem({ devices: [BOARD], engines });
      const context = await createContext({
        file: system.open(),
        target: BOARD,
        owns: true,
        clock: system.clock,
      });
      const graph = await buildGraph(context, make(), { name });
      const { inputs, outputs } = await tensorsOf(context, graph);
      const large = float !== undefined;
      const ours = await best(() => context.dispatch(graph, inputs, outputs), large ? 8 : 40, large ? 2 : 15);
      for (const [precision, bytes] of [
        ['int8', int8],
        ['fp32', float],
      ] as const) {
        if (bytes === undefined) continue;
        const peer = await peerTime(ort, await session(ort, bytes, threads), graph);
        rows.push({
          what: `${name}, engines ${engines}`,
          ours: `${ours.toFixed(2)} ms`,
          peer: `${peer.toFixed(2)} ms`,
          peerName: `onnxruntime-node ${precision}, ${threads} thread${threads > 1 ? 's' : ''}`,
          ratio: peer / ours,
          aim: large && engines === 'worker' ? '>= 0.5' : '',
        });
      }
      await context.destroy();
      system[Symbol.dispose]();
    }
  print(`one int8 inference on ${BOARD}; ratio is our speed over the peer's`, rows);
}
