// How fast does a whole network run on the virtual NVDLA, next to ONNX Runtime on the same CPU, one thread each?
// Not a comparison of results: those are compared by accel verify.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext, loadOnnx, type MLGraph } from '../src/runtime/index.js';
import { openSystem } from '../src/node/system.js';
import { best, print, type Row } from './harness.js';
import { loadOrt, session, type InferenceSession, type Ort } from './peer.js';

const BOARD = 'nvdla:nv_large';
const places = [
  fileURLToPath(new URL('../../models', import.meta.url)),
  fileURLToPath(new URL('../../../shared/models', import.meta.url)),
];
const names = [
  'resnet8-cifar10-int8-qdq',
  'vww-mobilenet-int8-qdq',
  'kws-dscnn-int8-qdq',
  'ad-autoencoder-int8-qdq',
];

async function peerTime(ort: Ort, model: InferenceSession, graph: MLGraph): Promise<number> {
  const feeds = Object.fromEntries(
    Object.entries(graph.inputs).map(([name, { shape }]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, new ort.Tensor('int8', new Int8Array(count), shape)];
    }),
  );
  return best(() => model.run(feeds));
}

export async function models(): Promise<void> {
  const ort = await loadOrt();
  const rows: Row[] = [];
  for (const name of names) {
    const path = places
      .map((place) => join(place, `${name}.onnx`))
      .find((candidate) => existsSync(candidate));
    if (path === undefined) {
      console.log(`${name}.onnx is not here: left out`);
      continue;
    }
    const bytes = readFileSync(path);
    for (const engines of ['inline', 'worker'] as const) {
      const system = openSystem({ devices: [BOARD], engines });
      const context = await createContext({
        file: system.open(),
        target: BOARD,
        owns: true,
        clock: system.clock,
      });
      const graph = await loadOnnx(context, bytes, { name });
      const inputs: Record<string, Awaited<ReturnType<typeof context.createTensor>>> = {};
      const outputs: typeof inputs = {};
      for (const [key, { dataType, shape }] of Object.entries(graph.inputs))
        inputs[key] = await context.createTensor({ dataType, shape, writable: true });
      for (const [key, { dataType, shape }] of Object.entries(graph.outputs))
        outputs[key] = await context.createTensor({ dataType, shape, readable: true });
      const ours = await best(() => context.dispatch(graph, inputs, outputs), 40, 15);
      const peer = await peerTime(ort, await session(ort, bytes), graph);
      rows.push({
        what: `${name}, engines ${engines}`,
        ours: `${ours.toFixed(2)} ms`,
        peer: `${peer.toFixed(2)} ms`,
        peerName: 'onnxruntime-node, one thread',
        ratio: peer / ours,
        aim: 'speed >= 0.5',
      });
      await context.destroy();
      system[Symbol.dispose]();
    }
  }
  print(`one inference on ${BOARD}; ratio is our speed over the peer's`, rows);
}
