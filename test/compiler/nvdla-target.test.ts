// The NVDLA target, operator by operator: compiled, run through driver and model, compared with integer sums and one factor in double.
// Not whole models, and not the device's numerics: those have vectors of their own.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  Constant,
  type DataType,
  Graph,
  type Node,
  type Quantization,
  type Value,
} from '../../src/compiler/ir/index.js';
import { evaluate } from '../../src/compiler/ir/evaluate/index.js';
import { compileNvdla, type CompiledProgram, type NvdlaSegment } from '../../src/compiler/targets/index.js';
import { type ConfigName, configs } from '../../src/hw/nvdla/index.js';
import { openSystem } from '../../src/node/system.js';
import { runSegment } from '../support/nvdla-segment.js';

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const next = random(11);
const int8s = (length: number): Int8Array => Int8Array.from({ length }, () => Math.floor(next() * 256) - 128);

function quantized(scale: number | number[], zeroPoint = 0, axis?: number): Quantization {
  const scales = Float32Array.from([scale].flat());
  return {
    scale: scales,
    zeroPoint: new Int32Array(scales.length).fill(zeroPoint),
    ...(axis === undefined ? {} : { axis }),
  };
}

let names = 0;
function value(
  shape: number[],
  quantization?: Quantization,
  type: DataType = 'int8',
  data?: Int8Array | Int32Array | Float32Array,
): Value {
  return {
    name: `v${names++}`,
    type,
    shape,
    ...(quantization === undefined ? {} : { quantization }),
    ...(data === undefined ? {} : { data: Constant.of(type, data) }),
  };
}

function node(op: string, inputs: Value[], output: Value, attributes: object = {}, more: object = {}): Node {
  return { op, name: `${op}${names++}`, domain: '', inputs, outputs: [output], attributes, ...more } as Node;
}

/** round(real / scale) + zero point, saturated; and whether the real is so near a tie that one step is no mistake. */
function quantize(real: number, { scale, zeroPoint }: Quantization): { q: number; tie: boolean } {
  const steps = real / scale[0]!;
  const tie = Math.abs(Math.abs(steps - Math.trunc(steps)) - 0.5) < 1e-6;
  const clamped = Math.max(-128, Math.min(127, Math.round(steps) + zeroPoint[0]!));
  return { q: clamped, tie };
}

const real = (q: Int8Array, { scale, zeroPoint }: Quantization): Float64Array =>
  Float64Array.from(q, (value) => (value - zeroPoint[0]!) * scale[0]!);

interface ConvCase {
  title: string;
  input: [number, number, number];
  kernels: number;
  kernel: [number, number];
  group?: number;
  strides?: [number, number];
  dilations?: [number, number];
  pads?: [number, number, number, number];
  zeroPoints?: [number, number];
  activation?: object;
}

/** Expected reals of a convolution, from the quantised operands. */
function referenceConv(
  c: Required<Pick<ConvCase, 'input' | 'kernels' | 'kernel' | 'group' | 'strides' | 'dilations' | 'pads'>>,
  x: Float64Array,
  w: Float64Array,
  bias: Float64Array,
  out: [number, number],
): Float64Array {
  const [channels, height, width] = c.input;
  const per = channels / c.group;
  const perOut = c.kernels / c.group;
  const [kh, kw] = c.kernel;
  const result = new Float64Array(c.kernels * out[0] * out[1]);
  for (let k = 0; k < c.kernels; k++)
    for (let oy = 0; oy < out[0]; oy++)
      for (let ox = 0; ox < out[1]; ox++) {
        let sum = bias[k]!;
        for (let ic = 0; ic < per; ic++)
          for (let r = 0; r < kh; r++)
            for (let s = 0; s < kw; s++) {
              const y = oy * c.strides[0] + r * c.dilations[0] - c.pads[0];
              const xx = ox * c.strides[1] + s * c.dilations[1] - c.pads[1];
              if (y < 0 || xx < 0 || y >= height || xx >= width) continue;
              const channel = Math.floor(k / perOut) * per + ic;
              sum += x[(channel * height + y) * width + xx]! * w[((k * per + ic) * kh + r) * kw + s]!;
            }
        result[(k * out[0] + oy) * out[1] + ox] = sum;
      }
  return result;
}

function checkOutput(
  got: Int8Array,
  want: Float64Array,
  q: Quantization,
  low = -Infinity,
  high = Infinity,
): void {
  let differing = 0;
  want.forEach((exact, i) => {
    const { q: expected, tie } = quantize(Math.max(low, Math.min(high, exact)), q);
    const difference = Math.abs(got[i]! - expected);
    assert.ok(difference <= 1, `element ${i}: ${got[i]}, not ${expected}`);
    if (difference !== 0 && !tie) differing++;
  });
  assert.ok(differing <= Math.ceil(want.length / 500), `${differing} of ${want.length} differ`);
}

function onlySegment(program: CompiledProgram): NvdlaSegment {
  const host = program.placement.filter((place) => place.device === 'host');
  assert.deepEqual(host, [], 'nothing on the host');
  assert.equal(program.segments.length, 1);
  const segment = program.segments[0]!;
  assert.equal(segment.kind, 'nvdla');
  return segment as NvdlaSegment;
}

async function run(
  config: ConfigName,
  graph: Graph,
  tensors: Map<string, Int8Array>,
): Promise<{ results: Map<string, Int8Array>; segment: NvdlaSegment }> {
  const segment = onlySegment(compileNvdla(graph, { config }));
  const errors: string[] = [];
  using system = openSystem({
    devices: [`nvdla:${config}`],
    onGuestError: (device, text) => errors.push(`${device}: ${text}`),
  });
  const file = system.open();
  const results = await runSegment(file, segment, tensors).catch((error: unknown) => {
    assert.fail([String(error), ...errors].join('\n'));
  });
  await file.close();
  return { results, segment };
}

const families: ConfigName[] = ['nv_small', 'nv_large', 'nv_medium_512', 'nv_small_256'];

async function checkConv(config: ConfigName, c: ConvCase): Promise<NvdlaSegment> {
  const full = {
    group: 1,
    strides: [1, 1] as [number, number],
    dilations: [1, 1] as [number, number],
    pads: [0, 0, 0, 0] as [number, number, number, number],
    ...c,
  };
  const { input, kernels, kernel, group, strides, dilations, pads } = full;
  const [zx, zy] = c.zeroPoints ?? [3, -10];
  const out = ([0, 1] as const).map(
    (i) =>
      Math.floor(
        (input[i + 1]! + pads[i]! + pads[i + 2]! - (kernel[i]! - 1) * dilations[i]! - 1) / strides[i]!,
      ) + 1,
  ) as [number, number];
  const qx = quantized(0.02, zx);
  const scales = Array.from({ length: kernels }, () => 0.002 + next() * 0.02);
  const qw = quantized(scales, 0, 0);
  const per = input[0] / group;
  const taps = per * kernel[0] * kernel[1];
  const qy = quantized(0.02 * 0.012 * Math.sqrt(taps) * 60, zy);
  const x = value([1, ...input], qx);
  const wData = int8s(kernels * taps);
  const w = value([kernels, per, ...kernel], qw, 'int8', wData);
  const bData = Int32Array.from({ length: kernels }, () => Math.round((next() - 0.5) * 40000));
  const b = value([kernels], undefined, 'int32', bData);
  const y = value([1, kernels, ...out], qy);
  const attributes = { kernel_shape: kernel, strides, dilations, pads, group };
  const conv = node('Conv', [x, w, b], y, attributes, c.activation ? { activation: c.activation } : {});
  const data = int8s(input[0] * input[1] * input[2]);
  const { results, segment } = await run(
    config,
    new Graph({ inputs: [x], outputs: [y], nodes: [conv] }),
    new Map([[x.name, data]]),
  );
  const want = referenceConv(
    full,
    real(data, qx),
    Float64Array.from(wData, (q, i) => q * qw.scale[Math.floor(i / taps)]!),
    Float64Array.from(bData, (q, k) => q * qx.scale[0]! * qw.scale[k]!),
    out,
  );
  const clip = c.activation as { op: string; min?: number; max?: number } | undefined;
  const low = clip?.op === 'Relu' ? 0 : (clip?.min ?? -Infinity);
  checkOutput(results.get(y.name)!, want, qy, low, clip?.max ?? Infinity);
  return segment;
}

describe('NVDLA target: convolution', () => {
  const cases: ConvCase[] = [
    {
      title: '3x3 with padding and zero points',
      input: [5, 9, 7],
      kernels: 11,
      kernel: [3, 3],
      pads: [1, 1, 1, 1],
    },
    {
      title: 'stride 2, uneven pads',
      input: [40, 10, 12],
      kernels: 33,
      kernel: [3, 3],
      strides: [2, 2],
      pads: [0, 0, 1, 1],
    },
    { title: '1x1', input: [70, 4, 5], kernels: 40, kernel: [1, 1] },
    {
      title: 'dilation',
      input: [8, 12, 12],
      kernels: 8,
      kernel: [3, 2],
      dilations: [2, 3],
      pads: [2, 1, 2, 2],
    },
    {
      title: 'depthwise, channels not a multiple of the atom',
      input: [20, 7, 6],
      kernels: 20,
      kernel: [3, 3],
      group: 20,
      pads: [1, 1, 1, 1],
    },
    { title: 'three groups of unequal fit', input: [15, 6, 6], kernels: 21, kernel: [2, 3], group: 3 },
    {
      title: 'depth multiplier 2',
      input: [12, 5, 5],
      kernels: 24,
      kernel: [3, 3],
      group: 12,
      pads: [1, 1, 1, 1],
    },
    {
      title: 'ReLU at a zero point in the middle',
      input: [16, 5, 5],
      kernels: 16,
      kernel: [3, 3],
      activation: { op: 'Relu' },
    },
    {
      title: 'Clip within the range',
      input: [16, 5, 5],
      kernels: 16,
      kernel: [3, 3],
      activation: { op: 'Clip', min: 0, max: 6 },
    },
    {
      title: 'a wide kernel and stride',
      input: [1, 3, 60],
      kernels: 9,
      kernel: [1, 25],
      strides: [1, 7],
      pads: [0, 3, 0, 4],
    },
  ];
  for (const config of families)
    for (const c of cases)
      it(`${c.title}: ${config}`, async () => {
        await checkConv(config, c);
      });

  it('cuts lines and columns when the input does not fit the convolution buffer', async () => {
    const c = { input: [64, 40, 60], kernels: 8, kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] };
    const segment = await checkConv('nv_small', { title: '', ...c } as ConvCase);
    assert.ok(segment.layers.length > 1);
    const wide = await checkConv('nv_small', {
      title: '',
      input: [24, 4, 2500],
      kernels: 3,
      kernel: [3, 3],
      pads: [1, 1, 1, 1],
    });
    assert.ok(new Set(wide.layers.map((layer) => layer.output[2])).size >= 1);
    assert.ok(
      wide.layers.every((layer) => layer.output[2]! < 2500),
      'columns are cut',
    );
  });

  it('uses no more than the banks there are, and says so in the report', async () => {
    const segment = await checkConv('nv_large', {
      title: '',
      input: [96, 12, 12],
      kernels: 64,
      kernel: [3, 3],
    });
    for (const { detail } of segment.layers) {
      const banks = Number(detail.dataBanks) + Number(detail.weightBanks);
      assert.ok(banks <= configs.nv_large.cbuf.banks);
    }
  });
});

describe('NVDLA target: other operators', () => {
  const shape = [1, 21, 6, 5];
  const count = 21 * 30;

  for (const config of families) {
    it(`adds two tensors of different scales, with ReLU: ${config}`, async () => {
      const [qa, qb, qy] = [quantized(0.03137, 5), quantized(0.01719, -20), quantized(0.04127, -128)];
      const [a, b, y] = [value(shape, qa), value(shape, qb), value(shape, qy)];
      const add = node('Add', [a, b], y, {}, { activation: { op: 'Relu' } });
      const [da, db] = [int8s(count), int8s(count)];
      const graph = new Graph({ inputs: [a, b], outputs: [y], nodes: [add] });
      const { results } = await run(
        config,
        graph,
        new Map([
          [a.name, da],
          [b.name, db],
        ]),
      );
      const rb = real(db, qb);
      checkOutput(
        results.get(y.name)!,
        real(da, qa).map((x, i) => x + rb[i]!),
        qy,
        0,
      );
    });

    it(`takes maxima, padding never wins: ${config}`, async () => {
      const q = quantized(0.1, 7);
      const [x, y] = [value(shape, q), value([1, 21, 3, 3], q)];
      const pool = node('MaxPool', [x], y, {
        kernel_shape: [3, 2],
        strides: [2, 2],
        dilations: [1, 1],
        pads: [1, 0, 0, 1],
        ceil_mode: 0,
        storage_order: 0,
      });
      const data = int8s(count);
      const { results } = await run(
        config,
        new Graph({ inputs: [x], outputs: [y], nodes: [pool] }),
        new Map([[x.name, data]]),
      );
      const got = results.get(y.name)!;
      for (let c = 0; c < 21; c++)
        for (let oy = 0; oy < 3; oy++)
          for (let ox = 0; ox < 3; ox++) {
            let most = -128;
            for (let r = 0; r < 3; r++)
              for (let s = 0; s < 2; s++) {
                const [yy, xx] = [oy * 2 + r - 1, ox * 2 + s];
                if (yy >= 0 && yy < 6 && xx < 5) most = Math.max(most, data[(c * 6 + yy) * 5 + xx]!);
              }
            assert.equal(got[(c * 3 + oy) * 3 + ox], most);
          }
    });

    for (const countPads of [0, 1])
      it(`averages, pads ${countPads ? '' : 'not '}counted: ${config}`, async () => {
        const [qx, qy] = [quantized(0.1, 7), quantized(0.06, -3)];
        const [x, y] = [value(shape, qx), value([1, 21, 6, 5], qy)];
        const pool = node('AveragePool', [x], y, {
          kernel_shape: [3, 3],
          strides: [1, 1],
          dilations: [1, 1],
          pads: [1, 1, 1, 1],
          ceil_mode: 0,
          count_include_pad: countPads,
        });
        const data = int8s(count);
        const { results } = await run(
          config,
          new Graph({ inputs: [x], outputs: [y], nodes: [pool] }),
          new Map([[x.name, data]]),
        );
        const rx = real(data, qx);
        const want = new Float64Array(count);
        for (let c = 0; c < 21; c++)
          for (let oy = 0; oy < 6; oy++)
            for (let ox = 0; ox < 5; ox++) {
              let sum = 0;
              let inside = 0;
              for (let r = -1; r <= 1; r++)
                for (let s = -1; s <= 1; s++) {
                  if (oy + r < 0 || oy + r > 5 || ox + s < 0 || ox + s > 4) continue;
                  sum += rx[(c * 6 + oy + r) * 5 + ox + s]!;
                  inside++;
                }
              want[(c * 6 + oy) * 5 + ox] = sum / (countPads ? 9 : inside);
            }
        checkOutput(results.get(y.name)!, want, qy);
      });

    it(`averages to even at ties, whatever the zero point: ${config}`, async () => {
      for (const zero of [-128, -7, 0, 4]) {
        const q = quantized(0.1, zero);
        const [x, y] = [value([1, 21, 6, 4], q), value([1, 21, 3, 2], q)];
        const pool = node('AveragePool', [x], y, {
          kernel_shape: [2, 2],
          strides: [2, 2],
          dilations: [1, 1],
          pads: [0, 0, 0, 0],
          ceil_mode: 0,
          count_include_pad: 0,
        });
        const data = int8s(21 * 24);
        const { results } = await run(
          config,
          new Graph({ inputs: [x], outputs: [y], nodes: [pool] }),
          new Map([[x.name, data]]),
        );
        const want = evaluate(new Graph({ inputs: [x], outputs: [y], nodes: [pool] }), { [x.name]: data });
        assert.deepEqual(results.get(y.name), want[y.name]!.data);
      }
    });

    it(`multiplies a flattened cube by a matrix, after a global mean and after none: ${config}`, async () => {
      const [qx, qy] = [quantized(0.05, -4), quantized(0.9, 6)];
      const x = value(shape, qx);
      const flat = value([1, count], qx);
      const w = value([count, 13], quantized(0.01), 'int8', int8s(count * 13));
      const y = value([1, 13], qy);
      const nodes = [
        node('Flatten', [x], flat, { axis: 1 }),
        node('Gemm', [flat, w], y, { alpha: 1, beta: 1, transA: 0, transB: 0 }),
      ];
      const data = int8s(count);
      const { results } = await run(
        config,
        new Graph({ inputs: [x], outputs: [y], nodes }),
        new Map([[x.name, data]]),
      );
      const rx = real(data, qx);
      const rw = real(w.data!.array() as Int8Array, w.quantization!);
      const want = Float64Array.from({ length: 13 }, (_, k) =>
        rx.reduce((sum, v, i) => sum + v * rw[i * 13 + k]!, 0),
      );
      checkOutput(results.get(y.name)!, want, qy);
    });
  }

  it('takes a matrix product of several rows', async () => {
    const [qx, qy] = [quantized(0.05, -4), quantized(0.3, 6)];
    const [x, y] = [value([7, 50], qx), value([7, 19], qy)];
    const w = value([50, 19], quantized(0.01), 'int8', int8s(50 * 19));
    const data = int8s(350);
    const { results } = await run(
      'nv_small',
      new Graph({ inputs: [x], outputs: [y], nodes: [node('MatMul', [x, w], y)] }),
      new Map([[x.name, data]]),
    );
    const rx = real(data, qx);
    const rw = real(w.data!.array() as Int8Array, w.quantization!);
    const want = new Float64Array(7 * 19);
    for (let m = 0; m < 7; m++)
      for (let n = 0; n < 19; n++)
        for (let k = 0; k < 50; k++) want[m * 19 + n]! += rx[m * 50 + k]! * rw[k * 19 + n]!;
    checkOutput(results.get(y.name)!, want, qy);
  });

  it('reads an NHWC input through Transpose, and gives one back, without a layer for either', async () => {
    const [qx, qy] = [quantized(0.05, -4), quantized(0.1, 6)];
    const x = value([1, 6, 5, 3], qx);
    const nchw = value([1, 3, 6, 5], qx);
    const relu = value([1, 3, 6, 5], qy);
    const y = value([1, 6, 5, 3], qy);
    const nodes = [
      node('Transpose', [x], nchw, { perm: [0, 3, 1, 2] }),
      node('Relu', [nchw], relu),
      node('Transpose', [relu], y, { perm: [0, 2, 3, 1] }),
    ];
    const data = int8s(90);
    const { results, segment } = await run(
      'nv_small',
      new Graph({ inputs: [x], outputs: [y], nodes }),
      new Map([[x.name, data]]),
    );
    assert.equal(segment.layers.length, 1);
    checkOutput(results.get(y.name)!, real(data, qx), qy, 0);
  });

  it('concatenates along channels on an atom, scales differing', async () => {
    const [qa, qb, qy] = [quantized(0.05, -4), quantized(0.02, 9), quantized(0.06, 1)];
    const [a, b, y] = [value([1, 16, 3, 3], qa), value([1, 5, 3, 3], qb), value([1, 21, 3, 3], qy)];
    const [da, db] = [int8s(144), int8s(45)];
    const { results } = await run(
      'nv_small',
      new Graph({ inputs: [a, b], outputs: [y], nodes: [node('Concat', [a, b], y, { axis: 1 })] }),
      new Map([
        [a.name, da],
        [b.name, db],
      ]),
    );
    checkOutput(results.get(y.name)!, Float64Array.of(...real(da, qa), ...real(db, qb)), qy);
  });

  for (const config of families)
    it(`puts parts together and takes them apart inside an atom: ${config}`, async () => {
      const q = quantized(0.0517, -4);
      const other = quantized(0.0331, 9);
      const parts = [
        value([1, 5, 4, 3], q),
        value([1, 70, 4, 3], other),
        value([1, 2, 4, 3], q),
        value([1, 40, 4, 3], q),
      ];
      const joined = value([1, 117, 4, 3], q);
      const [a, b] = [value([1, 30, 4, 3], q), value([1, 87, 4, 3], q)];
      const slice = value([1, 50, 2, 2], q);
      const ints = (...list: number[]): Value => ({
        name: `v${names++}`,
        type: 'int64',
        shape: [list.length],
        data: Constant.of('int64', BigInt64Array.from(list, BigInt)),
      });
      const nodes = [
        node('Concat', parts, joined, { axis: 1 }),
        { ...node('Split', [joined, ints(30, 87)], a, { axis: 1, num_outputs: 0 }), outputs: [a, b] } as Node,
        node('Slice', [joined, ints(3, 1, 0), ints(53, 3, 2), ints(1, 2, 3)], slice),
      ];
      const graph = new Graph({ inputs: parts, outputs: [joined, a, b, slice], nodes });
      const data = parts.map((part) => int8s(part.shape![1]! * 12));
      const { results } = await run(config, graph, new Map(parts.map(({ name }, i) => [name, data[i]!])));
      const want = evaluate(graph, Object.fromEntries(parts.map(({ name }, i) => [name, data[i]!])));
      for (const { name } of graph.outputs) assert.deepEqual(results.get(name), want[name]!.data, name);
    });

  it('clips as an operator of its own', async () => {
    const [qx, qy] = [quantized(0.0517, -4), quantized(0.0331, 9)];
    const [x, y] = [value([1, 9, 3, 3], qx), value([1, 9, 3, 3], qy)];
    const limit = (real: number): Value => value([], undefined, 'float32', Float32Array.of(real));
    const graph = new Graph({
      inputs: [x],
      outputs: [y],
      nodes: [node('Clip', [x, limit(-1), limit(2)], y)],
    });
    const data = int8s(81);
    const { results } = await run('nv_large', graph, new Map([[x.name, data]]));
    assert.deepEqual(results.get(y.name), evaluate(graph, { [x.name]: data })[y.name]!.data);
  });

  it('multiplies and adds constants per channel', async () => {
    const [qx, qm, qy] = [quantized(0.05, -4), quantized(0.0937, 6), quantized(0.12, -1)];
    const [x, m, y] = [value([1, 5, 3, 3], qx), value([1, 5, 3, 3], qm), value([1, 5, 3, 3], qy)];
    const factor = value([5, 1, 1], undefined, 'float32', Float32Array.of(1, -0.5, 2, 0.25, -3));
    const offset = value([1, 5, 1, 1], undefined, 'float32', Float32Array.of(0.5, 1, -2, 0, 3));
    const data = int8s(45);
    const { results } = await run(
      'nv_large',
      new Graph({
        inputs: [x],
        outputs: [y],
        nodes: [node('Mul', [x, factor], m), node('Add', [m, offset], y)],
      }),
      new Map([[x.name, data]]),
    );
    const f = factor.data!.numbers();
    const o = offset.data!.numbers();
    const want = real(data, qx).map((v, i) => {
      const c = Math.floor(i / 9);
      const { q } = quantize(v * f[c]!, qm);
      return (q - 6) * qm.scale[0]! + o[c]!;
    });
    checkOutput(results.get(y.name)!, want, qy);
  });
});

describe('NVDLA target: placement', () => {
  it('leaves what it does not know to the host, between two segments, and says why', () => {
    const q = quantized(0.05, -4);
    const values = Array.from({ length: 4 }, () => value([1, 8, 4, 4], q));
    const [x, a, b, y] = values as [Value, Value, Value, Value];
    const nodes = [node('Relu', [x], a), node('Softplus', [a], b), node('Relu', [b], y)];
    const program = compileNvdla(new Graph({ inputs: [x], outputs: [y], nodes }), { config: 'nv_small' });
    assert.deepEqual(
      program.segments.map((segment) => segment.kind),
      ['nvdla', 'host', 'nvdla'],
    );
    assert.deepEqual(
      program.placement.map(({ device, reason }) => [device, reason]),
      [
        ['nvdla', 'SDP'],
        ['host', 'SDP of nv_small has no look-up table'],
        ['nvdla', 'SDP'],
      ],
    );
  });

  it('puts a float graph on the host, with the reason', () => {
    const x = value([1, 8, 4, 4], undefined, 'float32');
    const y = value([1, 8, 4, 4], undefined, 'float32');
    const program = compileNvdla(new Graph({ inputs: [x], outputs: [y], nodes: [node('Relu', [x], y)] }), {
      config: 'nv_large',
    });
    assert.equal(program.segments.length, 1);
    assert.match(program.placement[0]!.reason, /float32, not a quantised 8-bit tensor/);
  });

  it('makes no segment of operators that only move', () => {
    const q = quantized(0.05, -4);
    const [x, y] = [value([1, 8, 4, 4], q), value([1, 128], q)];
    const program = compileNvdla(
      new Graph({ inputs: [x], outputs: [y], nodes: [node('Flatten', [x], y, { axis: 1 })] }),
      { config: 'nv_large' },
    );
    assert.deepEqual(
      program.segments.map((segment) => segment.kind),
      ['host'],
    );
  });
});
