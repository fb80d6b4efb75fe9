// Maxima over windows: along lines with a 1D convolution of ones that pools, then along columns with another.
// Not averages: those are convolutions (linear.ts).
//
// The pooling of the hardware runs over neighbouring places of one line. The second pass walks down columns, and its results lie column by
// column: the next layer reads them so.
import { type Node, nodeError, type NodeOf, inputOf, shapeOf, stridesOf } from '../../ir/index.js';
import { ELEMENT_STEP, hasConvolution } from './limits.js';
import { imageOf, marginsFor } from './image.js';
import { type Lowering, noMargins } from './lowering.js';
import { INT16_MAX, lineTable } from './pwl.js';
import { type Linear, type Quantities, sameScale } from './scale.js';
import { type At, placesOf, type Stored } from './view.js';
import { addWindows, type Results, type Run, viewOf } from './windows.js';

/** Weights of the passes: sums are this times the elements, which tables divide by exactly. */
const ONE = 2 ** 8;

export function lowerMaxPool(lowering: Lowering, node: NodeOf<'MaxPool'> | NodeOf<'GlobalMaxPool'>): void {
  const x = inputOf(node, 0);
  const out = node.outputs[0]!;
  const shape = shapeOf(x);
  const rank = shape.length - 2;
  const whole = shape.slice(2);
  const { kernel_shape, strides, dilations, pads } =
    node.op === 'MaxPool'
      ? node.attributes
      : { kernel_shape: whole, strides: whole, dilations: [1, 1], pads: [0, 0, 0, 0] };
  if (node.outputs.length > 1 || dilations.some((each) => each !== 1))
    throw nodeError(node, 'EOPNOTSUPP', 'indexes of maxima, or dilation');
  if (pads.some((pad) => pad !== 0))
    throw nodeError(node, 'EOPNOTSUPP', 'padding of a maximum: zeros would take part');
  if (rank < 1 || rank > 2 || shape[0] !== 1)
    throw nodeError(node, 'EOPNOTSUPP', 'it is not one image of one or two axes');
  if (!hasConvolution(lowering.config))
    throw nodeError(node, 'EOPNOTSUPP', `GNA ${lowering.config.generation} has no pooling`);
  if (x.quantization !== undefined && !sameScale(node, x, out))
    throw nodeError(node, 'EOPNOTSUPP', 'takes maxima and changes their scale');
  const image = imageOf(lowering, node, x, noMargins);
  const channels = shape[1]!;
  const places = placesOf(image.channels);
  const q: Quantities = {
    factor: new Float64Array(channels).fill(ONE),
    bias: new Int32Array(channels),
    table: lineTable({ slope: 1 << 8, shift: 16 }, -INT16_MAX, INT16_MAX),
    stored: image.view.stored,
    detail: {},
  };
  const sizes = shapeOf(out);
  const one = (i: number): { window: number; stride: number; outputs: number } => ({
    window: kernel_shape[i]!,
    stride: strides[i]!,
    outputs: sizes[2 + i]!,
  });
  const pass = (
    input: At,
    span: number,
    place: (c: number) => number,
    rows: Run,
    columns: Run,
    pool: ReturnType<typeof one>,
    margins = noMargins,
  ): Results => {
    // The last window may be cut off by the end of the image (ceil_mode): no places beyond may take part.
    const full = (pool.outputs - 1) * pool.stride + pool.window;
    const count = Math.min(columns.count, full);
    if (full > count && columns.step % ELEMENT_STEP !== 0)
      throw nodeError(node, 'EOPNOTSUPP', 'an incomplete window of elements that do not lie in eights');
    return addWindows(lowering, {
      node,
      linear: identity(node, channels, image.view.stored),
      quantities: q,
      taps: { place, span },
      input,
      grid: { rows, columns: { ...columns, count } },
      pool,
      margins,
      macs: 0,
    });
  };
  const span = places.reduce((a, b) => Math.max(a, b), 0) + 1;
  const start = { plane: image.view.plane, offset: image.view.offset };
  const tensor = stridesOf(sizes);
  const last = rank - 1;
  const margins = marginsFor(lowering, out);
  const runX = { count: image.x.size, step: image.x.memory };
  if (rank === 1 || (kernel_shape[0] === 1 && strides[0] === 1)) {
    const rows = { count: image.y.size, step: image.y.memory };
    const results = pass(start, span, (c) => places[c]!, rows, runX, one(last), margins);
    const size = { filters: channels, rows: rows.count, columns: sizes.at(-1)! };
    const strides = { filter: tensor[1]!, row: rank === 2 ? tensor[2]! : 0, column: tensor.at(-1)! };
    lowering.place(out, viewOf(results, q.stored, size, strides));
    return;
  }
  const lines = pass(
    start,
    span,
    (c) => places[c]!,
    { count: image.y.size, step: image.y.memory },
    runX,
    one(1),
  );
  const columns = sizes[3]!;
  const turned = { top: margins.left, bottom: margins.right, left: margins.top, right: margins.bottom };
  const results = pass(
    { plane: lines.plane, offset: lines.offset },
    channels,
    (c) => c,
    { count: columns, step: lines.pitch },
    { count: image.y.size, step: lines.line },
    one(0),
    turned,
  );
  lowering.place(
    out,
    viewOf(
      results,
      q.stored,
      { filters: channels, rows: columns, columns: sizes[2]! },
      { filter: tensor[1]!, row: tensor[3]!, column: tensor[2]! },
    ),
  );
}

function identity(node: Node, channels: number, stored: Stored): Linear {
  return {
    node,
    filters: channels,
    inner: 1,
    weights: new Float64Array(channels).fill(1),
    unit: new Float64Array(channels).fill(stored.scale),
    bias: new Float64Array(channels),
    limit: stored.limit,
  };
}
