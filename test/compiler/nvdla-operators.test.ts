// Operators on NVDLA by way of a float graph, quantised: all of it on the device, and the integers that the graph means.
// Not exact integers in every case: where a table or a sum rounds, the case says by how many steps.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate } from '../../src/compiler/ir/evaluate/index.js';
import {
  compileNvdla,
  Constant,
  GraphBuilder,
  optimize,
  quantize,
  type Value,
} from '../../src/compiler/index.js';
import { openSystem, type System } from '../../src/node/system.js';
import { buildGraph, createContext } from '../../src/runtime/index.js';

interface Case {
  readonly title: string;
  readonly shape: readonly number[];
  build(b: GraphBuilder, x: Value, numbers: Numbers): Value | Value[];
  /** Steps of the output by which results may differ. Default 0. */
  readonly steps?: number;
  /** Layers that there are at most. */
  readonly layers?: number;
}

/** Deterministic numbers between -1 and 1. */
class Numbers {
  #state = 12345;
  next(): number {
    this.#state = (Math.imul(this.#state, 1103515245) + 12345) >>> 0;
    return (this.#state >>> 8) / 2 ** 23 - 1;
  }
  floats(length: number, size = 1, offset = 0): Float32Array {
    return Float32Array.from({ length }, () => offset + size * this.next());
  }
  /** Weights of a convolution. */
  weights(b: GraphBuilder, shape: readonly number[]): Value {
    const count = shape.reduce((a, n) => a * n, 1);
    return b.constant('float32', [...shape], this.floats(count, 1.7 / Math.sqrt(count / shape[0]!)));
  }
}

function conv(b: GraphBuilder, x: Value, numbers: Numbers, kernels: number, size = 1): Value {
  const pad = (size - 1) / 2;
  return b.add('Conv', [x, numbers.weights(b, [kernels, x.shape![1]!, size, size])], {
    kernel_shape: [size, size],
    pads: [pad, pad, pad, pad],
  });
}

const cases: Case[] = [
  {
    title: 'normalises over neighbouring channels by CDP',
    shape: [1, 37, 5, 6],
    build: (b, x, n) => b.add('LRN', [conv(b, x, n, 37)], { size: 5, alpha: 0.7, beta: 0.75, bias: 1 }),
    steps: 1,
    layers: 2,
  },
  {
    title: 'scales channels by factors above one',
    shape: [1, 40, 4, 5],
    build: (b, x, n) => {
      const vector = (offset: number): Value => b.constant('float32', [40], n.floats(40, 0.4, offset));
      const y = b.add('MaxPool', [x], { kernel_shape: [1, 1] });
      const parameters = [vector(9), vector(0), vector(0), vector(1)];
      return b.add('BatchNormalization', [y, ...parameters]);
    },
  },
  {
    title: 'shuffles channels',
    shape: [1, 48, 5, 5],
    build: (b, x, n) => {
      const y = conv(b, x, n, 48);
      const split = b.add('Reshape', [y, b.ints([1, 3, 16, 5, 5])]);
      const turned = b.add('Transpose', [split], { perm: [0, 2, 1, 3, 4] });
      return conv(b, b.add('Reshape', [turned, b.ints([1, 48, 5, 5])]), n, 8);
    },
  },
  {
    title: 'concatenates and slices whole atoms without a layer',
    shape: [1, 64, 6, 6],
    build: (b, x, n) => {
      const joined = b.add('Concat', [conv(b, x, n, 64), conv(b, x, n, 32)], { axis: 1 });
      const more = b.add('Concat', [joined, conv(b, joined, n, 32)], { axis: 1 });
      const cut = b.add('Slice', [more, b.ints([32, 1, 2]), b.ints([96, 6, 5]), b.ints([1, 2, 3])]);
      return [conv(b, cut, n, 32), more];
    },
    layers: 4,
  },
  {
    title: 'joins rows along an axis counted from the end',
    shape: [1, 40],
    build: (b, x, n) => {
      const product = (kernels: number): Value =>
        b.add('Gemm', [x, n.weights(b, [kernels, 40])], { transB: 1 });
      return b.add('Concat', [product(5), product(11)], { axis: -1 });
    },
  },
  {
    title: 'spreads a product over positions where a group of kernels does not fit',
    shape: [1, 128, 16, 16],
    build: (b, x, n) => {
      const pooled = b.add('MaxPool', [x], { kernel_shape: [1, 1] });
      const flat = b.add('Flatten', [pooled], { axis: 1 });
      const first = b.add('Gemm', [flat, n.weights(b, [24, 32768])], { transB: 1 });
      return b.add('Gemm', [b.add('Relu', [first]), n.weights(b, [10, 24])], { transB: 1 });
    },
  },
  {
    title: 'adds, subtracts, multiplies and compares two tensors',
    shape: [1, 20, 5, 6],
    build: (b, x, n) => {
      const [p, q] = [conv(b, x, n, 24), conv(b, x, n, 24, 3)];
      const sums = [b.add('Add', [p, q]), b.add('Sub', [p, q])] as const;
      return [b.add('Mul', [...sums]), b.add('Max', [p, q]), b.add('Min', [p, b.scalar(0.25)])];
    },
  },
  {
    title: 'weighs channels by what the network makes of their means',
    shape: [1, 40, 6, 7],
    build: (b, x, n) => {
      const y = b.add('Relu', [conv(b, x, n, 40, 3)]);
      const squeezed = b.add('Relu', [conv(b, b.add('GlobalAveragePool', [y]), n, 12)]);
      const gate = b.add('Clip', [conv(b, squeezed, n, 40), b.scalar(0), b.scalar(1)]);
      return [b.add('Mul', [y, gate]), b.add('Add', [gate, y]), b.add('Max', [y, gate])];
    },
    steps: 1,
  },
  {
    title: 'has a slope for negative values of each channel',
    shape: [1, 37, 5, 6],
    build: (b, x, n) => {
      const slopes = b.constant('float32', [37, 1, 1], n.floats(37, 0.6));
      const y = b.add('PRelu', [conv(b, x, n, 37), slopes]);
      return b.add('LeakyRelu', [b.add('MaxPool', [y], { kernel_shape: [2, 2] })], { alpha: 0.3 });
    },
  },
  ...(
    [
      { kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 1 },
      { kernel: [4, 4], strides: [2, 2], pads: [1, 1, 1, 1], group: 1 },
      { kernel: [2, 3], strides: [3, 1], pads: [0, 1, 0, 1], group: 2, output_padding: [2, 0] },
      { kernel: [3, 2], strides: [1, 3], pads: [2, 0, 1, 0], group: 4, output_padding: [0, 1] },
      { kernel: [3, 3], strides: [2, 3], pads: [1, 0, 0, 2], group: 1, dilations: [2, 2] },
      { kernel: [5, 3], strides: [2, 2], pads: [4, 2, 3, 2], group: 20, dilations: [1, 3] },
    ] as const
  ).map(({ kernel, ...attributes }): Case => ({
    title: `deconvolves: ${kernel.join('x')} ${Object.entries(attributes)
      .map(([name, value]) => `${name} ${value.toString()}`)
      .join(', ')}`,
    shape: [1, 20, 5, 6],
    build: (b, x, n) => {
      const y = b.add('MaxPool', [x], { kernel_shape: [1, 1] });
      const w = n.weights(b, [20, 40 / attributes.group, ...kernel]);
      const bias = b.constant('float32', [40], n.floats(40, 0.2));
      const options = { kernel_shape: [...kernel], ...attributes };
      return b.add('Relu', [b.add('ConvTranspose', [y, w, bias], options as never)]);
    },
  })),
  {
    title: 'deconvolves along one axis',
    shape: [1, 20, 11],
    build: (b, x, n) => {
      const y = b.add('MaxPool', [x], { kernel_shape: [1] });
      const options = { kernel_shape: [4], strides: [2], pads: [1, 1] };
      return b.add('ConvTranspose', [y, n.weights(b, [20, 12, 4])], options);
    },
  },
  {
    title: 'enlarges by nearest points, and takes every other one',
    shape: [1, 37, 5, 6],
    build: (b, x, n) => {
      const y = conv(b, x, n, 37);
      const nearest = {
        mode: 'nearest',
        coordinate_transformation_mode: 'asymmetric',
        nearest_mode: 'floor',
      };
      const scales = b.constant('float32', [4], Float32Array.of(1, 1, 2, 3));
      const none = b.constant('float32', [0], new Float32Array(0));
      const large = b.add('Resize', [y, none, scales], nearest);
      const odd = b.add('Resize', [y, none, b.constant('float32', [4], Float32Array.of(1, 1, 1.4, 0.5))], {
        mode: 'nearest',
      });
      const some = b.add('Slice', [large, b.ints([9, 0]), b.ints([0, 17]), b.ints([2, 3]), b.ints([-1, 2])]);
      return [large, odd, some];
    },
  },
  {
    title: 'puts channels into the plane and back',
    shape: [1, 36, 4, 6],
    build: (b, x, n) => {
      const y = conv(b, x, n, 36);
      const wide = conv(b, x, n, 128);
      return [
        b.add('DepthToSpace', [y], { blocksize: 2, mode: 'DCR' }),
        b.add('DepthToSpace', [y], { blocksize: 3, mode: 'CRD' }),
        b.add('DepthToSpace', [wide], { blocksize: 2, mode: 'DCR' }),
        b.add('SpaceToDepth', [y], { blocksize: 2 }),
        b.add('SpaceToDepth', [wide], { blocksize: 2 }),
      ];
    },
  },
  {
    title: 'pads with a number, by its edge, by reflection; repeats',
    shape: [1, 21, 5, 6],
    build: (b, x, n) => {
      const y = conv(b, x, n, 21);
      const pads = b.ints([0, 0, 2, 1, 0, 0, 1, 3]);
      return [
        b.add('Pad', [y, pads, b.scalar(0)], { mode: 'constant' }),
        b.add('Pad', [y, pads], { mode: 'edge' }),
        b.add('Pad', [y, pads], { mode: 'reflect' }),
        b.add('Tile', [y, b.ints([1, 2, 3, 2])]),
        b.add('Expand', [b.add('GlobalMaxPool', [y]), b.ints([1, 21, 3, 4])]),
      ];
    },
  },
  {
    title: 'computes the images of a batch one by one',
    shape: [3, 20, 7, 6],
    build: (b, x, n) => {
      const y = b.add('Relu', [conv(b, x, n, 37, 3)]);
      const sum = b.add('Add', [y, conv(b, x, n, 37)]);
      const pooled = b.add('MaxPool', [sum], { kernel_shape: [3, 2], strides: [2, 2] });
      const mean = b.add('GlobalAveragePool', [pooled]);
      const flat = b.add('Flatten', [mean], { axis: 1 });
      const joined = b.add('Concat', [pooled, pooled], { axis: 1 });
      return [b.add('Gemm', [flat, n.weights(b, [10, 37])], { transB: 1 }), joined];
    },
    // Means of an even number of values.
    steps: 1,
  },
  {
    title: 'takes maxima over windows of more than eight lines and columns',
    shape: [1, 20, 21, 19],
    build: (b, x, n) => {
      const y = conv(b, x, n, 20);
      const window = (kernel: number[], strides: number[], pads: number[]): Value =>
        b.add('MaxPool', [y], { kernel_shape: kernel, strides, pads });
      return [
        window([9, 13], [2, 3], [4, 5, 3, 6]),
        window([17, 3], [1, 1], [0, 1, 0, 1]),
        b.add('GlobalMaxPool', [y]),
      ];
    },
  },
];

/** On int8 where SDP has Y and a table. */
const tableCases: Case[] = [
  {
    title: 'has slopes behind convolutions',
    shape: [1, 20, 6, 7],
    build: (b, x, n) => {
      const leaky = (value: Value, alpha: number): Value => b.add('LeakyRelu', [value], { alpha });
      return leaky(conv(b, leaky(conv(b, x, n, 37, 3), 0.1), n, 20), 0.37);
    },
    layers: 2,
  },
  {
    title: 'gates channels and points by sigmoids',
    shape: [1, 40, 6, 7],
    build: (b, x, n) => {
      const y = conv(b, x, n, 40, 3);
      const swish = b.add('Mul', [y, b.add('Sigmoid', [y])]);
      const squeezed = b.add('HardSwish', [conv(b, b.add('GlobalAveragePool', [swish]), n, 12)]);
      return b.add('Mul', [swish, b.add('HardSigmoid', [conv(b, squeezed, n, 40)])]);
    },
  },
];

/** In fp16 only. */
const halfCases: Case[] = [
  ...cases.map((one) => (one.title.startsWith('normalises') ? { ...one, layers: 2 } : one)),
  {
    title: 'normalises small and large values, with little and much weight',
    shape: [1, 37, 5, 6],
    build: (b, x) =>
      [0.001, 1, 20].map((factor) =>
        b.add('LRN', [b.add('Mul', [x, b.scalar(factor)])], { size: 3, alpha: 0.5, beta: 0.75, bias: 2 }),
      ),
  },
  ...tableCases.map((one) => ({ ...one, layers: Infinity })),
  {
    title: 'has slopes for negative values, limits and means',
    shape: [1, 20, 9, 8],
    build: (b, x, n) => {
      const slopes = b.constant('float32', [20, 1, 1], n.floats(20, 0.5));
      const leaky = b.add('LeakyRelu', [b.add('PRelu', [x, slopes])], { alpha: 0.125 });
      const clipped = b.add('Clip', [conv(b, leaky, n, 17), b.scalar(-0.5), b.scalar(0.75)]);
      const pooled = b.add('MaxPool', [clipped], { kernel_shape: [3, 2], strides: [2, 2] });
      return [b.add('AveragePool', [clipped], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }), pooled];
    },
  },
  {
    title: 'pads with a number that is not zero',
    shape: [1, 21, 5, 6],
    build: (b, x) =>
      b.add('Pad', [x, b.ints([0, 0, 2, 1, 0, 0, 1, 3]), b.scalar(0.75)], { mode: 'constant' }),
  },
  {
    title: 'sums, averages and compares over any axes',
    shape: [3, 4, 5, 6],
    build: (b, x) => [
      b.add('ReduceSum', [x, b.ints([1])], { keepdims: 1 }),
      b.add('ReduceSum', [x, b.ints([0, 3])], { keepdims: 0 }),
      b.add('ReduceMean', [x, b.ints([-2])], { keepdims: 0 }),
      b.add('ReduceMean', [b.add('Abs', [x]), b.ints([2, 3])], { keepdims: 1 }),
      b.add('ReduceMax', [x, b.ints([0, 1])], { keepdims: 0 }),
      b.add('ReduceMin', [x, b.ints([1, 2])], { keepdims: 1 }),
    ],
  },
  {
    title: 'convolves by groups and depthwise',
    shape: [1, 48, 7, 7],
    build: (b, x, n) => {
      const grouped = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], group: 3 };
      const y = b.add('Conv', [x, n.weights(b, [48, 16, 3, 3])], grouped);
      return b.add('Relu', [b.add('Conv', [y, n.weights(b, [48, 1, 3, 3])], { ...grouped, group: 48 })]);
    },
  },
];

/** Of the range of the results, for fp16. */
const HALF_TOLERANCE = 0.01;

/** The case on the device and by the integer semantics, or with `half` the float ones. */
async function run(
  system: System,
  config: 'nv_small' | 'nv_large' | 'nv_full',
  { shape, build, steps = 0, layers }: Case,
  half = false,
): Promise<void> {
  const numbers = new Numbers();
  const b = new GraphBuilder();
  const x = b.input('x', 'float32', [...shape]);
  const made = build(b, x, numbers);
  for (const value of Array.isArray(made) ? made : [made]) b.output(value);
  const input = numbers.floats(shape.reduce((a, n) => a * n, 1));
  const graph = half ? optimize(b.finish()) : quantize(b.finish(), [{ x: input }], { range: 'min-max' });
  const expected = evaluate(graph, { x: input });
  const { placement } = compileNvdla(graph, { config });
  assert.deepEqual(
    placement
      .filter(({ device }) => device === 'host')
      .map(({ operator, reason }) => `${operator}: ${reason}`),
    [],
  );
  const target = `nvdla:${config}`;
  const context = await createContext({ file: system.open(), target, owns: true, clock: system.clock });
  try {
    const built = await buildGraph(context, graph, { fallback: 'forbid' });
    const given = await context.createTensor({ dataType: 'float32', shape, writable: true });
    context.writeTensor(given, input as Float32Array<ArrayBuffer>);
    const outputs: Record<string, Awaited<ReturnType<typeof context.createTensor>>> = {};
    for (const [name, { dataType, shape: size }] of Object.entries(built.outputs))
      outputs[name] = await context.createTensor({ dataType, shape: size, readable: true });
    await context.dispatch(built, { x: given }, outputs);
    const segment = built.compiled.segments[0]!;
    assert.ok(segment.kind === 'nvdla' && built.compiled.segments.length === 1);
    if (layers !== undefined) assert.ok(segment.layers.length <= layers, `${segment.layers.length} layers`);
    for (const { tensor, quantization } of segment.outputs) {
      const got = new Float32Array(await context.readTensor(outputs[tensor.name]!));
      const want = expected[tensor.name]!.data as Float32Array;
      assert.ok(
        want.some((value) => value !== want[0]),
        'the case computes nothing',
      );
      const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - want[i]!)), 0);
      const allowed = half
        ? HALF_TOLERANCE * (Math.max(...want) - Math.min(...want))
        : (steps + 0.001) * quantization!.scale;
      assert.ok(worst <= allowed, `${tensor.name} differs by ${worst}, ${allowed} are allowed`);
    }
  } finally {
    await context.destroy();
  }
}

for (const config of ['nv_small', 'nv_large', 'nv_full'] as const)
  describe(`operators on ${config}`, () => {
    const system = openSystem({ devices: [`nvdla:${config}`] });
    for (const one of [...cases, ...(config === 'nv_small' ? [] : tableCases)])
      it(one.title, () => run(system, config, one));
  });

describe('operators in fp16 on nv_full', () => {
  const system = openSystem({ devices: ['nvdla:nv_full'] });
  for (const one of halfCases) it(one.title, () => run(system, 'nv_full', one, true));
});

describe('repeated constants', () => {
  it('are convolved as the numbers they stand for', () => {
    const shape = [1, 4, 5, 5];
    const numbers = new Numbers();
    const x = numbers.floats(100);
    const results = [true, false].map((repeated) => {
      const b = new GraphBuilder();
      const weights = repeated ? Constant.fill('float32', 72, 0.25) : new Float32Array(72).fill(0.25);
      const w = b.constant('float32', [4, 2, 3, 3], weights);
      const product = repeated ? Constant.fill('float32', 300, -0.5) : new Float32Array(300).fill(-0.5);
      const y = b.add('Conv', [b.input('x', 'float32', shape), w], { group: 2, pads: [1, 1, 1, 1] });
      // Four channels of two groups times 3 columns.
      const flat = b.add('Flatten', [y], { axis: 1 });
      b.output(b.add('MatMul', [flat, b.constant('float32', [100, 3], product)]));
      b.output(y);
      return evaluate(b.finish(), { x });
    });
    const [a, c] = results as unknown as Record<string, { data: ArrayLike<number> }>[];
    for (const name of Object.keys(a!))
      Array.from(a![name]!.data).forEach((value, i) => {
        assert.ok(Math.abs(value - c![name]!.data[i]!) < 1e-5, name);
      });
  });
});
