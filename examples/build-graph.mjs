// A graph of your own with WebNN's builder: one quantised layer, on the device.
// Run it with `node examples/build-graph.mjs` after `npm run build`.
import { createContext, MLGraphBuilder } from 'accel';
import { openSystem } from 'accel/node';

const system = openSystem({ devices: ['nvdla:nv_small'] });
const context = await createContext({ file: system.open(), target: 'nvdla:nv_small', owns: true });

const builder = new MLGraphBuilder(context);
const scale = builder.constant('float32', 0.5);
const one = builder.constant('float32', 1);
const zero = builder.constant('int8', 0);
const x = builder.input('x', { dataType: 'int8', shape: [1, 3, 4, 4] });
const weights = builder.constant({ dataType: 'int8', shape: [2, 3, 1, 1] }, Int8Array.of(1, 1, 1, 0, -1, 0));
const sums = builder.conv2d(
  builder.dequantizeLinear(x, scale, zero),
  builder.dequantizeLinear(weights, one, zero),
);
const y = builder.quantizeLinear(builder.relu(sums), scale, zero);
const graph = await builder.build({ y }, { fallback: 'forbid' });

for (const { operator, device, reason } of graph.placement().operators)
  console.log(`${operator.padEnd(18)} ${device.padEnd(6)} ${reason}`);

const input = await context.createTensor({ ...graph.inputs.x, writable: true });
const output = await context.createTensor({ ...graph.outputs.y, readable: true });
context.writeTensor(
  input,
  Int8Array.from({ length: 48 }, (_, i) => i - 20),
);
context.dispatch(graph, { x: input }, { y: output });
console.log(new Int8Array(await context.readTensor(output)).join(' '));

await context.destroy();
system[Symbol.dispose]();
