// RNN as recurrent layers: every step's results are the feedback of the next, eight steps to a layer.
// Not LSTM and GRU: a pass writes those out as simpler operators (passes/recurrent.ts).
import {
  type Activation,
  inputOf,
  nameOf,
  type Node,
  nodeError,
  type NodeOf,
  shapeOf,
  type Value,
} from '../../ir/index.js';
import { macsOf } from '../parts.js';
import { align, ALIGN, ELEMENT_STEP, GROUPS_MAX, RECURRENT_STEP } from './limits.js';
import { blob, int32Blob, type Lowering } from './lowering.js';
import { INT16_MAX, INT32_MAX, lineTable, slopeNear } from './pwl.js';
import { storedOf, tableFor } from './scale.js';
import { type At, axesOf, type Dim, placesOf, spanOf, type View } from './view.js';
import { segmentsBlob } from './windows.js';

/** Weights leave so much room: the scale of results, and with it the feedback's weights, is fitted to the table. */
const WEIGHT_ROOM = 0.99;

/** Steps in memory: `pitch` elements apart, the elements of one at `places`. */
interface Sequence {
  readonly at: At;
  readonly pitch: number;
  readonly places: ArrayLike<number>;
  readonly scale: number;
}

/** @throws CompileError EOPNOTSUPP for what the recurrent layer does not have */
export function lowerRecurrent(lowering: Lowering, node: NodeOf<'RNN'>): void {
  const refuse = (rule: string): never => {
    throw nodeError(node, 'EOPNOTSUPP', rule);
  };
  const { direction, clip, activations, layout, hidden_size: hidden } = node.attributes;
  const [, w, r, b, lengths, initial] = node.inputs;
  const shape = shapeOf(inputOf(node, 0));
  const [steps, batch] = layout === 0 ? [shape[0]!, shape[1]!] : [shape[1]!, shape[0]!];
  if (direction !== 'forward') refuse(`direction "${direction}": recurrent layers go forward`);
  if (batch !== 1) refuse(`a batch of ${batch}`);
  if (clip !== 0 || lengths !== undefined) refuse('clips its sums, or has a length for each sequence');
  const activation = activationOf(activations[0] ?? 'Tanh') ?? refuse(`activation ${activations[0]!}`);
  if ([w, r].some((each) => each?.data === undefined) || (b !== undefined && b.data === undefined))
    refuse('its weights are not known when compiling');
  const size = shape[2]!;
  const out = node.outputs[0]!;
  const input = sequenceOf(lowering, node, steps, size);
  const [weights, feedback] = [w!.data!.numbers(), r!.data!.numbers()];
  const biases = b?.data?.numbers();
  const bias = (m: number): number =>
    biases === undefined ? 0 : Number(biases[m]) + Number(biases[hidden + m]);

  // One unit for the sums of all rows: weights fit 16 bits, and no inputs make a sum that leaves 32.
  const wanted = activation.op === 'Relu' ? storedOf(node, out, lowering.ranges).scale : 1 / INT16_MAX;
  let unit = 1e-30;
  for (let m = 0; m < hidden; m++) {
    let all = Math.abs(bias(m));
    let most = 0;
    const take = (weight: number, scale: number): void => {
      const each = Math.abs(weight) * scale;
      all += each * INT16_MAX;
      most = Math.max(most, each);
    };
    for (let i = 0; i < size; i++) take(Number(weights[m * size + i]), input.scale);
    for (let i = 0; i < hidden; i++) take(Number(feedback[m * hidden + i]), wanted);
    unit = Math.max(unit, most / (INT16_MAX * WEIGHT_ROOM), all / ((INT32_MAX - 8) * WEIGHT_ROOM));
  }
  const { table, scale, detail } = tableFor(activation, unit, wanted);

  const rows = align(hidden, RECURRENT_STEP);
  const width = input.pitch + rows;
  // The state before the first step lies before the results.
  const plane = lowering.plane(node, rows * (steps + 1));
  if (initial !== undefined) setState(lowering, node, initial, scale, { plane, offset: 0 });
  const constants = {
    weightBytes: 2,
    weights: blob(rows * width * 2, () => {
      const to = new Int16Array(rows * width);
      for (let m = 0; m < hidden; m++) {
        for (let i = 0; i < size; i++)
          to[m * width + input.places[i]!] = Math.round((Number(weights[m * size + i]) * input.scale) / unit);
        for (let i = 0; i < hidden; i++)
          to[m * width + input.pitch + i] = Math.round((Number(feedback[m * hidden + i]) * scale) / unit);
      }
      return new Uint8Array(to.buffer);
    }),
    bias: int32Blob(
      Int32Array.from({ length: rows }, (_, m) => (m < hidden ? Math.round(bias(m) / unit) : 0)),
    ),
    segments: segmentsBlob(table),
    segmentCount: table.length,
  } as const;
  for (let from = 0; from < steps; from += GROUPS_MAX) {
    const vectors = Math.min(GROUPS_MAX, steps - from);
    lowering.add({
      kind: 'recurrent',
      nodes: [nameOf(node)],
      input: { plane: input.at.plane, offset: input.at.offset + from * input.pitch },
      output: { plane, offset: rows * (from + 1) },
      inputs: input.pitch,
      outputs: rows,
      vectors,
      ...constants,
      macs: (macsOf(node) * vectors) / steps,
      hardwareMacs: vectors * rows * width,
      detail,
    });
  }
  const stored = { scale, zeroPoint: 0, limit: INT16_MAX };
  const each: Dim = { size: hidden, tensor: 1, memory: 1, before: 0, after: 0 };
  const along: Dim = { size: steps, tensor: hidden, memory: rows, before: 0, after: 0 };
  lowering.place(out, { plane, offset: rows, dims: [along, each], stored });
  const last = node.outputs[1];
  if (last !== undefined) lowering.place(last, { plane, offset: rows * steps, dims: [each], stored });
}

function activationOf(name: string): Activation | undefined {
  const known = ['Tanh', 'Relu', 'Sigmoid'] as const;
  const op = known.find((each) => each.toLowerCase() === name.toLowerCase());
  return op === undefined ? undefined : { op };
}

/** The input with its steps in eights apart, behind each other. */
function sequenceOf(lowering: Lowering, node: Node, steps: number, size: number): Sequence {
  const x = inputOf(node, 0);
  const known = lowering.valueOf(node, x);
  const pitch = align(size, ELEMENT_STEP);
  const elements = steps * pitch + ALIGN;
  if (known.kind === 'pending') {
    const dims = shapeOf(x).map((length, axis): Dim => {
      const inner = axis === 2;
      const memory = length === 1 ? 0 : inner ? 1 : pitch;
      return { size: length, tensor: inner ? 1 : size, memory, before: 0, after: 0 };
    });
    const pieces = axesOf(known.value.dims, shapeOf(x));
    if (pieces === undefined || pieces.some((axis) => axis.length > 1))
      throw nodeError(node, 'EOPNOTSUPP', `"${x.name}" lies across the axes of its source`);
    const view = lowering.bind(known.value, dims, elements, 0);
    return { at: view, pitch, places: ramp(size), scale: view.stored.scale };
  }
  const { view } = known;
  const axes = axesOf(view.dims, [steps, size]);
  if (axes === undefined || axes[0]!.length > 1)
    throw nodeError(node, 'EOPNOTSUPP', 'its steps do not lie evenly in memory');
  const places = placesOf(axes[1]!);
  const span = align(spanOf(axes[1]!), ELEMENT_STEP);
  const step = steps === 1 ? span : axes[0]![0]!.memory;
  const { scale } = view.stored;
  const inEights = step % ELEMENT_STEP === 0;
  if (view.offset % ALIGN === 0 && inEights && step >= span) return { at: view, pitch: step, places, scale };
  if (view.offset % ALIGN !== 0 || (step * GROUPS_MAX) % ALIGN !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'its steps do not begin on 64 bytes');
  const plane = lowering.plane(node, steps * span + ALIGN);
  const at = { plane, offset: 0 };
  lowering.copyLines(node, view, at, { lines: steps, columns: span, from: step, to: span });
  return { at, pitch: span, places, scale };
}

function ramp(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}

/** Puts a state before the results, in their scale. */
function setState(lowering: Lowering, node: Node, value: Value, scale: number, at: At): void {
  const count = align(shapeOf(value).at(-1)!, ELEMENT_STEP);
  const known = lowering.valueOf(node, value);
  if (known.kind === 'pending') {
    // The host quantises it to what the layer's own results have.
    if (value.data !== undefined) {
      if (value.data.numbers().every((each) => Number(each) === 0)) return;
      throw nodeError(node, 'EOPNOTSUPP', 'a constant as its initial state that is not zero');
    }
    if (known.value.stored.scale > 1.25 * scale * (1 + 1e-6))
      throw nodeError(node, 'EOPNOTSUPP', 'an initial state larger than its results can be');
    const { length } = shapeOf(value);
    const dims = shapeOf(value).map((size, axis): Dim => ({
      size,
      tensor: 1,
      memory: axis === length - 1 ? 1 : 0,
      before: 0,
      after: 0,
    }));
    const stored = { scale, zeroPoint: 0, limit: INT16_MAX };
    const view = lowering.bind({ ...known.value, stored }, dims, count, 0);
    lowering.copyLines(node, view, at, { lines: 1, columns: count, from: count, to: count });
    return;
  }
  const { view } = known;
  moveState(lowering, node, view, scale, count, at);
}

/** A state that the device made, brought to another scale. */
function moveState(lowering: Lowering, node: Node, view: View, scale: number, count: number, at: At): void {
  const inARow = placesOf(view.dims).every((place, i) => place === i);
  if (!inARow || view.offset % ALIGN !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'its initial state does not lie in a row from 64 bytes on');
  const weight = 2 ** 14;
  const table = lineTable(slopeNear(view.stored.scale / weight / scale), -INT16_MAX, INT16_MAX);
  lowering.add({
    kind: 'diagonal',
    nodes: [nameOf(node)],
    input: { plane: view.plane, offset: view.offset },
    output: at,
    outputs: count,
    weightBytes: 2,
    weights: blob(count * 2, () => new Uint8Array(new Int16Array(count).fill(weight).buffer)),
    bias: int32Blob(new Int32Array(count)),
    segments: segmentsBlob(table),
    segmentCount: table.length,
    macs: 0,
    hardwareMacs: count,
  });
}
