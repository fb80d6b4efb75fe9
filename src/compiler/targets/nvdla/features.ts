// Feature cubes: where elements lie, and copying tensors in and out. Fact sheet section 3.1.
// Not a memory plan: a cube starts wherever its owner put it.
import type { FeatureLayout } from '../program.js';

/** Bytes of one line (a row of atoms) and of one surface, packed. */
export function packedLayout(
  cube: {
    readonly channels: number;
    readonly height: number;
    readonly width: number;
    readonly elementBytes: 1 | 2;
  },
  atom: number,
  strides: FeatureLayout['strides'],
): FeatureLayout {
  const { channels, height, width, elementBytes } = cube;
  const lineStride = width * atom;
  return {
    kind: 'feature',
    channels,
    height,
    width,
    atom,
    elementBytes,
    lineStride,
    surfStride: lineStride * height,
    strides,
  };
}

/** Bytes from the first element to the end of the last atom. */
export function layoutBytes(layout: FeatureLayout): number {
  const { channels, height, width, atom, elementBytes, lineStride, surfStride } = layout;
  return (
    (Math.ceil((channels * elementBytes) / atom) - 1) * surfStride + (height - 1) * lineStride + width * atom
  );
}

/** Byte offset of element (c, y, x) of an int8 cube. */
export function featureOffset(layout: FeatureLayout, c: number, y: number, x: number): number {
  const surface = Math.floor(c / layout.atom);
  return surface * layout.surfStride + y * layout.lineStride + x * layout.atom + (c - surface * layout.atom);
}

/**
 * Copies a row-major int8 tensor into a cube at `bytes[0]`. Channels up to the atom are left as they are: they meet no weight.
 */
export function packFeatures(layout: FeatureLayout, tensor: Int8Array, bytes: Uint8Array): void {
  const { channels, height, width, atom, lineStride, surfStride, strides } = layout;
  for (let c0 = 0, surface = 0; c0 < channels; c0 += atom, surface += surfStride) {
    const count = Math.min(atom, channels - c0);
    for (let y = 0; y < height; y++) {
      let to = surface + y * lineStride;
      let from = c0 * strides.c + y * strides.y;
      for (let x = 0; x < width; x++, to += atom, from += strides.x)
        for (let c = 0, at = from; c < count; c++, at += strides.c) bytes[to + c] = tensor[at]!;
    }
  }
}

/** Copies a cube at `bytes[0]` into a row-major int8 tensor. */
export function unpackFeatures(layout: FeatureLayout, bytes: Uint8Array, tensor: Int8Array): void {
  const { channels, height, width, atom, lineStride, surfStride, strides } = layout;
  for (let c0 = 0, surface = 0; c0 < channels; c0 += atom, surface += surfStride) {
    const count = Math.min(atom, channels - c0);
    for (let y = 0; y < height; y++) {
      let from = surface + y * lineStride;
      let to = c0 * strides.c + y * strides.y;
      for (let x = 0; x < width; x++, from += atom, to += strides.x)
        for (let c = 0, at = to; c < count; c++, at += strides.c) tensor[at] = bytes[from + c]!;
    }
  }
}
