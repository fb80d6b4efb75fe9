// A model on a virtual NVDLA from TypeScript or JavaScript: open a device, load, dispatch, read.
// Run it with `node examples/run-model.mjs` after `npm run build`.
import { readFileSync } from 'node:fs';
import { createContext, loadOnnx } from 'accel';
import { openSystem } from 'accel/node';
import { loadInput, sidecarFor } from 'accel/node/input';

const model = new URL('../models/resnet8-cifar10-int8-qdq.onnx', import.meta.url).pathname;
const picture = new URL('../models/samples/chelsea.png', import.meta.url).pathname;

const system = openSystem({ devices: ['nvdla:nv_large'] });
const context = await createContext({ file: system.open(), target: 'nvdla:nv_large', owns: true });
const graph = await loadOnnx(context, readFileSync(model));

const input = await context.createTensor({ ...graph.inputs.input, writable: true });
const output = await context.createTensor({ ...graph.outputs.output, readable: true });
const pixels = loadInput(picture, { name: 'input', ...graph.inputs.input }, sidecarFor(model));

context.writeTensor(input, pixels);
context.dispatch(graph, { input }, { output });
const scores = new Int8Array(await context.readTensor(output));

const labels = readFileSync(new URL('../models/cifar10.labels.txt', import.meta.url), 'utf8').split('\n');
console.log(labels[scores.indexOf(Math.max(...scores))]);
console.log(`${(graph.placement().share * 100).toFixed(0)} % of the multiply-accumulates on the device`);

await context.destroy();
system[Symbol.dispose]();
