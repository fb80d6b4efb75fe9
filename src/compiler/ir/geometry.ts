// What constant inputs say about axes: which ones, what part of them, how much padding, what new size.
// Not shapes of results: infer.ts makes those of this, and the evaluator its loops.
import { constantInput, inputOf, type Node, nodeError, type NodeOf, shapeOf } from './graph.js';
import type { Shape } from './types.js';

/** The axis as a number from 0; throws EINVAL when it is outside the rank. */
export function axisOf(node: Node, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= rank)
    throw nodeError(node, 'EINVAL', `axis ${axis} is outside rank ${rank}`);
  return positive;
}

/** Axes from 0, each once; throws EINVAL for one that is outside the rank or there twice. */
export function axesOf(node: Node, axes: readonly number[], rank: number): number[] {
  const positive = axes.map((axis) => axisOf(node, axis, rank));
  if (new Set(positive).size !== positive.length)
    throw nodeError(node, 'EINVAL', `axes ${axes.join(',')} repeat`);
  return positive;
}

/** numpy's broadcasting of several shapes; undefined when they do not fit. */
export function broadcast(...shapes: readonly Shape[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i;
      const dim = shape[i]!;
      if (dim === 1 || dim === result[at]) continue;
      if (result[at] !== 1) return undefined;
      result[at] = dim;
    }
  }
  return result;
}

/** Starts, step counts and steps of a Slice for every axis of the input. */
export function sliceRanges(node: NodeOf<'Slice'>): { start: number[]; step: number[]; size: number[] } {
  const shape = shapeOf(inputOf(node, 0));
  const starts = constantInput(node, 1)!;
  const ends = constantInput(node, 2)!;
  const axes = constantInput(node, 3) ?? starts.map((_, i) => i);
  const steps = constantInput(node, 4) ?? starts.map(() => 1);
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length)
    throw nodeError(node, 'EINVAL', 'starts, ends, axes and steps differ in length');
  const start = shape.map(() => 0);
  const step = shape.map(() => 1);
  const size = [...shape];
  axesOf(node, axes, shape.length).forEach((axis, i) => {
    const dim = shape[axis]!;
    const by = steps[i]!;
    if (by === 0) throw nodeError(node, 'EINVAL', 'a step is 0');
    const clamp = (n: number, low: number, high: number) =>
      Math.min(Math.max(n < 0 ? n + dim : n, low), high);
    const from = by > 0 ? clamp(starts[i]!, 0, dim) : clamp(starts[i]!, 0, dim - 1);
    const to = by > 0 ? clamp(ends[i]!, 0, dim) : clamp(ends[i]!, -1, dim - 1);
    start[axis] = from;
    step[axis] = by;
    size[axis] = Math.max(0, Math.ceil((to - from) / by));
  });
  return { start, step, size };
}

/** Begin and end pads of a Pad node for every axis. */
export function padsOf(node: NodeOf<'Pad'>): { begin: number[]; end: number[] } {
  const shape = shapeOf(inputOf(node, 0));
  const pads = constantInput(node, 1)!;
  const given = constantInput(node, 3);
  const axes = given === undefined ? [...shape.keys()] : axesOf(node, given, shape.length);
  if (pads.length !== 2 * axes.length)
    throw nodeError(node, 'EINVAL', `${pads.length} pads for ${axes.length} axes`);
  const begin = shape.map(() => 0);
  const end = shape.map(() => 0);
  axes.forEach((axis, i) => {
    begin[axis] = pads[i]!;
    end[axis] = pads[i + axes.length]!;
  });
  return { begin, end };
}

/** Output size and scale of a Resize for every axis of the input. */
export function resizeGeometry(node: NodeOf<'Resize'>): { size: number[]; scale: number[] } {
  const shape = shapeOf(inputOf(node, 0));
  const { axes: given, keep_aspect_ratio_policy: policy } = node.attributes;
  const axes = given.length === 0 ? [...shape.keys()] : axesOf(node, given, shape.length);
  const size = [...shape];
  const scale = shape.map(() => 1);
  const scales = constantInput(node, 2);
  const sizes = constantInput(node, 3);
  if (scales !== undefined && scales.length > 0) {
    if (scales.length !== axes.length)
      throw nodeError(node, 'EINVAL', `${scales.length} scales for ${axes.length} axes`);
    axes.forEach((axis, i) => {
      if (!(scales[i]! > 0)) throw nodeError(node, 'EINVAL', `scale ${scales[i]} is not positive`);
      scale[axis] = scales[i]!;
      size[axis] = Math.floor(shape[axis]! * scales[i]!);
    });
  } else if (sizes !== undefined) {
    if (sizes.length !== axes.length)
      throw nodeError(node, 'EINVAL', `${sizes.length} sizes for ${axes.length} axes`);
    const ratios = axes.map((axis, i) => sizes[i]! / shape[axis]!);
    const common =
      policy === 'not_larger'
        ? Math.min(...ratios)
        : policy === 'not_smaller'
          ? Math.max(...ratios)
          : undefined;
    axes.forEach((axis, i) => {
      scale[axis] = common ?? ratios[i]!;
      size[axis] = common === undefined ? sizes[i]! : Math.floor(common * shape[axis]! + 0.5);
    });
  } else throw nodeError(node, 'EINVAL', 'neither scales nor sizes are given');
  return { size, scale };
}
