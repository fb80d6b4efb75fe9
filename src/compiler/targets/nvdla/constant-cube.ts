// A known tensor as a cube among the constants: an operand of every point.
// Not weights (weights.ts) and not operands per channel, which are vectors.
import type { NvdlaConfig } from '../../../hw/nvdla/index.js';
import { floatToHalf } from '../../ir/evaluate/half.js';
import { roundHalfEven } from '../../ir/evaluate/tensor.js';
import { type Node, nodeError } from '../../ir/index.js';
import type { PendingValue, Strides } from './cube.js';
import { layoutBytes, packedLayout } from './features.js';
import type { ConstantBlob } from './layers.js';
import type { CubeSize } from './lowering.js';
import type { Quantized } from './scale.js';

/**
 * The bytes of a cube of `size` that holds the value; undefined when it is not known at compile time. Int8 and uint8 tensors are stored as
 * int8, floats as fp16.
 */
export function constantBlob(
  { atom }: NvdlaConfig,
  node: Node,
  { source, quantization, part }: PendingValue,
  size: CubeSize,
  strides: Strides,
): ConstantBlob | undefined {
  const { data, type } = source;
  if (data === undefined) return undefined;
  const half = quantization.half === true;
  if (half ? type !== 'float32' : type !== 'int8' && type !== 'uint8')
    throw nodeError(node, 'EOPNOTSUPP', `"${source.name}" is a constant of ${type}`);
  const elementBytes = half ? 2 : 1;
  const layout = packedLayout({ ...size, elementBytes }, atom, strides);
  const perAtom = atom / elementBytes;
  const shift = type === 'uint8' ? 128 : 0;
  const from = part?.from ?? 0;
  return {
    bytes: layoutBytes(layout),
    make: () => {
      const bytes = new Uint8Array(layoutBytes(layout));
      const elements = half ? new Uint16Array(bytes.buffer) : bytes;
      const values = data.array() as Float32Array;
      for (let c = 0; c < size.channels; c++) {
        const surface = (Math.floor(c / perAtom) * layout.surfStride) / elementBytes + (c % perAtom);
        for (let y = 0; y < size.height; y++)
          for (let x = 0; x < size.width; x++) {
            const value = values[from + c * strides.c + y * strides.y + x * strides.x]!;
            const at = surface + (y * layout.lineStride) / elementBytes + x * perAtom;
            elements[at] = half ? floatToHalf(value) : value - shift;
          }
      }
      return bytes;
    },
  };
}

/** The bytes of a cube of `size` that is the real `value` everywhere. */
export function constantFill(
  { atom }: NvdlaConfig,
  size: CubeSize,
  { scale, zeroPoint, half }: Quantized,
  value: number,
): ConstantBlob {
  const layout = packedLayout({ ...size, elementBytes: half ? 2 : 1 }, atom, { c: 0, y: 0, x: 0 });
  const bytes = layoutBytes(layout);
  const stored = Math.max(-128, Math.min(127, roundHalfEven(value / scale) + zeroPoint));
  return {
    bytes,
    make: () =>
      half
        ? new Uint8Array(new Uint16Array(bytes / 2).fill(floatToHalf(value)).buffer)
        : new Uint8Array(bytes).fill(stored),
  };
}
