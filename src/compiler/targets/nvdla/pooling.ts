// Pooling operators: maxima on PDP; the windows of means.
// Not the means themselves: average.ts.
import { inputOf, nameOf, type Node, nodeError, type NodeOf, shapeOf } from '../../ir/index.js';
import { type AverageWindow, lowerAverage } from './average.js';
import { type Cube, cubeShape, type PlacedValue, rowMajor, type Strides, stridesOn } from './cube.js';
import { lowerRequantize } from './elementwise.js';
import { MAX_CUBE, MAX_POOL_KERNEL, MAX_POOL_PAD, MAX_POOL_STRIDE, maxPoolWidth } from './limits.js';
import type { CubeSize, Lowering } from './lowering.js';
import { withoutIdleStride } from './pipe.js';
import { planResult } from './result.js';
import { type Axis, cutAxis } from './tiles.js';

/** The window attributes of 1-D and 2-D pooling alike. */
function windowOf(node: NodeOf<'MaxPool'> | NodeOf<'AveragePool'>): {
  y: Omit<Axis, 'input' | 'output'>;
  x: Omit<Axis, 'input' | 'output'>;
} {
  const { kernel_shape: kernel, strides, dilations, pads } = node.attributes;
  const axis = (index: number): Omit<Axis, 'input' | 'output'> => ({
    kernel: kernel[index]!,
    stride: strides[index] ?? 1,
    dilation: dilations[index] ?? 1,
    pad: pads[index] ?? 0,
  });
  if (kernel.length === 2) return { y: axis(0), x: axis(1) };
  if (kernel.length === 1) return { y: { kernel: 1, stride: 1, dilation: 1, pad: 0 }, x: axis(0) };
  throw nodeError(node, 'EOPNOTSUPP', `${kernel.length}-D pooling`);
}

export function lowerMaxPool(lowering: Lowering, node: NodeOf<'MaxPool'>): void {
  if (node.outputs.length > 1) throw nodeError(node, 'EOPNOTSUPP', 'indices are not made');
  const window = windowOf(node);
  const input = lowering.inCube(node, inputOf(node, 0));
  const out = node.outputs[0]!;
  const size = cubeShape(shapeOf(out));
  if (size === undefined) throw nodeError(node, 'EOPNOTSUPP', 'batch is not 1');
  const axes = {
    y: withoutIdleStride({ ...window.y, input: input.cube.height, output: size.height }),
    x: withoutIdleStride({ ...window.x, input: input.cube.width, output: size.width }),
  };
  for (const [name, axis] of Object.entries(axes)) checkPool(node, name, axis);
  const strides = stridesOn(rowMajor(shapeOf(out)), size.axes);
  maxPool(lowering, node, input, size, strides, axes);
}

export function lowerGlobalMaxPool(lowering: Lowering, node: NodeOf<'GlobalMaxPool'>): void {
  const input = lowering.inCube(node, inputOf(node, 0));
  const { channels, height, width } = input.cube;
  const axis = (extent: number): Axis => ({
    input: extent,
    output: 1,
    kernel: extent,
    stride: 1,
    dilation: 1,
    pad: 0,
  });
  const axes = { y: axis(height), x: axis(width) };
  for (const [name, one] of Object.entries(axes)) checkPool(node, name, one);
  maxPool(lowering, node, input, { channels, height: 1, width: 1 }, { c: 1, y: 0, x: 0 }, axes);
}

function checkPool(node: Node, name: string, axis: Axis): void {
  const { kernel, stride, dilation, pad } = axis;
  const refuse = (rule: string): never => {
    throw nodeError(node, 'EOPNOTSUPP', `${name}: ${rule}`);
  };
  if (dilation !== 1) refuse(`dilation ${dilation}`);
  if (stride > MAX_POOL_STRIDE) refuse(`stride ${stride}, at most ${MAX_POOL_STRIDE}`);
  if (pad > MAX_POOL_PAD || pad >= kernel) refuse(`pad ${pad} with a window of ${kernel}`);
}

/** A window larger than PDP's as one of PDP's size and one over its results. */
function halves(axis: Axis): [first: Axis, second: Axis] {
  const { input, output, kernel, stride, pad } = axis;
  if (kernel <= MAX_POOL_KERNEL) {
    const through = { ...axis, input: input, output: input, kernel: 1, stride: 1, pad: 0 };
    return [through, axis];
  }
  const common = { input, dilation: 1, kernel: MAX_POOL_KERNEL, pad };
  // The whole axis: windows side by side. What the last one has behind the end does not count.
  if (output === 1 && pad === 0 && kernel === input) {
    const count = Math.ceil(input / MAX_POOL_KERNEL);
    return [
      { ...common, output: count, stride: MAX_POOL_KERNEL },
      { input: count, output: 1, kernel: count, stride: 1, dilation: 1, pad: 0 },
    ];
  }
  const rest = kernel - MAX_POOL_KERNEL + 1;
  const count = (output - 1) * stride + rest;
  return [
    { ...common, output: count, stride: 1 },
    { input: count, output, kernel: rest, stride, dilation: 1, pad: 0 },
  ];
}

/** Greatest or least values of windows; windows of more than eight lines or columns in several passes. */
export function maxPool(
  lowering: Lowering,
  node: Node,
  input: PlacedValue,
  size: CubeSize,
  strides: Strides,
  axes: { y: Axis; x: Axis },
  method: 'max' | 'min' = 'max',
): void {
  if (Math.max(axes.y.kernel, axes.x.kernel) > MAX_POOL_KERNEL) {
    const [y, x] = [halves(axes.y), halves(axes.x)];
    const part = { channels: size.channels, height: y[0].output, width: x[0].output };
    const cube = lowering.newCube(node, part, input.quantization);
    poolLayers(lowering, node, input.cube, cube, { y: y[0], x: x[0] }, method);
    maxPool(lowering, node, { ...input, cube }, size, strides, { y: y[1], x: x[1] }, method);
    return;
  }
  const out = node.outputs[0]!;
  const result = planResult(lowering, node, out, size, strides);
  const { scale, zeroPoint } = input.quantization;
  const same = scale === result.quantization.scale && zeroPoint === result.quantization.zeroPoint;
  const plain = same && !result.relu;
  const pooled = plain ? result.cube : lowering.newCube(node, size, input.quantization);
  poolLayers(lowering, node, input.cube, pooled, axes, method);
  // Another scale, or an activation: one pass more.
  if (!plain)
    lowerRequantize(lowering, node, {
      kind: 'placed',
      cube: pooled,
      strides,
      quantization: input.quantization,
    });
  else result.finish();
}

/** PDP's layers from one cube to another; windows of eight lines and columns at most. */
function poolLayers(
  lowering: Lowering,
  node: Node,
  from: Cube,
  to: Cube,
  axes: { y: Axis; x: Axis },
  method: 'max' | 'min',
): void {
  const rows = cutAxis(axes.y, MAX_CUBE);
  const columns = cutAxis(axes.x, MAX_CUBE, {
    outputs: maxPoolWidth(axes.y.kernel, axes.y.stride) / from.elementBytes,
  });
  if (rows === undefined || columns === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'a window lies wholly in the padding');
  for (const y of rows)
    for (const x of columns) {
      if (Math.max(y.padBegin, y.padEnd, x.padBegin, x.padEnd) > MAX_POOL_PAD)
        throw nodeError(node, 'EOPNOTSUPP', `pads beyond ${MAX_POOL_PAD}`);
      lowering.layers.push({
        kind: 'pool',
        nodes: [nameOf(node)],
        method,
        input: {
          cube: from,
          channel: 0,
          channels: from.channels,
          y: y.inputFrom,
          height: y.inputCount,
          x: x.inputFrom,
          width: x.inputCount,
        },
        output: {
          cube: to,
          channel: 0,
          channels: to.channels,
          y: y.from,
          height: y.count,
          x: x.from,
          width: x.count,
        },
        kernel: { height: axes.y.kernel, width: axes.x.kernel },
        stride: { y: axes.y.stride, x: axes.x.stride },
        pads: { top: y.padBegin, bottom: y.padEnd, left: x.padBegin, right: x.padEnd },
        macs: 0,
        hardwareMacs: 0,
      });
    }
}

export function lowerAveragePool(lowering: Lowering, node: NodeOf<'AveragePool'>): void {
  const window = windowOf(node);
  const { y, x } = window;
  if (y.dilation !== 1 || x.dilation !== 1) throw nodeError(node, 'EOPNOTSUPP', 'dilated windows');
  const out = node.outputs[0]!;
  const size = cubeShape(shapeOf(out));
  if (size === undefined) throw nodeError(node, 'EOPNOTSUPP', 'batch is not 1');
  const countPads = node.attributes.count_include_pad !== 0;
  if (countPads && node.attributes.ceil_mode !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'ceil_mode together with count_include_pad');
  lowerAverage(lowering, node, {
    kernel: { y: y.kernel, x: x.kernel },
    stride: { y: y.stride, x: x.stride },
    pad: { y: y.pad, x: x.pad },
    output: size,
    strides: stridesOn(rowMajor(shapeOf(out)), size.axes),
    countPads,
  });
}

/** GlobalAveragePool, and ReduceMean over the spatial axes of [1,C,H,W]. */
export function lowerGlobalAverage(
  lowering: Lowering,
  node: NodeOf<'GlobalAveragePool'> | NodeOf<'ReduceMean'>,
): void {
  const x = inputOf(node, 0);
  if (node.op === 'ReduceMean') {
    const axes = node.inputs[1]?.data?.numbers();
    const rank = shapeOf(x).length;
    const spatial = axes?.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
    if (rank !== 4 || spatial?.join() !== '2,3')
      throw nodeError(node, 'EOPNOTSUPP', 'a mean over other axes than lines and columns');
  }
  const { cube } = lowering.inCube(node, x);
  const window: AverageWindow = {
    kernel: { y: cube.height, x: cube.width },
    stride: { y: 1, x: 1 },
    pad: { y: 0, x: 0 },
    output: { height: 1, width: 1 },
    strides: { c: 1, y: 0, x: 0 },
    countPads: true,
  };
  lowerAverage(lowering, node, window);
}
