// A picture as a loadable's input: the vendor's conversion of 8-bit samples to int8 or half.
// Source: fact sheet section 9 (TestUtils.cpp createImageCopy). Not decoding of files: that is node/input.
import { AccelError } from '../../base/errors.js';
import { floatToHalf } from '../../compiler/ir/evaluate/half.js';
import { TensorDataType, type TensorDescListEntry } from '../../compiler/loadable/index.js';

/** 8-bit samples, row-major, interleaved: 1 channel is grey, 3 are red, green, blue. */
export interface Samples {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly samples: Uint8Array;
}

export interface Normalization {
  /** Taken off each channel, blue first; only for half. Default 0. */
  readonly mean?: readonly number[];
  /** What the difference is divided by; only for half. Default 1. */
  readonly normalize?: number;
}

/** The vendor's own limit. */
const MOST_CHANNELS = 16;

/**
 * Elements of the tensor, channel by channel (blue, green, red): int8 = floor(v * 127 / 255 + 0.5), half = (v - mean) / normalize.
 * A tensor with more channels than the picture keeps 0 in the others.
 * @throws AccelError EINVAL when the sizes differ; EOPNOTSUPP for other types
 */
export function pixelsOf(
  desc: TensorDescListEntry,
  picture: Samples,
  { mean = [], normalize = 1 }: Normalization = {},
): Uint8Array {
  const { width, height, samples } = picture;
  const grey = picture.channels === 1 || (desc.c === 1 && isGrey(samples));
  const channels = grey ? 1 : 3;
  if (width !== desc.w || height !== desc.h)
    throw new AccelError('EINVAL', {
      field: `input "${desc.name}"`,
      reason: `a picture of ${width} x ${height}, it takes ${desc.w} x ${desc.h}`,
    });
  if (channels > desc.c || desc.c > MOST_CHANNELS)
    throw new AccelError('EINVAL', {
      field: `input "${desc.name}"`,
      reason: `a picture of ${channels} channels, it has ${desc.c}`,
    });
  const plane = width * height;
  const step = picture.channels;
  const convert = converter(desc, mean, normalize);
  const values = new (desc.data_type === TensorDataType.HALF ? Uint16Array : Int8Array)(channels * plane);
  for (let c = 0; c < channels; c++) {
    const lane = grey ? 0 : 2 - c;
    for (let i = 0; i < plane; i++) values[c * plane + i] = convert(samples[i * step + lane]!, c);
  }
  return new Uint8Array(values.buffer);
}

function isGrey(samples: Uint8Array): boolean {
  for (let i = 0; i < samples.length; i += 3)
    if (samples[i] !== samples[i + 1] || samples[i] !== samples[i + 2]) return false;
  return true;
}

function converter(
  { name, data_type }: TensorDescListEntry,
  mean: readonly number[],
  normalize: number,
): (value: number, channel: number) => number {
  if (data_type === TensorDataType.INT8) return (value) => Math.floor((value * 127) / 255 + 0.5);
  if (data_type === TensorDataType.HALF)
    return (value, channel) =>
      floatToHalf(Math.fround(Math.fround(value - Math.fround(mean[channel] ?? 0)) / normalize), 'away');
  throw new AccelError('EOPNOTSUPP', {
    field: `input "${name}": data_type`,
    reason: `${data_type}: pictures become half 2 or int8 4`,
  });
}
