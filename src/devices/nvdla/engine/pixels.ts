// The pixel formats of images: which element lies where, and how wide. Fact sheet section 3.5.
// Not conversion, and not sign: PIXEL_SIGN_OVERRIDE alone says whether integers are signed, whatever the format's name.
import { AccelError } from '../../../base/errors.js';

/** How the elements of a pixel lie in memory. */
export interface PixelLayout {
  /** Elements of a pixel: the channels of the input. */
  readonly elements: number;
  /** Bytes of a pixel in the first plane. */
  readonly pixelBytes: number;
  /** Byte offset in the pixel of elements R, G, B, A (Y, U, V, A). Semi-planar: U and V in the second plane's pair. */
  readonly order: readonly number[];
  readonly planes: 1 | 2;
  /** Bytes of an element when it is fetched; 10-bit elements of a 32-bit word become the high bits of 16. */
  readonly elementBytes: 1 | 2;
  /** Elements of one 32-bit word: the lowest bit of each, instead of bytes. */
  readonly bits?: readonly number[];
  readonly float: boolean;
}

const integer = { planes: 1, float: false } as const;
const bytes4 = (...order: number[]): PixelLayout => ({
  ...integer,
  elements: 4,
  pixelBytes: 4,
  elementBytes: 1,
  order,
});
const words4 = (...order: number[]): PixelLayout => ({
  ...integer,
  elements: 4,
  pixelBytes: 8,
  elementBytes: 2,
  order: order.map((element) => 2 * element),
});
/** 10 bits of three elements and 2 of the fourth. */
const packed10 = (...bits: number[]): PixelLayout => ({
  ...integer,
  elements: 4,
  pixelBytes: 4,
  elementBytes: 2,
  order: [0, 0, 0, 0],
  bits,
});
const semiPlanar = (elementBytes: 1 | 2, u: 0 | 1, v: 0 | 1): PixelLayout => ({
  elements: 3,
  pixelBytes: elementBytes,
  elementBytes,
  order: [0, u * elementBytes, v * elementBytes],
  planes: 2,
  float: false,
});
const word: PixelLayout = { ...integer, elements: 1, pixelBytes: 2, elementBytes: 2, order: [0] };

/** By PIXEL_FORMAT. */
const layouts: readonly PixelLayout[] = [
  // R8, R10, R12, R16, R16_I, R16_F
  { ...integer, elements: 1, pixelBytes: 1, elementBytes: 1, order: [0] },
  word,
  word,
  word,
  word,
  { ...word, float: true },
  // A16B16G16R16, X16B16G16R16, A16B16G16R16_F, A16Y16U16V16, V16U16Y16A16, A16Y16U16V16_F
  words4(0, 1, 2, 3),
  words4(0, 1, 2, 3),
  { ...words4(0, 1, 2, 3), float: true },
  words4(2, 1, 0, 3),
  words4(1, 2, 3, 0),
  { ...words4(2, 1, 0, 3), float: true },
  // A8B8G8R8, A8R8G8B8, B8G8R8A8, R8G8B8A8, and the same with X
  bytes4(0, 1, 2, 3),
  bytes4(2, 1, 0, 3),
  bytes4(1, 2, 3, 0),
  bytes4(3, 2, 1, 0),
  bytes4(0, 1, 2, 3),
  bytes4(2, 1, 0, 3),
  bytes4(1, 2, 3, 0),
  bytes4(3, 2, 1, 0),
  // A2B10G10R10, A2R10G10B10, B10G10R10A2, R10G10B10A2, A2Y10U10V10, V10U10Y10A2
  packed10(0, 10, 20, 30),
  packed10(20, 10, 0, 30),
  packed10(2, 12, 22, 0),
  packed10(22, 12, 2, 0),
  packed10(20, 10, 0, 30),
  packed10(2, 12, 22, 0),
  // A8Y8U8V8, V8U8Y8A8
  bytes4(2, 1, 0, 3),
  bytes4(1, 2, 3, 0),
  // Y8 with U8V8, V8U8; the same of 10, 12 and 16 bits
  semiPlanar(1, 1, 0),
  semiPlanar(1, 0, 1),
  semiPlanar(2, 1, 0),
  semiPlanar(2, 0, 1),
  semiPlanar(2, 1, 0),
  semiPlanar(2, 0, 1),
  semiPlanar(2, 1, 0),
  semiPlanar(2, 0, 1),
];

/** Bits of element `index` of a packed word: the fourth has two. */
export const packedBits = (index: number): number => (index === 3 ? 2 : 10);

/** @throws AccelError EINVAL for a number that is no format */
export function pixelLayout(format: number): PixelLayout {
  const layout = layouts[format];
  if (layout === undefined)
    throw new AccelError('EINVAL', { field: 'PIXEL_FORMAT', reason: `${format} is no pixel format` });
  return layout;
}
