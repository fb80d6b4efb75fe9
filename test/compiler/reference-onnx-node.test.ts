// ONNX's own node tests (release 1.19.0) against the reference evaluator: those an inference accelerator can be asked for.
// Not the passes and not quantised graphs: one node each, as ONNX wrote it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { evaluate, type Graph, importOnnx, type Shape, type TypedArray } from '../../src/compiler/index.js';
import { halfToFloat } from '../../src/compiler/ir/evaluate/half.js';
import { readModel, readTensor } from '../../src/compiler/onnx/proto.js';
import { importTensor } from '../../src/compiler/onnx/tensor.js';
import { needsShared, shared } from '../support/shared.js';
import { readTarGz } from '../../src/node/input/tar.js';

const archive = 'models/onnx-node/onnx-v1.19.0-node-all.tar.gz';

/** Cases that are refused by name, and what the refusal must say. */
const refused: readonly (readonly [RegExp, RegExp])[] = [
  [/_training_mode|^test_training_dropout/, /training mode is not supported/],
  [/^test_resize_.*antialias/, /antialias is not supported/],
  [/^test_resize_tf_crop_and_resize/, /tf_crop_and_resize is not supported/],
  [/linear_blocked/, /blocked quantisation is not supported/],
  [/^test_maxpool_with_argmax_2d_precomputed_strides$/, /column-major/],
];

/** Cases that are judged wrong, with the reason. */
const disputed: Readonly<Record<string, string>> = {
  test_qlinearmatmul_2D_int8_float16: 'the recorded output wraps where ONNX says saturate',
  test_qlinearmatmul_2D_int8_float32: 'the recorded output wraps where ONNX says saturate',
  test_qlinearmatmul_3D_int8_float16: 'the recorded output wraps where ONNX says saturate',
  test_qlinearmatmul_3D_int8_float32: 'the recorded output wraps where ONNX says saturate',
  test_quantizelinear_float4e2m1: 'differs in the sign of a zero',
  test_identity_opt: 'takes no tensor',
  test_identity_sequence: 'takes no tensor',
};

interface Recorded {
  readonly type: string;
  readonly shape: Shape;
  readonly data: TypedArray;
}

function recorded(
  files: ReadonlyMap<string, Uint8Array>,
  name: string,
  kind: 'input' | 'output',
): Recorded[] {
  const list: Recorded[] = [];
  for (;;) {
    const bytes = files.get(`${name}/test_data_set_0/${kind}_${list.length}.pb`);
    if (bytes === undefined) return list;
    const { type, shape, data } = importTensor(readTensor(bytes));
    list.push({ type, shape, data: data!.array() });
  }
}

/** Runs a case. What must be known at compile time is an input in these files: it is bound as a constant. */
function run(model: Uint8Array, inputs: readonly Recorded[]): [Graph, ReturnType<typeof evaluate>] {
  const infos = readModel(model).graph!.input;
  const all = Object.fromEntries(infos.map((info, i) => [info.name, inputs[i]!.data]));
  const integers = Object.fromEntries(
    Object.entries(all).filter(([, data]) => data instanceof BigInt64Array),
  );
  const dimensions: Record<string, number> = {};
  infos.forEach((info, i) =>
    info.shape?.forEach((dim, axis) => (dimensions[dim.dim_param ?? ''] = inputs[i]!.shape[axis]!)),
  );
  for (const constants of [{}, integers]) {
    try {
      const graph = importOnnx(model, { constants, dimensions });
      return [graph, evaluate(graph, all)];
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('must be known at compile time'))) throw error;
    }
  }
  const graph = importOnnx(model, { constants: all, dimensions });
  return [graph, evaluate(graph, all)];
}

function compare(actual: Recorded, expected: Recorded): void {
  assert.equal(actual.type, expected.type);
  assert.deepEqual([...actual.shape], [...expected.shape]);
  const half = expected.type === 'float16';
  const read = (data: TypedArray, i: number) => (half ? halfToFloat(Number(data[i])) : Number(data[i]));
  const float = half || expected.type.startsWith('float') || expected.type === 'bfloat16';
  for (let i = 0; i < expected.data.length; i++) {
    const [a, e] = [read(actual.data, i), read(expected.data, i)];
    if (Object.is(a, e) || a === e) continue;
    // The tolerance of ONNX's backend tests, and 0 for integers.
    const allowed = float ? (half ? 1e-2 : 1e-7) + 1e-3 * Math.abs(e) : 0;
    assert.ok(Math.abs(a - e) <= allowed, `element ${i} is ${a}, not ${e}`);
  }
}

describe('ONNX node tests', needsShared(archive), () => {
  const path = shared(archive);
  if (path === undefined) return;
  const files = readTarGz(path);
  const names = readFileSync(shared('models/onnx-node/relevant-cases.txt')!, 'utf8').trim().split('\n');
  for (const name of names) {
    const refusal = refused.find(([pattern]) => pattern.test(name))?.[1];
    const skip = disputed[name] ?? false;
    const model = files.get(`${name}/model.onnx`)!;
    it(`${name.slice('test_'.length)}${refusal === undefined ? '' : ' is refused by name'}`, { skip }, () => {
      const inputs = recorded(files, name, 'input');
      if (refusal !== undefined) {
        assert.throws(() => run(model, inputs), { code: 'EOPNOTSUPP', message: refusal });
        return;
      }
      const [graph, results] = run(model, inputs);
      recorded(files, name, 'output').forEach((expected, i) =>
        compare(results[graph.outputs[i]!.name]!, expected),
      );
    });
  }
});
