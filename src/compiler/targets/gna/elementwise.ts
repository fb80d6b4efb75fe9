// Operators on each element by itself: activations, and products and sums with known tensors, as diagonal layers.
// Not sums of two tensors that the device makes: join.ts.
import {
  type Activation,
  broadcast,
  elementCount,
  inputOf,
  nameOf,
  type Node,
  nodeError,
  type NodeOf,
  sameShape,
  shapeOf,
  type Value,
} from '../../ir/index.js';
import { align, ALIGN, ELEMENT_STEP, ELEMENTS_MAX } from './limits.js';
import { blob, int32Blob, type Lowering } from './lowering.js';
import { type Linear, quantities, storedOf, tableFor } from './scale.js';
import { placesOf, spanOf, type View } from './view.js';
import { segmentsBlob } from './windows.js';

/** The function that a node computes of each element, as a fused activation; undefined for other operators. */
export function activationOf(node: Node): Activation | undefined {
  switch (node.op) {
    case 'Relu':
    case 'Sigmoid':
    case 'Tanh':
      return { op: node.op };
    case 'LeakyRelu':
      return { op: 'LeakyRelu', alpha: node.attributes.alpha };
    case 'Clip': {
      const bound = (i: number, otherwise: number): number => {
        const value = node.inputs[i];
        if (value === undefined) return otherwise;
        if (value.data === undefined)
          throw nodeError(node, 'EOPNOTSUPP', 'its bounds are not known when compiling');
        return value.data.numbers()[0]!;
      };
      return { op: 'Clip', min: bound(1, -Infinity), max: bound(2, Infinity) };
    }
    default:
      return undefined;
  }
}

/** Relu, Clip, LeakyRelu, Sigmoid, Tanh, and Identity between scales. */
export function lowerActivation(lowering: Lowering, node: Node): void {
  const x = inputOf(node, 0);
  const out = node.outputs[0]!;
  const activation = activationOf(node);
  const view = lowering.anywhere(node, x);
  const { scale, limit } = view.stored;
  if (out.quantization !== undefined) {
    const linear = one(node, scale, limit);
    const q = quantities(linear, out, activation, lowering.ranges);
    addDiagonal(lowering, node, view, out, q, { weight: () => q.factor[0]!, bias: () => 0 });
    return;
  }
  // The weight only makes room for the table's steps.
  const weight = 2 ** 14;
  const wanted = storedOf(node, out, lowering.ranges).scale;
  const q = tableFor(activation, scale / weight, wanted);
  const stored = { scale: q.scale, zeroPoint: 0, limit: 32767 };
  addDiagonal(lowering, node, view, out, { ...q, stored }, { weight: () => weight, bias: () => 0 });
}

function one(node: Node, unit: number, limit: number): Linear {
  return { node, filters: 1, inner: 1, weights: [1], unit: [unit], bias: [0], limit };
}

/** Add, Sub, Mul, Div with one known operand: a weight and a bias for each element. */
export function lowerConstant(
  lowering: Lowering,
  node: NodeOf<'Add'> | NodeOf<'Sub'> | NodeOf<'Mul'> | NodeOf<'Div'>,
): void {
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const out = node.outputs[0]!;
  const [x, known] = b.data !== undefined ? [a, b] : [b, a];
  if (known.data === undefined || (node.op === 'Div' && known === a))
    throw nodeError(node, 'EOPNOTSUPP', 'GNA does not divide by a tensor');
  if (!sameShape(shapeOf(out), shapeOf(x)))
    throw nodeError(node, 'EOPNOTSUPP', 'the known operand makes the result larger');
  const view = lowering.anywhere(node, x);
  const given = realsOf(node, known);
  const shape = shapeOf(known);
  const outer = broadcast(shape, shapeOf(x))!;
  const indexes = broadcastIndexes(shape, outer);
  const { scale } = view.stored;
  const count = elementCount(shapeOf(x));
  const weights = new Float64Array(count).fill(1);
  const bias = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const value = given[indexes[i]!]!;
    if (node.op === 'Mul') weights[i] = value;
    else if (node.op === 'Div') weights[i] = 1 / value;
    else {
      bias[i] = (node.op === 'Sub' && known === b ? -value : value) / scale;
      if (node.op === 'Sub' && known === a) weights[i] = -1;
    }
  }
  // To the choice of scales every element is a filter of one weight.
  const linear: Linear = {
    node,
    filters: count,
    inner: 1,
    weights,
    unit: new Float64Array(count).fill(scale),
    bias,
    limit: view.stored.limit,
  };
  const q = quantities(linear, out, node.activation, lowering.ranges);
  addDiagonal(lowering, node, view, out, q, {
    weight: (i) => weights[i]! * q.factor[i]!,
    bias: (i) => q.bias[i]!,
  });
}

/** A known operand's real values. */
function realsOf(node: Node, value: Value): Float64Array {
  const data = Float64Array.from(value.data!.numbers());
  const q = value.quantization;
  if (q === undefined) return data;
  if (q.scale.length !== 1) throw nodeError(node, 'EOPNOTSUPP', 'its known operand has a scale per channel');
  return data.map((x) => (x - q.zeroPoint[0]!) * q.scale[0]!);
}

/** For each element of `outer`, which element of a tensor of `shape` meets it. */
function broadcastIndexes(shape: readonly number[], outer: readonly number[]): Int32Array {
  const missing = outer.length - shape.length;
  let stride = 1;
  const loops = outer.map((size) => ({ size, tensor: 0, memory: 0 }));
  let tensor = 1;
  for (let axis = outer.length - 1; axis >= 0; axis--) {
    const own = axis >= missing ? shape[axis - missing]! : 1;
    loops[axis] = { size: outer[axis]!, tensor, memory: own === 1 ? 0 : stride };
    stride *= own;
    tensor *= outer[axis]!;
  }
  return placesOf(loops);
}

/** A diagonal layer over the memory of `view`, gaps included; the result lies as the input does. */
function addDiagonal(
  lowering: Lowering,
  node: Node,
  view: View,
  out: Value,
  q: Pick<ReturnType<typeof quantities>, 'table' | 'stored' | 'detail'>,
  element: { weight(i: number): number; bias(i: number): number },
): void {
  const lead = view.offset % ALIGN;
  const span = align(lead + spanOf(view.dims), ELEMENT_STEP);
  const plane = lowering.plane(node, span);
  const places = placesOf(view.dims);
  const segments = segmentsBlob(q.table);
  for (let from = 0; from < span; from += ELEMENTS_MAX - (ELEMENTS_MAX % ALIGN)) {
    const count = Math.min(ELEMENTS_MAX - (ELEMENTS_MAX % ALIGN), span - from);
    const fill = (to: Int16Array | Int32Array, of: (i: number) => number): void => {
      places.forEach((place, i) => {
        const at = lead + place - from;
        if (at >= 0 && at < count) to[at] = Math.round(of(i));
      });
    };
    const bias = new Int32Array(count);
    fill(bias, element.bias);
    lowering.add({
      kind: 'diagonal',
      nodes: [nameOf(node)],
      input: { plane: view.plane, offset: view.offset - lead + from },
      output: { plane, offset: from },
      outputs: count,
      weightBytes: 2,
      weights: blob(count * 2, () => {
        const weights = new Int16Array(count);
        fill(weights, element.weight);
        return new Uint8Array(weights.buffer);
      }),
      bias: int32Blob(bias),
      segments,
      segmentCount: q.table.length,
      macs: 0,
      hardwareMacs: count,
      detail: q.detail,
    });
  }
  const dims = view.dims.map((dim) => ({ ...dim, before: 0, after: 0 }));
  lowering.place(out, { plane, offset: lead, dims, stored: q.stored });
}
