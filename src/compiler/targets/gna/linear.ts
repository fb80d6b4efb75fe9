// Operators that are sums of products with known weights: Conv, Gemm, MatMul, and averages as convolutions with equal weights.
// Not how their windows become layers: windows.ts.
import {
  elementCount,
  inputOf,
  nameOf,
  type Node,
  nodeError,
  type NodeOf,
  shapeOf,
  stridesOf,
  type Value,
} from '../../ir/index.js';
import { perTensor } from '../../ir/evaluate/quantized.js';
import { macsOf } from '../parts.js';
import { lowerFused } from './fused.js';
import { type Image, imageOf, marginsFor, marginsOf, type Window2d, windowOf } from './image.js';
import { ALIGN, ELEMENTS_MAX, GROUPS_MAX, hasConvolution } from './limits.js';
import type { Lowering, Margins } from './lowering.js';
import { type Linear, quantities } from './scale.js';
import { type At, axesOf, placesOf, spanOf, type View } from './view.js';
import {
  addWindows,
  fitsFilter,
  type Grid,
  type Results,
  type Taps,
  viewOf,
  type Windows,
} from './windows.js';

/** Weights with zero points taken off, and their scales: one, or one per filter. 1 where they are reals. */
interface Weights {
  readonly data: ArrayLike<number>;
  scale(f: number): number;
}

function weightsOf(node: Node, value: Value): Weights {
  if (value.data === undefined)
    throw nodeError(
      node,
      'EOPNOTSUPP',
      'its weights are not known when compiling: GNA has no product of two tensors',
    );
  const { fill } = value.data;
  const data =
    fill === undefined
      ? (value.data.array() as ArrayLike<number>)
      : new Float64Array(value.data.length).fill(Number(fill));
  const { quantization } = value;
  if (quantization === undefined) {
    if (value.type !== 'float32') throw nodeError(node, 'EOPNOTSUPP', `weights of type ${value.type}`);
    return { data, scale: () => 1 };
  }
  const { scale, zeroPoint } = quantization;
  if (zeroPoint.some((zero) => zero !== zeroPoint[0]))
    throw nodeError(node, 'EOPNOTSUPP', 'weights with zero points of their own for each channel');
  const zero = zeroPoint[0]!;
  return {
    data: zero === 0 ? data : Float64Array.from(data, (x) => x - zero),
    scale: (f) => scale[scale.length === 1 ? 0 : f]!,
  };
}

/** The bias in products of 1: int32 as it is, reals divided by what such a product stands for. */
function biasOf(node: Node, filters: number, unit: Float64Array): Float64Array {
  const value = node.inputs[2];
  const bias = new Float64Array(filters);
  if (value === undefined) return bias;
  if (value.data === undefined) throw nodeError(node, 'EOPNOTSUPP', 'its bias is not known when compiling');
  const given = value.data.numbers();
  for (let f = 0; f < filters; f++) {
    const each = given[given.length === 1 ? 0 : f]!;
    bias[f] = value.type === 'int32' ? each : each / unit[f]!;
  }
  return bias;
}

/** Rows of `inner` weights per filter, from where the model has them. */
function linearOf(
  node: Node,
  input: View,
  weights: Weights,
  filters: number,
  inner: number,
  data: ArrayLike<number> = weights.data,
): Linear {
  const unit = Float64Array.from({ length: filters }, (_, f) => input.stored.scale * weights.scale(f));
  return {
    node,
    filters,
    inner,
    weights: data,
    unit,
    bias: biasOf(node, filters, unit),
    limit: input.stored.limit,
  };
}

export function lowerConv(lowering: Lowering, node: NodeOf<'Conv'>): void {
  const x = inputOf(node, 0);
  const w = inputOf(node, 1);
  const shape = shapeOf(w);
  const window = windowOf(node, x, node.outputs[0]!);
  const weights = weightsOf(node, w);
  const [filters, perGroup] = [shape[0]!, shape[1]!];
  const { group } = node.attributes;
  const groupOf = (f: number): number => Math.floor(f / (filters / group)) * perGroup;
  const linear = (view: View): Linear => linearOf(node, view, weights, filters, elementCount(shape.slice(1)));
  const conv = { node, window, filters, groups: group, linear, groupOf };
  if (lowerFused(lowering, conv)) return;
  const image = imageOf(lowering, node, x, marginsOf(window));
  if (lowerFused(lowering, conv, image)) return;
  convolve(lowering, { node, image, window, linear: linear(image.view), groupOf });
}

/** A mean is a convolution of each channel with itself, of equal weights. */
export function lowerAverage(
  lowering: Lowering,
  node: NodeOf<'AveragePool'> | NodeOf<'GlobalAveragePool'>,
): void {
  const x = inputOf(node, 0);
  const out = node.outputs[0]!;
  const channels = shapeOf(x)[1]!;
  const whole = shapeOf(x).slice(2);
  const form =
    node.op === 'AveragePool'
      ? node
      : ({
          attributes: {
            kernel_shape: whole,
            strides: whole.map(() => 1),
            dilations: whole.map(() => 1),
            pads: [...whole, ...whole].map(() => 0),
          },
        } as unknown as NodeOf<'AveragePool'>);
  const window = windowOf(form, x, out);
  const margins = marginsOf(window);
  const taps = window.y.kernel * window.x.kernel;
  const isPadded = Object.values(margins).some((margin) => margin > 0);
  if (isPadded && node.op === 'AveragePool' && node.attributes.count_include_pad === 0)
    throw nodeError(node, 'EOPNOTSUPP', 'means at the border are of fewer elements');
  const image = imageOf(lowering, node, x, margins);
  const unit = new Float64Array(channels).fill(image.view.stored.scale / taps);
  // The contract's factor is (sIn / sOut) / count; sums are of whole numbers.
  const linear: Linear = {
    node,
    filters: channels,
    inner: taps,
    weights: new Float64Array(channels * taps).fill(1),
    unit,
    bias: new Float64Array(channels),
    limit: image.view.stored.limit,
    ...(out.quantization === undefined
      ? {}
      : { ratio: image.view.stored.scale / perTensor(node, out).scale / taps }),
  };
  convolve(lowering, { node, image, window, linear, groupOf: (f) => f });
}

interface Convolution {
  readonly node: Node;
  readonly image: Image;
  readonly window: Window2d;
  readonly linear: Linear;
  /** The first channel of a filter's group. */
  groupOf(f: number): number;
}

export function convolve(lowering: Lowering, conv: Convolution): void {
  const { node, linear, groupOf } = conv;
  const out = node.outputs[0]!;
  const { filters } = linear;
  const q = quantities(linear, out, node.activation, lowering.ranges);
  // Where columns lie farther apart than lines, or there is only one, the two change places.
  const { window, image } = conv;
  const turned =
    window.y.output > 1 &&
    (window.x.output === 1 || (image.x.memory > image.y.memory && image.y.size > 1 && image.x.size > 1));
  const [line, column] = turned
    ? [
        { ...window.x, dim: image.x },
        { ...window.y, dim: image.y },
      ]
    : [
        { ...window.y, dim: image.y },
        { ...window.x, dim: image.x },
      ];
  const channels = placesOf(image.channels);
  const kernel = window.y.kernel * window.x.kernel;
  const start = image.view.offset - window.y.pad * image.y.memory - window.x.pad * image.x.memory;
  const grid: Grid = {
    rows: { count: line.output, step: line.stride * line.dim.memory },
    columns: { count: column.output, step: column.stride * column.dim.memory },
  };
  const tapsOf = (lineStep: number, columnStep: number, channelStep: number): Taps => {
    const [yStep, xStep] = turned ? [columnStep, lineStep] : [lineStep, columnStep];
    const places = new Int32Array(kernel);
    for (let i = 0; i < kernel; i++)
      places[i] =
        Math.floor(i / window.x.kernel) * window.y.dilation * yStep +
        (i % window.x.kernel) * window.x.dilation * xStep;
    let most = 0;
    for (const place of places) most = Math.max(most, place);
    let last = 0;
    for (const place of channels) last = Math.max(last, place);
    return {
      place: (f, i) => {
        const c = Math.floor(i / kernel);
        return places[i - c * kernel]! + channels[groupOf(f) + c]! * channelStep;
      },
      span: most + last * channelStep + 1,
    };
  };
  const { margins: asked, strides } = resultOf(lowering, out, turned);
  const common = { node, linear, quantities: q, margins: asked, macs: macsOf(node) };
  let taps = tapsOf(line.dim.memory, column.dim.memory, 1);
  const input: At = { plane: image.view.plane, offset: start };
  let results;
  const places = line.output * column.output;
  const pitch = line.dim.memory;
  const lines = line.kernel;
  const gathered =
    places > 1 && !fitsFilter(taps.span) && line.dilation === 1 && lines > 1 && lines <= GROUPS_MAX;
  if (gathered && hasConvolution(lowering.config) && pitch % 8 === 0 && pitch * lines <= ELEMENTS_MAX) {
    const close = tapsOf(1, column.dim.memory * lines, lines);
    if (fitsFilter(close.span)) {
      taps = close;
      results = addGathered(lowering, { ...common, taps, input, grid }, { lines, pitch });
    }
  }
  results ??= addWindows(lowering, { ...common, taps, input, grid });
  const view = viewOf(results, q.stored, { filters, rows: line.output, columns: column.output }, strides);
  lowering.place(out, view);
}

/** Row-major strides of the result's filter, row and column, and the zeros its users want. */
function resultOf(
  lowering: Lowering,
  out: Value,
  turned: boolean,
): { margins: Margins; strides: { filter: number; row: number; column: number } } {
  const shape = shapeOf(out);
  const strides = stridesOf(shape);
  const margins = marginsFor(lowering, out);
  const [y, x] = [shape.length === 4 ? strides[2]! : 0, strides.at(-1)!];
  if (!turned) return { margins, strides: { filter: strides[1]!, row: y, column: x } };
  const { top, bottom, left, right } = margins;
  return {
    margins: { top: left, bottom: right, left: top, right: bottom },
    strides: { filter: strides[1]!, row: x, column: y },
  };
}

/**
 * Windows over several lines that span too much: the lines of each row of results are interleaved first, so that a window's elements
 * lie together. Every row has an interleaving layer and a convolution, over one plane.
 */
function addGathered(
  lowering: Lowering,
  windows: Windows,
  { lines, pitch }: { lines: number; pitch: number },
): Results {
  const { node, input, grid } = windows;
  const { rows, columns } = grid;
  const plane = lowering.plane(node, pitch * lines + 2 * ALIGN);
  const leadOf = (row: number): number => (((input.offset + row * rows.step) % ALIGN) + ALIGN) % ALIGN;
  const lead = leadOf(0);
  for (let row = 1; row < rows.count; row++)
    if (leadOf(row) !== lead)
      throw nodeError(node, 'EOPNOTSUPP', 'its lines begin at different places of 64 bytes');
  const before = lowering.layers.length;
  const results = addWindows(lowering, {
    ...windows,
    input: { plane, offset: lead * lines },
    grid: {
      rows: { count: rows.count, step: 0 },
      columns: { count: columns.count, step: columns.step * lines },
    },
  });
  lowering.layers.splice(before).forEach((layer, row) => {
    lowering.add({
      kind: 'interleave',
      nodes: [nameOf(node)],
      input: { plane: input.plane, offset: input.offset + row * rows.step - lead },
      output: { plane, offset: 0 },
      inputs: pitch,
      groups: lines,
      macs: 0,
      hardwareMacs: 0,
    });
    lowering.add(layer);
  });
  return results;
}

/** Gemm and MatMul with a known second factor. */
export function lowerProduct(lowering: Lowering, node: NodeOf<'Gemm'> | NodeOf<'MatMul'>): void {
  const x = inputOf(node, 0);
  const w = inputOf(node, 1);
  const out = node.outputs[0]!;
  const form = node.op === 'Gemm' ? node.attributes : { alpha: 1, beta: 1, transA: 0, transB: 0 };
  if (form.alpha !== 1 || form.beta !== 1 || form.transA !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'alpha and beta are 1 and transA is 0 on the device');
  const shape = shapeOf(w);
  if (shape.length !== 2) throw nodeError(node, 'EOPNOTSUPP', 'the second factor is no matrix');
  const weights = weightsOf(node, w);
  const [inner, filters] = form.transB ? [shape[1]!, shape[0]!] : [shape[0]!, shape[1]!];
  const xShape = shapeOf(x);
  const rows = elementCount(xShape.slice(0, -1));
  const view = lowering.anywhere(node, x);
  const axes = axesOf(view.dims, [rows, inner]);
  if (axes === undefined || axes[0]!.length > 1)
    throw nodeError(node, 'EOPNOTSUPP', 'its rows do not lie evenly in memory');
  let data = weights.data;
  if (!form.transB) {
    const turned = new Float64Array(filters * inner);
    for (let f = 0; f < filters; f++)
      for (let i = 0; i < inner; i++) turned[f * inner + i] = weights.data[i * filters + f]!;
    data = turned;
  }
  const linear = linearOf(node, view, weights, filters, inner, data);
  const q = quantities(linear, out, node.activation, lowering.ranges);
  const places = placesOf(axes[1]!);
  const step = axes[0]![0]?.memory ?? 0;
  const results = addWindows(lowering, {
    node,
    linear,
    quantities: q,
    taps: { place: (_, i) => places[i]!, span: spanOf(axes[1]!) },
    input: { plane: view.plane, offset: view.offset },
    grid: { rows: { count: 1, step: 0 }, columns: { count: rows, step } },
    macs: macsOf(node),
  });
  const sizes = { filters, rows: 1, columns: rows };
  lowering.place(out, viewOf(results, q.stored, sizes, { filter: 1, row: 0, column: filters }));
}
