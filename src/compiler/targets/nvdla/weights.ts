// Packs kernels into the order in which the hardware reads them. Fact sheet section 3.3.
// Not a quantiser: weights come as int8, or as floats that fp16 can hold. Compression and Winograd are not used.
import type { NvdlaConfig } from '../../../hw/nvdla/index.js';
import { floatToHalf } from '../../ir/evaluate/half.js';
import { align, WEIGHT_ALIGN } from './limits.js';

/** Kernels as [kernels][channels][height][width], row-major (ONNX's order). */
export interface Kernels {
  /** Floats become fp16. */
  readonly data: Int8Array | Float32Array;
  readonly kernels: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Bytes that packed weights take, zero padding included. */
export function packedWeightBytes(w: Omit<Kernels, 'data'>, elementBytes: 1 | 2 = 1): number {
  return align(w.kernels * w.channels * w.height * w.width * elementBytes, WEIGHT_ALIGN);
}

/**
 * Kernel group (atomic K) -> channel block (atomic C, the last one partial and not padded) -> row -> column -> kernel in the group ->
 * channel in the block. The end is padded with zeros to 128 bytes.
 */
export function packWeights(config: NvdlaConfig, w: Kernels): Uint8Array {
  const { data, kernels, channels, height, width } = w;
  const half = data instanceof Float32Array;
  const bytes = new Uint8Array(packedWeightBytes(w, half ? 2 : 1));
  const packed = half ? new Uint16Array(bytes.buffer) : bytes;
  const atomicK = half ? config.atomicK / 2 : config.atomicK;
  const plane = height * width;
  const perKernel = channels * plane;
  let to = 0;
  for (let k0 = 0; k0 < kernels; k0 += atomicK) {
    const k1 = Math.min(k0 + atomicK, kernels);
    for (let c0 = 0; c0 < channels; c0 += config.atomicC) {
      const c1 = Math.min(c0 + config.atomicC, channels);
      for (let at = 0; at < plane; at++)
        for (let k = k0; k < k1; k++) {
          const from = k * perKernel + at;
          for (let c = c0; c < c1; c++) {
            const value = data[from + c * plane]!;
            packed[to++] = half ? floatToHalf(value) : value;
          }
        }
    }
  }
  return bytes;
}

/** A vector of fp16 operands. */
export function packHalves(values: ArrayLike<number>): Uint8Array {
  return new Uint8Array(Uint16Array.from(Array.from(values), (value) => floatToHalf(value)).buffer);
}

/** A vector of int16 operands, little-endian. */
export function packWords(values: Int16Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    view.setInt16(i * 2, value, true);
  });
  return bytes;
}

/** The inverse of `packWeights`, for tests and for people who read programs. */
export function unpackWeights(
  config: NvdlaConfig,
  packed: Uint8Array,
  shape: Omit<Kernels, 'data'>,
): Int8Array {
  const { kernels, channels, height, width } = shape;
  const indices = new Int32Array(kernels * channels * height * width);
  const plane = height * width;
  let at = 0;
  for (let k0 = 0; k0 < kernels; k0 += config.atomicK)
    for (let c0 = 0; c0 < channels; c0 += config.atomicC)
      for (let p = 0; p < plane; p++)
        for (let k = k0; k < Math.min(k0 + config.atomicK, kernels); k++)
          for (let c = c0; c < Math.min(c0 + config.atomicC, channels); c++)
            indices[at++] = (k * channels + c) * plane + p;
  const data = new Int8Array(indices.length);
  for (let i = 0; i < indices.length; i++) data[indices[i]!] = packed[i]!;
  return data;
}

/** Values of per-kernel operands of one SDP sub-operation, interleaved (alu, mul) as type BOTH wants; int16, little-endian. */
export function packOperands(alu: Int16Array, mul: Int16Array): Uint8Array {
  const bytes = new Uint8Array(alu.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < alu.length; i++) {
    view.setInt16(i * 4, alu[i]!, true);
    view.setInt16(i * 4 + 2, mul[i]!, true);
  }
  return bytes;
}
