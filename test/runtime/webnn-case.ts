// Runs a case of WebNN's conformance vectors through the graph builder, and judges it by the vectors' tolerances.
// Not the cases: those are files.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { floatToHalf, halfToFloat } from '../../src/compiler/ir/evaluate/half.js';
import { arrayType, type DataType, elementCount, type TypedArray } from '../../src/compiler/ir/index.js';
import { openSystem, type System } from '../../src/node/index.js';
import {
  createContext,
  MLGraphBuilder,
  type MLContext,
  type MLOperand,
  type MLTensor,
} from '../../src/runtime/index.js';
import { needsShared, shared } from '../support/shared.js';

type Scalar = number | string;
interface Descriptor {
  readonly shape: number[];
  readonly dataType: DataType;
}
interface Operand {
  readonly data: Scalar | Scalar[];
  readonly descriptor: Descriptor;
  readonly constant?: boolean;
}
export interface Case {
  readonly name: string;
  readonly graph: {
    readonly inputs: Record<string, Operand>;
    readonly operators: { name: string; arguments: Record<string, unknown>[]; outputs: string | string[] }[];
    readonly expectedOutputs: Record<string, Operand>;
  };
}

function elements({ data, descriptor: { shape, dataType } }: Operand): TypedArray {
  const array = new (arrayType(dataType)!)(elementCount(shape));
  const one = (value: Scalar): number | bigint => {
    if (array instanceof BigInt64Array || array instanceof BigUint64Array)
      return BigInt(typeof value === 'string' ? value.replace(/n$/, '') : value);
    return dataType === 'float16' ? floatToHalf(Number(value)) : Number(String(value).replace(/n$/, ''));
  };
  const write = array as Float32Array;
  if (Array.isArray(data)) data.forEach((value, i) => (write[i] = one(value) as number));
  else write.fill(one(data) as number);
  return array;
}

/** Monotone integer of a float's bits: neighbours are one apart. */
function ordinal(value: number, type: DataType): number {
  const bits =
    type === 'float16' ? floatToHalf(value) : new Int32Array(Float32Array.of(value).buffer)[0]! >>> 0;
  const sign = type === 'float16' ? 0x8000 : 0x80000000;
  return bits >= sign ? sign - bits : bits;
}

/** The README's tolerances: in units in the last place, or absolute. */
function tolerance(test: Case, type: DataType): { ulp: number } | { absolute: number } {
  const [operator] = test.graph.operators;
  const { name } = operator!;
  const argument = (key: string): unknown => operator!.arguments.find((entry) => key in entry)?.[key];
  const options = (argument('options') ?? {}) as Record<string, unknown>;
  const shapeOf = (key: string): number[] =>
    test.graph.inputs[argument(key) as string]?.descriptor.shape ?? [];
  const half = type === 'float16';
  const fixed: Record<string, number> = {
    add: 1, sub: 1, mul: 1, sqrt: 1, prelu: 1, leakyRelu: 1,
    div: 2, reciprocal: 2, hardSigmoid: 2, linear: 2, softsign: 3, hardSwish: 4, batchNormalization: 6,
    elu: 18, softplus: 18, exp: half ? 1 : 32, pow: half ? 2 : 32, sigmoid: half ? 3 : 34,
    instanceNormalization: half ? 8400 : 840,
  }; // prettier-ignore
  if (name in fixed) return { ulp: fixed[name]! };
  if (['cos', 'sin', 'tan', 'tanh', 'layerNormalization'].includes(name))
    return { absolute: half ? 1 / 512 : 1 / 1024 };
  if (name === 'log') return { absolute: 1 / 1024 };
  if (name === 'conv2d' || name === 'convTranspose2d') {
    // At least the sizes of the filter: every layout has the same product.
    const [a = 1, b = 1, c = 1, d = 1] = shapeOf('filter');
    const layout = (options['filterLayout'] as string | undefined) ?? (name === 'conv2d' ? 'oihw' : 'iohw');
    const outputs = [a, b, c, d][layout.indexOf('o')]!;
    return { ulp: (2 * a * b * c * d) / outputs };
  }
  if (name === 'matmul') return { ulp: 2 * (shapeOf('a').at(-1) ?? 1) };
  if (name === 'gemm') {
    const [m = 1, k = 1] = shapeOf('a');
    const beta = options['beta'] as number | undefined;
    const used = options['c'] !== undefined ? 1 : 0;
    return {
      ulp:
        2 * (options['aTranspose'] === true ? m : k) +
        1 +
        used +
        (beta !== undefined && beta !== 0 && beta !== 1 ? 1 : 0),
    };
  }
  if (name === 'softmax') return { ulp: 3 * (shapeOf('input')[1] ?? 1) + 3 };
  if (name === 'averagePool2d') {
    const window = (options['windowDimensions'] as number[] | undefined) ?? shapeOf('input').slice(2);
    return { ulp: window.reduce((a, b) => a * b, 1) + 2 };
  }
  const shape = shapeOf('input');
  const axes = (options['axes'] as number[] | undefined) ?? [...shape.keys()];
  const n = axes.reduce((product, axis) => product * (shape[axis] ?? 1), 1);
  const reductions: Record<string, number> = {
    reduceSum: n, reduceProduct: n, reduceL1: n, reduceMean: n + 2, reduceSumSquare: 2 * n,
    reduceL2: 2 * n + 1, reduceLogSum: n + 18, reduceLogSumExp: 2 * n + 18,
  }; // prettier-ignore
  return { ulp: reductions[name] ?? 0 };
}

function difference(
  test: Case,
  type: DataType,
  actual: TypedArray,
  expected: TypedArray,
): string | undefined {
  const float = type === 'float32' || type === 'float16';
  const limit = tolerance(test, type);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (a === e) continue;
    if (!float) return `element ${i} is ${a}, not ${e}`;
    const [x, y] =
      type === 'float16' ? [halfToFloat(Number(a)), halfToFloat(Number(e))] : [Number(a), Number(e)];
    if (Number.isNaN(x) && Number.isNaN(y)) continue;
    const distance = 'ulp' in limit ? Math.abs(ordinal(x, type) - ordinal(y, type)) : Math.abs(x - y);
    const most = 'ulp' in limit ? limit.ulp : limit.absolute;
    if (!(distance <= most)) return `element ${i} is ${x}, not ${y}: ${distance} away, ${most} is allowed`;
  }
  return undefined;
}

/** Builds and runs one case. */
async function run(context: MLContext, { graph }: Case): Promise<Record<string, TypedArray>> {
  const builder = new MLGraphBuilder(context);
  const operands = new Map<string, MLOperand>();
  for (const [name, operand] of Object.entries(graph.inputs))
    operands.set(
      name,
      operand.constant === true
        ? builder.constant(operand.descriptor, elements(operand) as Float32Array<ArrayBuffer>)
        : builder.input(name, operand.descriptor),
    );
  const resolve = (value: unknown): unknown => {
    if (typeof value === 'string') return operands.get(value) ?? value;
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== 'object' || value === null) return value;
    const renamed = { roundingType: 'outputShapeRounding' } as Record<string, string>;
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [renamed[key] ?? key, resolve(entry)]),
    );
  };
  const number = (key: string, value: unknown): unknown =>
    (key === 'minValue' || key === 'maxValue' || key === 'value') && typeof value === 'string'
      ? Number(value.replace(/n$/, ''))
      : value;
  for (const { name, arguments: list, outputs } of graph.operators) {
    const args = list.map((entry) => {
      const [value] = Object.values(entry);
      const resolved = resolve(value);
      if (!('options' in entry)) return resolved;
      return Object.fromEntries(
        Object.entries(resolved as object).map(([key, option]) => [key, number(key, option)]),
      );
    });
    const method = (builder as unknown as Record<string, (...args: unknown[]) => MLOperand | MLOperand[]>)[
      name
    ];
    assert.ok(method !== undefined, `the builder has no ${name}`);
    const made = [method.apply(builder, args)].flat();
    [outputs].flat().forEach((output, i) => operands.set(output, made[i]!));
  }
  const wanted = Object.keys(graph.expectedOutputs);
  const built = await builder.build(Object.fromEntries(wanted.map((name) => [name, operands.get(name)!])));
  const tensors: MLTensor[] = [];
  try {
    const given: Record<string, MLTensor> = {};
    for (const [name, operand] of Object.entries(graph.inputs)) {
      if (operand.constant === true) continue;
      given[name] = await context.createTensor({ ...operand.descriptor, writable: true });
      tensors.push(given[name]);
      context.writeTensor(given[name], elements(operand) as Float32Array<ArrayBuffer>);
    }
    const made: Record<string, MLTensor> = {};
    for (const name of wanted) {
      made[name] = await context.createTensor({ ...built.outputs[name]!, readable: true });
      tensors.push(made[name]);
    }
    await context.dispatch(built, given, made);
    const results: Record<string, TypedArray> = {};
    for (const name of wanted) {
      const { dataType, shape } = built.outputs[name]!;
      const { descriptor } = graph.expectedOutputs[name]!;
      assert.deepEqual(
        { dataType, shape: [...shape] },
        { dataType: descriptor.dataType, shape: descriptor.shape },
      );
      results[name] = new (arrayType(dataType)!)(await context.readTensor(made[name]!));
    }
    return results;
  } finally {
    for (const tensor of tensors) tensor.destroy();
    await built.destroy();
  }
}

/** Elements of the largest input. */
function size({ graph }: Case): number {
  return Math.max(0, ...Object.values(graph.inputs).map(({ descriptor }) => elementCount(descriptor.shape)));
}

/** One test per operator with the cases whose largest input is from `least` up to, not including, `limit` elements. */
export function describeCases(title: string, least: number, limit: number): void {
  describe(title, needsShared('vectors/wpt-webnn'), () => {
    let system: System;
    let context: MLContext;
    before(async () => {
      system = openSystem({ devices: ['nvdla:nv_small'] });
      context = await createContext({ file: system.open(), target: 'nvdla:nv_small', owns: true });
    });
    after(async () => {
      await context.destroy();
      system[Symbol.dispose]();
    });
    const folder = shared('vectors/wpt-webnn');
    const files = folder === undefined ? [] : readdirSync(folder).filter((name) => name.endsWith('.json'));
    for (const file of files) {
      const { op, tests } = JSON.parse(readFileSync(join(folder!, file), 'utf8')) as {
        op: string;
        tests: Case[];
      };
      const chosen = tests.filter((test) => size(test) >= least && size(test) < limit);
      if (chosen.length === 0) continue;
      it(`computes the ${chosen.length} cases of ${op}`, async () => {
        const failures = [];
        for (const test of chosen) failures.push(...(await failuresOf(context, test)));
        assert.deepEqual(failures, []);
      });
    }
  });
}

async function failuresOf(context: MLContext, test: Case): Promise<string[]> {
  try {
    const results = await run(context, test);
    return Object.entries(test.graph.expectedOutputs).flatMap(([name, expected]) => {
      const wrong = difference(test, expected.descriptor.dataType, results[name]!, elements(expected));
      return wrong === undefined ? [] : [`${test.name}: ${name}: ${wrong}`];
    });
  } catch (error) {
    return [`${test.name}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
