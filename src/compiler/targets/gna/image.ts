// Images in memory, and the windows that run over them: sizes, the zeros around them, copies that make room for zeros.
// Not the products of windows: linear.ts.
import { type Node, nodeError, type NodeOf, shapeOf, stridesOf, type Value } from '../../ir/index.js';
import { align, ALIGN, GROUPS_MAX } from './limits.js';
import { type Lowering, type Margins, noMargins, type Pending } from './lowering.js';
import { axesOf, type Dim, spanOf, type View } from './view.js';

/** Sizes of one axis of windows. */
export interface Axis {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly pad: number;
}

/** Zeros that the last window needs after the input. */
function padAfter({ input, output, kernel, stride, dilation, pad }: Axis): number {
  return Math.max(0, (output - 1) * stride + (kernel - 1) * dilation + 1 - pad - input);
}

export interface Window2d {
  readonly y: Axis;
  readonly x: Axis;
}

export function windowOf(node: NodeOf<'Conv'> | NodeOf<'AveragePool'>, x: Value, out: Value): Window2d {
  const { kernel_shape, strides, dilations, pads } = node.attributes;
  const [input, output] = [shapeOf(x), shapeOf(out)];
  const rank = kernel_shape.length;
  if (rank > 2 || input[0] !== 1)
    throw nodeError(node, 'EOPNOTSUPP', rank > 2 ? 'more than two axes' : `a batch of ${input[0]}`);
  const axis = (i: number): Axis => ({
    input: input[2 + i]!,
    output: output[2 + i]!,
    kernel: kernel_shape[i]!,
    stride: strides[i]!,
    dilation: dilations[i] ?? 1,
    pad: pads[i]!,
  });
  const one: Axis = { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, pad: 0 };
  return rank === 1 ? { y: one, x: axis(0) } : { y: axis(0), x: axis(1) };
}

export function marginsOf({ y, x }: Window2d): Margins {
  return { top: y.pad, bottom: padAfter(y), left: x.pad, right: padAfter(x) };
}

/** Zeros that the convolutions among the users of a value want around it. */
export function marginsFor(lowering: Lowering, value: Value): Margins {
  let all = noMargins;
  for (const user of lowering.uses.consumers(value)) {
    if (user.op !== 'Conv' && user.op !== 'AveragePool') continue;
    if (user.attributes.kernel_shape.length > 2 || value.shape?.[0] !== 1) continue;
    const { top, bottom, left, right } = marginsOf(windowOf(user, value, user.outputs[0]!));
    all = {
      top: Math.max(all.top, top),
      bottom: Math.max(all.bottom, bottom),
      left: Math.max(all.left, left),
      right: Math.max(all.right, right),
    };
  }
  return all;
}

/** An image in memory: the places of channels, lines and columns. */
export interface Image {
  readonly view: View;
  readonly channels: readonly Dim[];
  readonly y: Dim;
  readonly x: Dim;
}

const still: Dim = { size: 1, tensor: 0, memory: 0, before: 0, after: 0 };

/** The value as an image [1, C, H, W] or [1, C, W] with at least these zeros around it. */
export function imageOf(lowering: Lowering, node: Node, value: Value, margins: Margins): Image {
  const shape = shapeOf(value);
  const rank = shape.length;
  if ((rank !== 3 && rank !== 4) || shape[0] !== 1)
    throw nodeError(node, 'EOPNOTSUPP', `a tensor of shape [${shape.join(',')}] is no image: batch is 1`);
  const known = lowering.valueOf(node, value);
  if (known.kind === 'pending') {
    const [channels, height, width] = [shape[1]!, rank === 4 ? shape[2]! : 1, shape.at(-1)!];
    const length = (margins.left + width + margins.right) * channels;
    const lines = margins.top + height + margins.bottom;
    const line = lines === 1 ? length : align(length, ALIGN);
    return bindImage(lowering, node, value, known.value, {
      pitch: channels,
      line,
      offset: margins.top * line + margins.left * channels,
      elements: (lines + 1) * line + 2 * ALIGN,
      margins,
    });
  }
  const image = placedImage(known.view, shape);
  if (image === undefined)
    throw nodeError(
      node,
      'EOPNOTSUPP',
      'its input does not lie as an image in memory: it would have to be moved',
    );
  const { y, x } = image;
  const enough =
    y.before >= margins.top &&
    y.after >= margins.bottom &&
    x.before >= margins.left &&
    x.after >= margins.right;
  return enough ? image : padded(lowering, node, image, margins);
}

/** An image from outside, laid out channels first, then columns `pitch` and lines `line` elements apart. */
export function bindImage(
  lowering: Lowering,
  node: Node,
  value: Value,
  pending: Pending,
  at: { pitch: number; line: number; offset: number; elements: number; margins: Margins },
): Image {
  const shape = shapeOf(value);
  const rank = shape.length;
  const { top, bottom, left, right } = at.margins;
  const strides = stridesOf(shape);
  const y: Dim = {
    size: rank === 4 ? shape[2]! : 1,
    tensor: rank === 4 ? strides[2]! : shape[2]!,
    memory: at.line,
    before: top,
    after: bottom,
  };
  const x: Dim = { size: shape.at(-1)!, tensor: 1, memory: at.pitch, before: left, after: right };
  const c: Dim = { size: shape[1]!, tensor: strides[1]!, memory: 1, before: 0, after: 0 };
  const pieces = axesOf(pending.dims, shape);
  if (pieces === undefined || pieces.some((axis) => axis.length > 1))
    throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" lies across the axes of its source`);
  const dims = rank === 4 ? [{ ...still }, c, y, x] : [{ ...still }, c, x];
  const view = lowering.bind(pending, dims, at.elements, at.offset);
  return { view, channels: [c], y, x };
}

export function placedImage(view: View, shape: readonly number[]): Image | undefined {
  const axes = axesOf(view.dims, shape);
  if (axes === undefined) return undefined;
  const [, channels, ...plane] = axes;
  if (plane.some((pieces) => pieces.length > 1)) return undefined;
  const one = (pieces: readonly Dim[] | undefined): Dim => pieces?.[0] ?? still;
  return {
    view,
    channels: channels!,
    y: shape.length === 4 ? one(plane[0]) : still,
    x: one(plane.at(-1)),
  };
}

/** A copy with zeros around it. */
function padded(lowering: Lowering, node: Node, image: Image, margins: Margins): Image {
  const { view, channels, y, x } = image;
  // Columns lie within lines: the axis with the greater steps is the lines'.
  if (y.memory !== 0 && x.memory > y.memory && x.size > 1) {
    const { top, bottom, left, right } = margins;
    const turned = { top: left, bottom: right, left: top, right: bottom };
    const result = padded(lowering, node, { view, channels, y: x, x: y }, turned);
    return { ...result, y: result.x, x: result.y };
  }
  const pitch = x.size > 1 ? x.memory : spanOf(channels);
  if (spanOf(channels) > pitch)
    throw nodeError(node, 'EOPNOTSUPP', 'its channels do not lie together: padding would need a transpose');
  const before = align(margins.left * pitch, ALIGN);
  const line = align(before + (x.size + margins.right) * pitch, ALIGN);
  const plane = lowering.plane(node, line * (y.size + margins.top + margins.bottom + 1) + ALIGN);
  const offset = margins.top * line + before;
  // Eight lines are copied at once: the first of them begins on 64 bytes.
  if (view.offset % ALIGN !== 0 || (y.size > 1 && (y.memory * GROUPS_MAX) % ALIGN !== 0))
    throw nodeError(
      node,
      'EOPNOTSUPP',
      'its lines do not begin on 64 bytes: padding would need to move them',
    );
  lowering.copyLines(
    node,
    { plane: view.plane, offset: view.offset },
    { plane, offset },
    {
      lines: y.size,
      columns: x.size * pitch,
      from: y.size > 1 ? y.memory : x.size * pitch,
      to: line,
    },
  );
  return {
    view: { ...view, plane, offset },
    channels,
    y: { ...y, memory: line, before: margins.top, after: margins.bottom },
    x: { ...x, memory: pitch, before: margins.left, after: margins.right },
  };
}
