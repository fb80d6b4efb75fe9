// Fused 2D convolutions of 3.0: one layer for a Conv and the maximum behind it.
// Not 1D convolutions, a layer per line: windows.ts. Fact sheet section 5.7.
//
// The layer reads a rectangle [rows][columns][depth] without gaps and pads it with zeros alike on both sides. So a plane with zeros
// around its image is read whole, and what the model pads on one side only is made up for by zero weights in front of the kernel.
import { nameOf, type NodeOf, shapeOf, type Value } from '../../ir/index.js';
import { macsOf } from '../parts.js';
import { type Axis, bindImage, type Image, placedImage, type Window2d } from './image.js';
import { align, ALIGN, CONV2D, ELEMENT_STEP, FILTER_SIZE_MAX, GROUPS_MAX } from './limits.js';
import type { Lowering } from './lowering.js';
import { type Linear, quantities, sameScale } from './scale.js';
import { type Dim, placesOf, spanOf, type View } from './view.js';
import { Rows } from './windows.js';

export interface FusedConv {
  readonly node: NodeOf<'Conv'>;
  readonly window: Window2d;
  readonly filters: number;
  readonly groups: number;
  linear(input: View): Linear;
  /** The first channel of a filter's group. */
  groupOf(f: number): number;
}

/** One axis of the rectangle that the layer reads, and of its windows. */
interface Extent {
  /** Elements of the rectangle, and those of them before the image. */
  readonly total: number;
  readonly lead: number;
  /** What is known to be zero around the image within the rectangle. */
  readonly before: number;
  readonly after: number;
}

interface AxisPlan extends Extent {
  readonly pad: number;
  /** Taps of the hardware's kernel; the first `skip` are zero. */
  readonly kernel: number;
  readonly skip: number;
  readonly stride: number;
  /** The first result that is wanted, and how many the layer makes. */
  readonly first: number;
  readonly made: number;
}

interface Pool {
  readonly node: NodeOf<'MaxPool'>;
  readonly window: number;
  readonly stride: number;
  readonly ceil: boolean;
}

interface Plan {
  readonly rows: AxisPlan;
  readonly columns: AxisPlan;
  readonly macs: number;
}

/** More multiply-accumulates than 1D convolutions would take are worth it up to this factor: those are a layer per line. */
const WORTH = 1.5;
/** Results that do not lie where the next layer's zeros should be cost a copy. */
const INEXACT = 2;

/**
 * Adds the layer if the shapes are legal and it is worth it. False: it was not. `padded`: the input with the model's zeros around it
 * in memory, which may make a narrow image wide enough; undefined to take the input as it is.
 */
export function lowerFused(lowering: Lowering, conv: FusedConv, padded?: Image): boolean {
  const { node, window, filters } = conv;
  const [x, out] = [node.inputs[0]!, node.outputs[0]!];
  const shape = shapeOf(x);
  if (!lowering.config.format3 || shape.length !== 4 || shape[0] !== 1) return false;
  const wide = align(filters, ELEMENT_STEP);
  if (wide > CONV2D.filtersMax) return false;
  const pool = poolAfter(lowering, out);
  const known = lowering.valueOf(node, x);
  let image = padded;
  let plan: Plan | undefined;
  if (image === undefined && known.kind === 'pending') {
    const pitch = align(shape[1]!, ELEMENT_STEP);
    plan = best(
      conv,
      pitch,
      wide,
      pool,
      extentsInside(window.y).map((rows) => [rows] as const),
      extentsInside(window.x),
    );
    if (plan === undefined || !isWorth(conv, shape, wide, plan)) return false;
    const [rows, columns] = [plan.rows.total, plan.columns.total];
    image = bindImage(lowering, node, x, known.value, {
      pitch,
      line: columns * pitch,
      offset: 0,
      elements: rows * columns * pitch,
      margins: { top: 0, left: 0, bottom: plan.rows.after, right: plan.columns.after },
    });
  } else {
    if (known.kind === 'placed') image ??= placedImage(known.view, shape);
    if (image === undefined) return false;
    plan = planPlaced(conv, image, wide, pool);
    if (plan === undefined || !isWorth(conv, shape, wide, plan)) return false;
  }
  addFused(lowering, conv, image, plan, wide, pool);
  return true;
}

/** The maximum that the layer can take along: the only user of the convolution, in the same segment. */
function poolAfter(lowering: Lowering, value: Value): Pool | undefined {
  const users = lowering.uses.consumers(value);
  const node = users[0];
  if (users.length !== 1 || lowering.uses.isOutput(value) || node?.op !== 'MaxPool') return undefined;
  const { kernel_shape, strides, dilations, pads, ceil_mode } = node.attributes;
  const [window, stride] = [kernel_shape[0]!, strides[0]!];
  const square = kernel_shape.length === 2 && kernel_shape[1] === window && strides[1] === stride;
  const plain = dilations.every((each) => each === 1) && pads.every((pad) => pad === 0);
  const fits = window <= CONV2D.poolMax && stride <= CONV2D.poolMax;
  const requantises = value.quantization !== undefined && !sameScale(node, value, node.outputs[0]!);
  if (!lowering.nodes.has(node) || node.outputs.length > 1 || !square || !plain || !fits || requantises)
    return undefined;
  return { node, window, stride, ceil: ceil_mode !== 0 };
}

/** Rectangles of an image that is still to be laid out: as it is, or with the zeros after it in memory. */
function extentsInside(axis: Axis): Extent[] {
  const { input, output, kernel, stride, dilation, pad } = axis;
  const end = (output - 1) * stride + (kernel - 1) * dilation + 1 - pad;
  const totals = new Set([input, end].map((size) => Math.max(CONV2D.sizeMin, input, size)));
  return [...totals].map((total) => ({ total, lead: 0, before: 0, after: total - input }));
}

/** The rectangle may begin wherever 64 bytes begin, at the image or in what lies before it. */
function planPlaced(
  conv: FusedConv,
  image: Image,
  filters: number,
  pool: Pool | undefined,
): Plan | undefined {
  const turned = image.x.memory > image.y.memory;
  const [y, x] = turned ? [image.x, image.y] : [image.y, image.x];
  const pitch = x.memory;
  if (x.size < 2 || y.size < 2 || pitch % ELEMENT_STEP !== 0 || y.memory % pitch !== 0) return undefined;
  if (spanOf(image.channels) > pitch) return undefined;
  const total = y.memory / pitch;
  const columnsOf = (rowLead: number): Extent[] => {
    const extents: Extent[] = [];
    for (let lead = 0; lead <= total - x.size; lead++) {
      const start = image.view.offset - rowLead * y.memory - lead * pitch;
      if (start < 0) break;
      if (start % ALIGN === 0) extents.push({ total, lead, before: x.before, after: x.after });
    }
    return extents;
  };
  let found: Plan | undefined;
  for (let lead = 0; lead <= y.before; lead++) {
    const rows: Extent[] = [];
    for (let after = 0; after <= y.after; after++)
      rows.push({ total: lead + y.size + after, lead, before: y.before, after });
    const window = turned ? { y: conv.window.x, x: conv.window.y } : conv.window;
    const plan = best({ ...conv, window }, pitch, filters, pool, [rows], columnsOf(lead));
    if (plan !== undefined && (found === undefined || plan.macs < found.macs)) found = plan;
  }
  return found;
}

/** The cheapest legal plan over all rectangles. */
function best(
  { window }: Pick<FusedConv, 'window'>,
  depth: number,
  filters: number,
  pool: Pool | undefined,
  rows: readonly (readonly Extent[])[],
  columns: readonly Extent[],
): Plan | undefined {
  let found: Plan | undefined;
  let least = Infinity;
  for (const extent of rows.flat())
    for (const y of axisPlans(window.y, extent, pool)) {
      if (extent.total < CONV2D.sizeMin || extent.total > CONV2D.heightMax) continue;
      for (const across of columns) {
        if (across.total < CONV2D.sizeMin || across.total > CONV2D.widthMax) continue;
        for (const x of axisPlans(window.x, across, pool)) {
          if (depth > CONV2D.depthMax(x.kernel)) continue;
          const macs = y.made * x.made * filters * y.kernel * x.kernel * depth;
          const exact =
            y.first === 0 && x.first === 0 && y.made === window.y.output && x.made === window.x.output;
          const cost = exact ? macs : macs * INEXACT;
          if (cost >= least) continue;
          least = cost;
          found = { rows: y, columns: x, macs };
        }
      }
    }
  return found;
}

/** All ways to have the windows of an axis: padding, zero weights in front. */
function axisPlans(axis: Axis, extent: Extent, pool: Pool | undefined): AxisPlan[] {
  const { input, output, stride, dilation } = axis;
  const { total, lead, before, after } = extent;
  const taps = (axis.kernel - 1) * dilation + 1;
  const start = lead - axis.pad;
  const end = start + (output - 1) * stride + taps;
  // What windows touch besides the image must be known to be zero.
  if (lead - Math.max(0, start) > before) return [];
  if (Math.min(end, total) > lead + input + after) return [];
  const plans: AxisPlan[] = [];
  for (let skip = 0; taps + skip <= CONV2D.kernelMax; skip++) {
    const kernel = taps + skip;
    if (stride > kernel) continue;
    for (let pad = 0; pad < kernel; pad++) {
      const first = (start + pad - skip) / stride;
      const made = Math.floor((total + 2 * pad - kernel) / stride) + 1;
      if (first < 0 || !Number.isInteger(first) || first + output > made) continue;
      if (pool !== undefined && (first !== 0 || (pool.ceil && made !== output))) continue;
      // Every window of the maximum has something in it.
      if (pool !== undefined && (pooledOf(made, pool) - 1) * pool.stride >= made) continue;
      plans.push({ ...extent, pad, kernel, skip, stride, first, made });
    }
  }
  return plans;
}

/** Results of an axis after the maximum. */
function pooledOf(made: number, pool: Pool | undefined): number {
  return pool === undefined ? made : Math.ceil((made - pool.window) / pool.stride) + 1;
}

/** Against what 1D convolutions would take: one filter over all lines where that fits, else lines interleaved. */
function isWorth(
  { window, groups }: FusedConv,
  shape: readonly number[],
  filters: number,
  plan: Plan,
): boolean {
  const { y, x } = window;
  const channels = shape[1]!;
  const taps = (x.kernel - 1) * x.dilation + 1;
  const spread = (y.kernel - 1) * y.dilation * (x.input + 2 * x.pad) * channels + taps * channels;
  const close = y.kernel * taps * channels;
  const places = y.output * x.output;
  const filter = spread + ALIGN <= FILTER_SIZE_MAX ? spread : close;
  const fits = filter + ALIGN <= FILTER_SIZE_MAX && (filter === spread || y.kernel <= GROUPS_MAX);
  if (groups > 1 && !fits) return true;
  return !fits || plan.macs <= WORTH * places * filters * align(filter, ELEMENT_STEP);
}

function addFused(
  lowering: Lowering,
  conv: FusedConv,
  image: Image,
  plan: Plan,
  filters: number,
  pool: Pool | undefined,
): void {
  const { node, groupOf } = conv;
  const out = node.outputs[0]!;
  const linear = conv.linear(image.view);
  const q = quantities(linear, out, node.activation, lowering.ranges);
  const turned = image.x.memory > image.y.memory;
  const [lines, columns] = turned ? [image.x, image.y] : [image.y, image.x];
  const { rows, columns: across } = plan;
  const depth = columns.memory;
  const channels = placesOf(image.channels);
  const { y, x } = conv.window;
  const kernel = y.kernel * x.kernel;
  const place = (f: number, i: number): number => {
    const c = Math.floor(i / kernel);
    const ky = Math.floor((i % kernel) / x.kernel) * y.dilation;
    const kx = (i % x.kernel) * x.dilation;
    const [row, column] = turned ? [kx, ky] : [ky, kx];
    return ((row + rows.skip) * across.kernel + column + across.skip) * depth + channels[groupOf(f) + c]!;
  };
  const size = rows.kernel * across.kernel * depth;
  const constants = new Rows({ linear, quantities: q, taps: { place, span: size } }, filters, false);
  const pooled = { width: pooledOf(across.made, pool), height: pooledOf(rows.made, pool) };
  const line = pooled.width * filters;
  const result = pool === undefined ? out : pool.node.outputs[0]!;
  const wanted = shapeOf(result);
  const [height, width] = turned ? [wanted[3]!, wanted[2]!] : [wanted[2]!, wanted[3]!];
  // Rows of zeros below make images high enough for the next layer.
  const below = Math.max(CONV2D.kernelMax, CONV2D.sizeMin - pooled.height);
  const plane = lowering.plane(node, (pooled.height + below) * line + ALIGN);
  lowering.add({
    kind: 'conv2d',
    nodes: pool === undefined ? [nameOf(node)] : [nameOf(node), nameOf(pool.node)],
    input: {
      plane: image.view.plane,
      offset: image.view.offset - rows.lead * lines.memory - across.lead * depth,
    },
    output: { plane, offset: 0 },
    width: across.total,
    height: rows.total,
    depth,
    filters,
    kernel: { width: across.kernel, height: rows.kernel },
    stride: { width: across.stride, height: rows.stride },
    pad: { width: across.pad, height: rows.pad },
    convolved: { width: across.made, height: rows.made },
    ...(pool === undefined ? {} : { pool: { window: pool.window, stride: pool.stride } }),
    pooled,
    ...constants.constants(0, size),
    macs: macsOf(node),
    hardwareMacs: plan.macs,
    detail: { ...q.detail, filter: size },
  });
  const offset = (rows.first * pooled.width + across.first) * filters;
  const steps = tensorSteps(wanted, turned);
  const after = pooled.height === height ? below : 0;
  const dims: Dim[] = [
    { size: wanted[1]!, tensor: steps.channel, memory: 1, before: 0, after: 0 },
    { size: height, tensor: steps.row, memory: line, before: 0, after },
    { size: width, tensor: steps.column, memory: filters, before: 0, after: 0 },
  ];
  lowering.place(result, { plane, offset, dims, stored: q.stored });
  if (pool !== undefined) lowering.done.add(pool.node);
}

function tensorSteps(
  [, , height, width]: readonly number[],
  turned: boolean,
): { channel: number; row: number; column: number } {
  const [row, column] = [width!, 1];
  return { channel: height! * width!, row: turned ? column : row, column: turned ? row : column };
}
