// A picture to the numbers a model takes: crop, area average, normalise, quantise, lay out.
// Not a decoder, and no resampler for show: area averaging is the only one.
import { AccelError } from '../../base/errors.js';
import type { Picture } from './picture.js';
import type { PicturePreparation } from './sidecar.js';

/** A part of a picture, in whole pixels. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Element types that pictures are prepared to. */
export type PreparedType = 'float32' | 'int8' | 'uint8';
export type PreparedArray = Float32Array | Int8Array | Uint8Array;

/** The part that `crop` takes. An odd margin is rounded down at the left and top. */
export function cropRegion(picture: Picture, crop: PicturePreparation['crop']): Region {
  const { width, height } = picture;
  if (crop === 'none') return { x: 0, y: 0, width, height };
  const side = Math.min(width, height);
  return { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), width: side, height: side };
}

/**
 * Area average of `region` at `width` x `height`: a target pixel is the plain mean of every source pixel it touches.
 * Returns means as double values, row-major, channels interleaved.
 */
export function areaAverage(picture: Picture, region: Region, width: number, height: number): Float64Array {
  const { channels, samples } = picture;
  const out = new Float64Array(width * height * channels);
  const sums = new Float64Array(channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const top = Math.floor(region.y + (y * region.height) / height);
    const bottom = Math.ceil(region.y + ((y + 1) * region.height) / height);
    for (let x = 0; x < width; x++) {
      const left = Math.floor(region.x + (x * region.width) / width);
      const right = Math.ceil(region.x + ((x + 1) * region.width) / width);
      sums.fill(0);
      for (let row = top; row < bottom; row++) {
        let from = (row * picture.width + left) * channels;
        for (let column = left; column < right; column++)
          for (let c = 0; c < channels; c++) sums[c]! += samples[from++]!;
      }
      const count = (right - left) * (bottom - top);
      for (let c = 0; c < channels; c++) out[to++] = sums[c]! / count;
    }
  }
  return out;
}

/** The same picture mirrored left to right. */
export function mirrored(picture: Picture): Picture {
  const { width, height, channels } = picture;
  const samples = new Uint8Array(picture.samples.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        samples[(y * width + x) * channels + c] =
          picture.samples[(y * width + (width - 1 - x)) * channels + c]!;
  return { width, height, channels, samples };
}

/** Whether the outermost pixels are brighter than half on average. */
function hasBrightBorder({ width, height, channels, samples }: Picture): boolean {
  let sum = 0;
  let count = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (x > 0 && x < width - 1 && y > 0 && y < height - 1) continue;
      for (let c = 0; c < channels; c++) sum += samples[(y * width + x) * channels + c]!;
      count += channels;
    }
  return sum / count > 127.5;
}

/**
 * The model's input array from a picture, `region` of it when given, else what the preparation crops.
 * Reals are float32: mean, then (v - mean) / std. Integers are rounded half up from real / scale, then clamped.
 * @throws AccelError EINVAL when the model's type needs a `quantise` entry that is not there
 */
export function preparePicture(
  picture: Picture,
  preparation: PicturePreparation,
  type: PreparedType,
  region: Region = cropRegion(picture, preparation.crop),
): PreparedArray {
  const { width, height, quantise } = preparation;
  if (type !== 'float32' && quantise === undefined)
    throw new AccelError('EINVAL', {
      field: 'quantise',
      reason: `the model takes ${type}, so the preparation needs scale and zeroPoint`,
    });
  const invert = preparation.background === 'dark' && hasBrightBorder(picture);
  const means = areaAverage(picture, region, width, height);
  const channels = preparation.colour === 'grey' ? 1 : 3;
  const pixels = width * height;
  const array = makeArray(type, pixels * channels);
  const [least, most] = type === 'uint8' ? [0, 255] : [-128, 127];
  const planar = preparation.layout === 'NCHW';
  for (let c = 0; c < channels; c++) {
    const mean = typeof preparation.mean === 'number' ? preparation.mean : preparation.mean[c]!;
    const std = typeof preparation.std === 'number' ? preparation.std : preparation.std[c]!;
    for (let i = 0; i < pixels; i++) {
      const value = sample(means, i, picture.channels, preparation.colour, c);
      const real = Math.fround((Math.fround(invert ? 255 - value : value) - mean) / std);
      const to = planar ? c * pixels + i : i * channels + c;
      if (type === 'float32') array[to] = real;
      else {
        const quantised = Math.round(real / quantise!.scale) + quantise!.zeroPoint;
        array[to] = Math.min(most, Math.max(least, quantised));
      }
    }
  }
  return array;
}

function makeArray(type: PreparedType, length: number): PreparedArray {
  if (type === 'float32') return new Float32Array(length);
  return type === 'int8' ? new Int8Array(length) : new Uint8Array(length);
}

/** Channel `c` of target pixel `i`; grey from colour is the BT.601 luma. */
function sample(
  means: Float64Array,
  i: number,
  channels: 1 | 3,
  colour: PicturePreparation['colour'],
  c: number,
): number {
  if (channels === 1) return means[i]!;
  const at = i * 3;
  if (colour === 'grey') return 0.299 * means[at]! + 0.587 * means[at + 1]! + 0.114 * means[at + 2]!;
  return means[at + (colour === 'bgr' ? 2 - c : c)]!;
}
