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
/** Bits of element `index` of a packed word: the fourth has two. */
export declare const packedBits: (index: number) => number;
/** @throws AccelError EINVAL for a number that is no format */
export declare function pixelLayout(format: number): PixelLayout;
