// Contexts on a real driver and model: what a dispatch gives, refuses and leaves behind.
// Not arithmetic in detail: models.test.ts and the target's tests hold that.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { AccelError, type ErrnoName } from '../../src/base/index.js';
import { Process } from '../../src/core/index.js';
import { loadInput } from '../../src/node/input/load.js';
import { MODELS_FOLDER, sidecarFor } from '../../src/node/input/sidecar.js';
import { openSystem, type System } from '../../src/node/index.js';
import {
  createContext,
  loadOnnx,
  MLGraphBuilder,
  type MLContext,
  type MLGraph,
} from '../../src/runtime/index.js';

const TARGET = 'nvdla:nv_small';
const model = join(MODELS_FOLDER, 'resnet8-cifar10-int8-qdq.onnx');
const bytes = readFileSync(model);
const picture = loadInput(
  join(MODELS_FOLDER, 'samples/chelsea.png'),
  { name: 'input', dataType: 'int8', shape: [1, 32, 32, 3] },
  sidecarFor(model),
) as Int8Array<ArrayBuffer>;
/** Index of `cat`. */
const CAT = 3;

const fails = (code: ErrnoName, pattern: RegExp) => (error: unknown) =>
  error instanceof AccelError && error.code === code && pattern.test(error.message);

function greatest(buffer: ArrayBuffer): number {
  const values = new Int8Array(buffer);
  return values.indexOf(Math.max(...values));
}

describe('a context', () => {
  let system: System;
  let context: MLContext;
  beforeEach(async () => {
    system?.[Symbol.dispose]();
    system = openSystem({ devices: [TARGET] });
    context = await createContext({ file: system.open(), target: TARGET, owns: true, clock: system.clock });
  });
  after(() => system[Symbol.dispose]());

  it('refuses a file of another driver than the target is driven by', async () => {
    using other = openSystem({ devices: ['null'], staging: true });
    await assert.rejects(
      createContext({ file: other.open(), target: TARGET }),
      fails('EINVAL', /nvdla:nv_small is driven by nvdla, the file is of null/),
    );
  });

  it('refuses a target that nobody compiles for', async () => {
    await assert.rejects(
      createContext({ file: system.open(), target: 'tpu:v9' }),
      fails('EOPNOTSUPP', /tpu:v9; targets are nvdla/),
    );
  });

  it('writes and reads tensors, and reads are copies', async () => {
    const tensor = await context.createTensor({
      dataType: 'int16',
      shape: [2],
      readable: true,
      writable: true,
    });
    context.writeTensor(tensor, Int16Array.of(1, -2));
    const first = new Int16Array(await context.readTensor(tensor));
    first[0] = 9;
    assert.deepEqual(new Int16Array(await context.readTensor(tensor)), Int16Array.of(1, -2));
  });

  it('takes the source of a write when it is called', async () => {
    const tensor = await context.createTensor({
      dataType: 'uint8',
      shape: [1],
      readable: true,
      writable: true,
    });
    const source = Uint8Array.of(5);
    context.writeTensor(tensor, source);
    source[0] = 6;
    assert.deepEqual(new Uint8Array(await context.readTensor(tensor)), Uint8Array.of(5));
  });

  it('refuses reads, writes and shapes that the descriptor does not allow', async () => {
    const tensor = await context.createTensor({ dataType: 'uint8', shape: [2] });
    assert.throws(
      () => context.writeTensor(tensor, Uint8Array.of(1, 2)),
      fails('EINVAL', /not made writable/),
    );
    await assert.rejects(context.readTensor(tensor), fails('EINVAL', /not made readable/));
    const writable = await context.createTensor({ dataType: 'int32', shape: [2], writable: true });
    assert.throws(
      () => context.writeTensor(writable, Uint8Array.of(1)),
      fails('EINVAL', /1 bytes for int32 \[2\], 8 bytes/),
    );
    await assert.rejects(
      context.createTensor({ dataType: 'uint8', shape: [0] }),
      fails('EINVAL', /shape: \[0\]/),
    );
    await assert.rejects(
      context.createTensor({ dataType: 'string', shape: [1] }),
      fails('EOPNOTSUPP', /string/),
    );
  });

  it('is lost once destroyed, and says so', async () => {
    await context.destroy();
    assert.match((await context.lost).message, /destroyed/);
    await assert.rejects(context.createTensor({ dataType: 'uint8', shape: [1] }), fails('ENODEV', /lost/));
  });

  it('closes its file with it when it owns it', async () => {
    const file = system.open();
    const owner = await createContext({ file, target: TARGET, owns: true });
    await owner.destroy();
    await assert.rejects(file.mmap(0n, 4096), fails('EBADF', /closed/));
  });
});

describe('a graph on the device', () => {
  let system: System;
  let process: Process;
  let context: MLContext;
  let graph: MLGraph;
  before(async () => {
    system = openSystem({ devices: [TARGET] });
  });
  beforeEach(async () => {
    await context?.destroy();
    process = new Process();
    context = await createContext({ file: system.open(undefined, process), target: TARGET, owns: true });
    graph = await loadOnnx(context, bytes, { name: 'resnet8' });
  });
  after(async () => {
    await context.destroy();
    system[Symbol.dispose]();
  });

  const tensors = async () => ({
    inputs: { input: await context.createTensor({ ...graph.inputs['input']!, writable: true }) },
    outputs: { output: await context.createTensor({ ...graph.outputs['output']!, readable: true }) },
  });

  it('classifies the sample picture', async () => {
    const { inputs, outputs } = await tensors();
    context.writeTensor(inputs.input, picture);
    await context.dispatch(graph, inputs, outputs);
    assert.equal(greatest(await context.readTensor(outputs.output)), CAT);
  });

  it('runs in order when nothing is awaited but the read', async () => {
    const { inputs, outputs } = await tensors();
    context.writeTensor(inputs.input, new Int8Array(3072));
    void context.dispatch(graph, inputs, outputs);
    context.writeTensor(inputs.input, picture);
    void context.dispatch(graph, inputs, outputs);
    context.writeTensor(inputs.input, new Int8Array(3072));
    assert.equal(greatest(await context.readTensor(outputs.output)), CAT);
  });

  it('gives the same bytes every time', async () => {
    const { inputs, outputs } = await tensors();
    context.writeTensor(inputs.input, picture);
    const seen = new Set<string>();
    for (let i = 0; i < 5; i++) {
      await context.dispatch(graph, inputs, outputs);
      seen.add(String(new Int8Array(await context.readTensor(outputs.output))));
    }
    assert.equal(seen.size, 1);
  });

  it('says which operators are on the device, and that all multiply-accumulates are', () => {
    const { operators, macs, deviceMacs, share } = graph.placement();
    const on = (device: string): string[] =>
      operators.filter((entry) => entry.device === device).map(({ operator }) => operator);
    assert.equal(on('nvdla').filter((name) => name === 'Conv').length, 9);
    assert.ok(on('host').includes('Softmax'));
    assert.ok(operators.every(({ reason }) => reason !== ''));
    assert.equal(macs, 12501632);
    assert.equal(deviceMacs, macs);
    assert.equal(share, 1);
  });

  it('is refused with fallback "forbid" when an operator is left to the host', async () => {
    await assert.rejects(
      loadOnnx(context, bytes, { fallback: 'forbid' }),
      fails('EOPNOTSUPP', /Softmax .*not on nvdla:nv_small: .*allow fallback "host"/),
    );
  });

  it('refuses tensors of other names, types and shapes, and stays usable', async () => {
    const { inputs, outputs } = await tensors();
    const wrong = await context.createTensor({ dataType: 'int8', shape: [1, 3, 32, 32], writable: true });
    const attempt =
      (given: object, made: object = outputs) =>
      () => {
        void context.dispatch(graph, given as typeof inputs, made as typeof outputs);
      };
    assert.throws(attempt({}), fails('EINVAL', /inputs\.input: no tensor is given/));
    assert.throws(
      attempt({ ...inputs, more: wrong }),
      fails('EINVAL', /inputs\.more: the graph has no such tensor/),
    );
    assert.throws(
      attempt({ input: wrong }),
      fails('EINVAL', /int8 \[1,3,32,32\] given, the graph has int8 \[1,32,32,3\]/),
    );
    assert.throws(attempt({ toString: inputs.input }), fails('EINVAL', /no such tensor/));
    context.writeTensor(inputs.input, picture);
    await context.dispatch(graph, inputs, outputs);
    assert.equal(greatest(await context.readTensor(outputs.output)), CAT);
  });

  it('cannot be dispatched in another context or once destroyed', async () => {
    const { inputs, outputs } = await tensors();
    const other = await createContext({ file: system.open(), target: TARGET, owns: true });
    assert.throws(() => void other.dispatch(graph, inputs, outputs), fails('EINVAL', /another context/));
    await other.destroy();
    await graph.destroy();
    assert.throws(() => void context.dispatch(graph, inputs, outputs), fails('EINVAL', /destroyed/));
  });

  it('leaves no memory and no descriptor behind', async () => {
    await graph.destroy();
    const used = system.machine.memory.used;
    const descriptors = process.fds.size;
    for (let i = 0; i < 3; i++) {
      const another = await loadOnnx(context, bytes);
      assert.ok(system.machine.memory.used > used);
      await another.destroy();
    }
    assert.equal(system.machine.memory.used, used);
    assert.equal(process.fds.size, descriptors);
  });

  it('frees everything when the context goes first', async () => {
    await context.destroy();
    const used = system.machine.memory.used;
    context = await createContext({ file: system.open(), target: TARGET, owns: true });
    graph = await loadOnnx(context, bytes);
    await context.destroy();
    assert.equal(system.machine.memory.used, used);
  });

  it('fails a dispatch by the device, tells it at the read, and works again', async () => {
    const { inputs, outputs } = await tensors();
    context.writeTensor(inputs.input, picture);
    system.device().faults.arm('dma-fault');
    await assert.rejects(context.dispatch(graph, inputs, outputs), AccelError);
    await assert.rejects(context.readTensor(outputs.output), AccelError);
    await context.dispatch(graph, inputs, outputs);
    assert.equal(greatest(await context.readTensor(outputs.output)), CAT);
  });

  it('runs beside a second client on the same device, with the same results', async () => {
    const other = await createContext({ file: system.open(), target: TARGET, owns: true });
    const twin = await loadOnnx(other, bytes);
    const mine = await tensors();
    const theirs = {
      inputs: { input: await other.createTensor({ ...twin.inputs['input']!, writable: true }) },
      outputs: { output: await other.createTensor({ ...twin.outputs['output']!, readable: true }) },
    };
    context.writeTensor(mine.inputs.input, picture);
    other.writeTensor(theirs.inputs.input, picture);
    await Promise.all([
      context.dispatch(graph, mine.inputs, mine.outputs),
      other.dispatch(twin, theirs.inputs, theirs.outputs),
    ]);
    assert.deepEqual(
      new Int8Array(await context.readTensor(mine.outputs.output)),
      new Int8Array(await other.readTensor(theirs.outputs.output)),
    );
    await other.destroy();
  });
});

describe('a device that goes away', () => {
  it('ends the context with ENODEV, and everything can still be let go', async () => {
    using system = openSystem({ devices: [TARGET] });
    const context = await createContext({ file: system.open(), target: TARGET, owns: true });
    const graph = await loadOnnx(context, bytes);
    const input = await context.createTensor({ ...graph.inputs['input']!, writable: true });
    const output = await context.createTensor({ ...graph.outputs['output']!, readable: true });
    system.device().accel!.unplug();
    await assert.rejects(context.dispatch(graph, { input }, { output }), fails('ENODEV', /./));
    assert.match((await context.lost).message, /ENODEV/);
    await context.destroy();
  });
});

describe('building', () => {
  let system: System;
  let context: MLContext;
  before(async () => {
    system = openSystem({ devices: [TARGET] });
    context = await createContext({ file: system.open(), target: TARGET, owns: true });
  });
  after(async () => {
    await context.destroy();
    system[Symbol.dispose]();
  });

  it('refuses operands of another builder, and a second build', async () => {
    const [one, two] = [new MLGraphBuilder(context), new MLGraphBuilder(context)];
    const x = one.input('x', { dataType: 'float32', shape: [2] });
    assert.throws(() => two.relu(x), fails('EINVAL', /another builder/));
    const graph = await one.build({ y: one.relu(x) });
    await assert.rejects(one.build({ y: x }), fails('EINVAL', /has built its graph/));
    await graph.destroy();
  });

  it('names operator, shapes and rule when shapes do not fit', () => {
    const builder = new MLGraphBuilder(context);
    const a = builder.input('a', { dataType: 'float32', shape: [2, 3] });
    const b = builder.input('b', { dataType: 'float32', shape: [4, 5] });
    assert.throws(
      () => builder.matmul(a, b),
      fails('EINVAL', /MatMul .*\[2,3\], \[4,5\]: inner sizes 3 and 4 differ/),
    );
  });

  it('takes a damaged model as EINVAL', async () => {
    for (const length of [0, 1, 100, 5000, bytes.length - 1])
      await assert.rejects(loadOnnx(context, bytes.subarray(0, length)), AccelError, `${length} bytes`);
  });

  it('runs quantised operators of the builder on the device, exactly', async () => {
    const builder = new MLGraphBuilder(context);
    const x = builder.input('x', { dataType: 'int8', shape: [1, 8, 4, 4] });
    const scalar = (value: number) => builder.constant('float32', value);
    const zero = builder.constant('int8', 0);
    const weights = builder.constant(
      { dataType: 'int8', shape: [8, 8, 1, 1] },
      Int8Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 2 : 0)),
    );
    const real = builder.dequantizeLinear(x, scalar(0.5), zero);
    const product = builder.conv2d(real, builder.dequantizeLinear(weights, scalar(1), zero));
    const y = builder.quantizeLinear(builder.relu(product), scalar(0.5), zero);
    const graph = await builder.build({ y });
    assert.equal(graph.placement().share, 1);
    const input = await context.createTensor({ ...graph.inputs['x']!, writable: true });
    const output = await context.createTensor({ ...graph.outputs['y']!, readable: true });
    const values = Int8Array.from({ length: 128 }, (_, i) => i - 60);
    context.writeTensor(input, values);
    await context.dispatch(graph, { x: input }, { y: output });
    // Twice the diagonal, negative to zero, saturated.
    assert.deepEqual(
      new Int8Array(await context.readTensor(output)),
      values.map((value) => Math.min(127, Math.max(0, 2 * value))),
    );
    await graph.destroy();
  });
});
