// QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear, as ONNX defines them in single precision.
// Not the integer operators of a quantised graph: those are in quantized.ts.
import { nodeError, type Node, type NodeOf } from '../graph.js';
import { axisOf } from '../geometry.js';
import { elementCount, integerRange, type TypedArray } from '../types.js';
import { encodeSmallFloat, isSmallFloat } from './small-float.js';
import { allocate, decoded, roundHalfEven, type Tensor } from './tensor.js';

/** For element i: the index of its scale. One scale, or one per index of the axis. */
function channelOf(node: Node, axis: number, x: Tensor, scales: number): { inner: number; channels: number } {
  if (scales === 1) return { inner: 1, channels: 1 };
  const at = axisOf(node, axis, x.shape.length);
  if (x.shape[at] !== scales)
    throw nodeError(node, 'EINVAL', `${scales} scales for axis ${at} of size ${x.shape[at]}`);
  return { inner: elementCount(x.shape.slice(at + 1)), channels: scales };
}

/** round(x / scale) to even, plus zero point, saturated; to a small float just rounded (its zero point is 0). */
export function quantizeLinear(
  node: NodeOf<'QuantizeLinear'>,
  x: Tensor,
  scale: Tensor,
  zero: Tensor | undefined,
): TypedArray {
  const type = zero?.type ?? 'uint8';
  const small = isSmallFloat(type);
  const range = small ? { min: 0, max: 0 } : integerRange(type);
  if (range === undefined) throw nodeError(node, 'EOPNOTSUPP', `quantisation to ${type} is not supported`);
  const { inner, channels } = channelOf(node, node.attributes.axis, x, scale.data.length);
  const out = allocate(type, x.data.length) as Int8Array;
  const data = x.data as Float32Array;
  const scales = scale.data as Float32Array;
  for (let i = 0; i < out.length; i++) {
    const c = channels === 1 ? 0 : Math.floor(i / inner) % channels;
    const real = Math.fround(data[i]! / scales[c]!);
    if (small) {
      out[i] = encodeSmallFloat(type, real, node.attributes.saturate !== 0);
      continue;
    }
    const q = roundHalfEven(real) + Number(zero?.data[c] ?? 0);
    out[i] = q < range.min ? range.min : q > range.max ? range.max : q;
  }
  return out;
}

/** (x - zero point) * scale. */
export function dequantizeLinear(
  node: NodeOf<'DequantizeLinear'>,
  x: Tensor,
  scale: Tensor,
  zero: Tensor | undefined,
): TypedArray {
  const { inner, channels } = channelOf(node, node.attributes.axis, x, scale.data.length);
  const out = allocate(scale.type, x.data.length) as Float32Array;
  const data = decoded(x).data as Int8Array;
  const scales = scale.data as Float32Array;
  const zeroData = zero === undefined ? undefined : decoded(zero).data;
  const zeros = Float64Array.from({ length: channels }, (_, c) => Number(zeroData?.[c] ?? 0));
  if (channels === 1) {
    const [s, z] = [scales[0]!, zeros[0]!];
    for (let i = 0; i < out.length; i++) out[i] = (data[i]! - z) * s;
  } else {
    for (let i = 0; i < out.length; i++) {
      const c = Math.floor(i / inner) % channels;
      out[i] = (data[i]! - zeros[c]!) * scales[c]!;
    }
  }
  return out;
}

/** uint8 with the scale that covers the data and 0. */
export function dynamicQuantizeLinear(x: Tensor): TypedArray[] {
  const data = x.data as Float32Array;
  let [low, high] = [0, 0];
  for (const value of data) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const scale = Math.fround((high - low) / 255);
  const zero = scale === 0 ? 0 : Math.min(255, Math.max(0, roundHalfEven(-low / scale)));
  const out = new Uint8Array(data.length);
  for (let i = 0; i < out.length; i++)
    out[i] =
      scale === 0 ? 0 : Math.min(255, Math.max(0, roundHalfEven(Math.fround(data[i]! / scale)) + zero));
  return [out, Float32Array.of(scale), Uint8Array.of(zero)];
}
