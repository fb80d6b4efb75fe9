// Compiled programs as loadables: written, read, and run to the same bytes as the program itself.
// Not the arithmetic: test/compiler and test/node hold that.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AccelError } from '../../src/base/errors.js';
import {
  type CompiledProgram,
  elementCount,
  type NvdlaSegment,
  type TypedArray,
} from '../../src/compiler/index.js';
import {
  configsFor,
  type ExportedLoadable,
  exportLoadable,
  readLoadable,
  SubInterface,
  writeLoadable,
} from '../../src/compiler/loadable/index.js';
import { openSystem } from '../../src/node/index.js';
import { calibrationInputs, loadInput } from '../../src/node/input/load.js';
import { MODELS_FOLDER, sidecarFor } from '../../src/node/input/sidecar.js';
import { NvdlaBackend } from '../../src/runtime/backends/nvdla.js';
import { compileOnnx, noTicks } from '../../src/runtime/index.js';
import { BoundTensor, makeArray } from '../../src/runtime/layout.js';
import { LoadedLoadable, takePixels } from '../../src/runtime/loadable/index.js';
import { LoadedProgram } from '../../src/runtime/program.js';

const mnist = { file: 'mnist-8.onnx', input: 'samples/digits/seven.pgm' };
const resnet = { file: 'resnet8-cifar10-int8-qdq.onnx', input: 'samples/chelsea.png' };
type Model = typeof mnist;

function compiled({ file }: Model, target: string): CompiledProgram {
  const path = join(MODELS_FOLDER, file);
  const sidecar = sidecarFor(path)!;
  return compileOnnx(readFileSync(path), target, {
    calibration: (inputs) => calibrationInputs(sidecar, inputs, 8),
  });
}

function inputOf({ file, input }: Model, segment: NvdlaSegment): TypedArray {
  const { name, type, shape } = segment.inputs[0]!.tensor;
  return loadInput(
    join(MODELS_FOLDER, input),
    { name, dataType: type, shape },
    sidecarFor(join(MODELS_FOLDER, file)),
  );
}

/** The segment's outputs as the runtime gives them. */
async function byProgram(
  program: CompiledProgram,
  segment: NvdlaSegment,
  input: TypedArray,
): Promise<TypedArray[]> {
  using system = openSystem({ devices: [program.target] });
  const file = system.open();
  await using loaded = await LoadedProgram.load(
    { ...program, segments: [segment] },
    { backends: [new NvdlaBackend(file, noTicks)], host: undefined, ticks: noTicks },
  );
  const values = new Map([[segment.inputs[0]!.tensor.name, input]]);
  await loaded.run(values);
  return segment.outputs.map(({ tensor }) => values.get(tensor.name)!);
}

/** The same from the file of a loadable; `before` may change it first. */
async function byLoadable(
  target: string,
  { segment, loadable }: ExportedLoadable,
  input: TypedArray,
  before: (loaded: LoadedLoadable) => void = () => {},
): Promise<TypedArray[]> {
  using system = openSystem({ devices: [target] });
  await using loaded = await LoadedLoadable.load(system.open(), readLoadable(writeLoadable(loadable)));
  before(loaded);
  const bound = (
    binding: NvdlaSegment['inputs'][number],
    { bytes, desc }: (typeof loaded.inputs)[number],
  ): BoundTensor => {
    const { layout } = binding;
    if (layout.kind !== 'feature') throw new Error('not a cube');
    const [, lineStride, surfStride] = desc.strides;
    return new BoundTensor(
      {
        ...binding,
        bytes: bytes.length,
        layout: { ...layout, lineStride: lineStride!, surfStride: surfStride! },
      },
      bytes,
    );
  };
  bound(segment.inputs[0]!, loaded.inputs[0]!).pack(input);
  await loaded.run();
  return segment.outputs.map((binding, i) => {
    const { type, shape } = binding.tensor;
    const elements = makeArray(type, elementCount(shape));
    bound(binding, loaded.outputs[i]!).unpack(elements);
    return elements;
  });
}

describe('a compiled program as a loadable', () => {
  for (const model of [mnist, resnet])
    for (const target of ['nvdla:nv_small', 'nvdla:nv_large'])
      it(`gives the same bytes: ${model.file} on ${target}`, async () => {
        const program = compiled(model, target);
        const exported = exportLoadable(program);
        const input = inputOf(model, exported.segment);
        const made = await byLoadable(target, exported, input);
        assert.deepEqual(made, await byProgram(program, exported.segment, input));
        assert.ok(made[0]!.some((value) => Number(value) !== 0));
      });

  it('is read as it was made, with names that the vendor looks for, in order', () => {
    const { loadable } = exportLoadable(compiled(mnist, 'nvdla:nv_small'));
    const read = readLoadable(writeLoadable(loadable));
    assert.deepEqual(
      read.blobs.map(({ name }) => name),
      loadable.blobs.map(({ name }) => name).sort(),
    );
    assert.deepEqual({ ...read, blobs: [] }, { ...loadable, blobs: [] });
    const kinds = new Map(read.blobs.map(({ name, sub_interface }) => [name, sub_interface]));
    assert.equal(kinds.get('task-0-dep_graph'), SubInterface.DEPS);
    assert.equal(kinds.get('task-0-surf_list'), SubInterface.SURFS);
    assert.equal(kinds.get('tb-0'), SubInterface.NONE);
  });

  it('is for the configuration it was compiled for', () => {
    for (const config of ['nv_small', 'nv_large', 'nv_small_256_full'] as const) {
      const { loadable } = exportLoadable(compiled(mnist, `nvdla:${config}`));
      assert.ok(configsFor(loadable).includes(config));
      assert.equal(configsFor(loadable).includes('nv_large'), config === 'nv_large');
    }
  });

  it('says what of the model it has not', () => {
    assert.deepEqual(exportLoadable(compiled(mnist, 'nvdla:nv_small')).left, []);
    const { left } = exportLoadable(compiled(resnet, 'nvdla:nv_small'));
    assert.match(left.join(), /^Softmax "[^"]+",QuantizeLinear "[^"]+"$/);
  });

  it('runs with other strides of its tensors', async () => {
    const target = 'nvdla:nv_small';
    const program = compiled(mnist, target);
    const exported = exportLoadable(program);
    const input = inputOf(mnist, exported.segment);
    const made = await byLoadable(target, exported, input, (loaded) => {
      const [, line] = loaded.inputs[0]!.desc.strides;
      loaded.setStrides('input', 0, { line: line! + 8, surf: 4096 });
    });
    assert.deepEqual(made, await byProgram(program, exported.segment, input));
  });

  it('is not to be had where atoms have 16 bytes, or when nothing runs on the device', () => {
    assert.throws(
      () => exportLoadable(compiled(mnist, 'nvdla:nv_medium_512')),
      /EOPNOTSUPP.*atoms of 16 bytes/,
    );
    const program = compileOnnx(readFileSync(join(MODELS_FOLDER, mnist.file)), 'nvdla:nv_small');
    assert.throws(() => exportLoadable(program), /EOPNOTSUPP.*nothing of it runs on nvdla:nv_small/);
  });
});

describe('bytes of a compiled loadable at random', () => {
  it('are loaded or refused, with nothing left behind', async () => {
    const original = writeLoadable(exportLoadable(compiled(mnist, 'nvdla:nv_small')).loadable);
    using system = openSystem({ devices: ['nvdla:nv_small'] });
    const file = system.open();
    const { memory } = system.machine;
    const before = memory.used;
    const change = fc.tuple(fc.nat(original.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = original.slice();
        for (const [at, value] of changes) bytes[at] = value;
        try {
          const loadable = readLoadable(bytes);
          configsFor(loadable);
          await using loaded = await LoadedLoadable.load(file, loadable);
          for (const { desc, bytes: own } of [...loaded.inputs, ...loaded.outputs]) takePixels(desc, own);
        } catch (error) {
          assert.ok(error instanceof AccelError, String(error));
        }
        assert.equal(memory.used, before);
      }),
      { numRuns: 300 },
    );
  });
});
