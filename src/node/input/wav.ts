// RIFF WAVE files: PCM of 8 to 32 bits and 32-bit floats, any number of channels.
// Not a resampler and not a decoder of compressed formats.
import { AccelError } from '../../base/errors.js';

export interface Recording {
  /** Samples per second of each channel. */
  readonly rate: number;
  readonly channels: number;
  /** Mean of the channels, full scale -1 to 1. */
  readonly samples: Float32Array;
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** @throws AccelError EINVAL for what is no whole WAVE file, EOPNOTSUPP for a format that is not read; with the path */
export function decodeWav(bytes: Uint8Array, path: string): Recording {
  const damaged = (reason: string): never => {
    throw new AccelError('EINVAL', { field: path, reason });
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') damaged('is no RIFF WAVE file');
  let format: { code: number; channels: number; rate: number; bits: number } | undefined;
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true);
    const from = at + 8;
    if (tag(at) === 'fmt ') {
      if (size < 16 || from + size > bytes.length) damaged(`its format chunk has ${size} bytes`);
      let code = view.getUint16(from, true);
      // The first two bytes of the sub-format's GUID are the code.
      if (code === EXTENSIBLE && size >= 26) code = view.getUint16(from + 24, true);
      format = {
        code,
        channels: view.getUint16(from + 2, true),
        rate: view.getUint32(from + 4, true),
        bits: view.getUint16(from + 14, true),
      };
      if (format.channels === 0 || format.rate === 0) damaged('it has no channels, or no rate');
    } else if (tag(at) === 'data') {
      if (format === undefined) return damaged('its samples come before their format');
      if (from + size > bytes.length)
        damaged(`is truncated: ${bytes.length - from} of ${size} bytes of samples`);
      return { rate: format.rate, channels: format.channels, samples: mono(view, from, size, format, path) };
    }
    // Chunks are padded to even sizes.
    at = from + size + (size & 1);
  }
  return damaged('has no samples');
}

function mono(
  view: DataView,
  from: number,
  size: number,
  { code, channels, bits }: { code: number; channels: number; bits: number },
  path: string,
): Float32Array {
  const read = reader(view, code, bits);
  if (read === undefined)
    throw new AccelError('EOPNOTSUPP', {
      field: path,
      reason: `WAVE format ${code} of ${bits} bits; read are PCM of 8, 16, 24, 32 bits and floats of 32`,
    });
  const bytes = bits / 8;
  const frames = Math.floor(size / (bytes * channels));
  const samples = new Float32Array(frames);
  for (let frame = 0; frame < frames; frame++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++)
      sum += read(from + (frame * channels + channel) * bytes);
    samples[frame] = sum / channels;
  }
  return samples;
}

function reader(view: DataView, code: number, bits: number): ((at: number) => number) | undefined {
  if (code === FLOAT) return bits === 32 ? (at) => view.getFloat32(at, true) : undefined;
  if (code !== PCM) return undefined;
  switch (bits) {
    case 8:
      return (at) => (view.getUint8(at) - 128) / 128;
    case 16:
      return (at) => view.getInt16(at, true) / 32768;
    case 24:
      return (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 8388608;
    case 32:
      return (at) => view.getInt32(at, true) / 2147483648;
    default:
      return undefined;
  }
}
