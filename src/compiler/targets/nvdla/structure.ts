// Operators that only say how a tensor is read: they move nothing, the next layer or the host reads with other strides.
// Not those that have to copy: Concat is in elementwise.ts.
import { inputOf, type Node, nodeError, type NodeOf, shapeOf } from '../../ir/index.js';
import { type DeviceValue, reshapeDims, storedQuantization, transposeStrides } from './cube.js';
import { lowerRequantize } from './elementwise.js';
import type { Lowering } from './lowering.js';

/** Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout: the same elements in the same order under another shape. */
export function lowerReshape(lowering: Lowering, node: Node): void {
  const out = node.outputs[0]!;
  const known = lowering.valueOf(node, inputOf(node, 0));
  checkSameQuantization(node, known);
  if (known.kind === 'placed') {
    lowering.define(out, known);
    return;
  }
  const dims = reshapeDims(known.dims, shapeOf(out));
  if (dims === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'its input is transposed: the new shape would need a copy');
  lowering.define(out, { ...known, dims });
}

export function lowerTranspose(lowering: Lowering, node: NodeOf<'Transpose'>): void {
  const x = inputOf(node, 0);
  const out = node.outputs[0]!;
  const { perm } = node.attributes;
  const known = lowering.valueOf(node, x);
  checkSameQuantization(node, known);
  if (known.kind === 'pending') {
    lowering.define(out, { ...known, dims: perm.map((axis) => known.dims[axis]!) });
    return;
  }
  const strides = transposeStrides(known, shapeOf(x), perm);
  if (strides === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'an axis of its cube is no axis of the tensor');
  lowering.define(out, { ...known, strides });
}

/** The host quantises when it puts the tensor into its cube; a value that the device has is requantised, or is as it should be. */
export function lowerQuantizeLinear(lowering: Lowering, node: NodeOf<'QuantizeLinear'>): void {
  const x = inputOf(node, 0);
  const out = node.outputs[0]!;
  const quantization = storedQuantization(node, out);
  const known = lowering.made(x);
  if (known === undefined) {
    if (x.type !== 'float32') throw nodeError(node, 'EOPNOTSUPP', `its input is ${x.type}`);
    lowering.definePending(out, x, quantization);
    return;
  }
  if (
    known.quantization.scale === quantization.scale &&
    known.quantization.zeroPoint === quantization.zeroPoint
  )
    lowering.define(out, known);
  else if (known.kind === 'placed') lowerRequantize(lowering, node, known);
  else throw nodeError(node, 'EOPNOTSUPP', 'requantises a tensor that no layer made');
}

/** The host dequantises when it takes the tensor out. No layer reads the float tensor. */
export function lowerDequantizeLinear(lowering: Lowering, node: NodeOf<'DequantizeLinear'>): void {
  const known = lowering.valueOf(node, inputOf(node, 0));
  lowering.define(node.outputs[0]!, known);
}

function checkSameQuantization(node: Node, known: DeviceValue): void {
  const out = node.outputs[0]!;
  // A float view of a dequantised value keeps what it stands for.
  if (out.type === 'float32') return;
  const { scale, zeroPoint } = storedQuantization(node, out);
  if (scale !== known.quantization.scale || zeroPoint !== known.quantization.zeroPoint)
    throw nodeError(node, 'EOPNOTSUPP', 'moves elements and changes their scale');
}
