// Pictures as rows of bytes: PNG, JPEG, PGM and PPM files decoded.
// Not the model's input: cropping, scaling and numbers are prepare.ts.
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { AccelError } from '../../base/errors.js';

/** 8-bit samples, row-major, channels interleaved: 1 is grey, 3 is red, green, blue. Transparency is dropped. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly samples: Uint8Array;
}

/** Most pixels that a picture may have: a header that claims more is refused before memory is taken. */
export const MAX_PIXELS = 64 * 1024 * 1024;

const PNG_MAGIC = 0x89504e47;

/** Decodes by content, not by name. @throws AccelError EINVAL with what is wrong with the file */
export function decodePicture(bytes: Uint8Array, name: string): Picture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (bytes.length >= 24 && view.getUint32(0) === PNG_MAGIC) return decodePng(bytes, view);
    if (bytes.length >= 4 && view.getUint16(0) === 0xffd8) return decodeJpeg(bytes);
    if (bytes.length >= 3 && bytes[0] === 0x50 && '2356'.includes(String.fromCharCode(bytes[1]!)))
      return decodeNetpbm(bytes);
  } catch (error) {
    if (error instanceof AccelError) throw new AccelError(error.code, { field: name, reason: error.reason });
    throw new AccelError('EINVAL', {
      field: name,
      reason: `cannot be decoded: ${error instanceof Error ? error.message : String(error)}`,
      cause: error,
    });
  }
  throw new AccelError('EINVAL', { field: name, reason: 'is no PNG, JPEG, PGM or PPM file' });
}

function checkSize(width: number, height: number): void {
  if (width < 1 || height < 1 || width * height > MAX_PIXELS)
    throw new AccelError('EINVAL', {
      reason: `${width} x ${height} pixels, from 1 to ${MAX_PIXELS} are possible`,
    });
}

function decodePng(bytes: Uint8Array, view: DataView): Picture {
  checkSize(view.getUint32(16), view.getUint32(20));
  const png = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return fromRgba(png.width, png.height, png.data);
}

function decodeJpeg(bytes: Uint8Array): Picture {
  const image = jpeg.decode(bytes, { useTArray: true, maxResolutionInMP: MAX_PIXELS / 1e6 });
  checkSize(image.width, image.height);
  return fromRgba(image.width, image.height, image.data);
}

function fromRgba(width: number, height: number, rgba: Uint8Array): Picture {
  const samples = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < samples.length; from += 4, to += 3) {
    samples[to] = rgba[from]!;
    samples[to + 1] = rgba[from + 1]!;
    samples[to + 2] = rgba[from + 2]!;
  }
  return { width, height, channels: 3, samples };
}

/** P2 and P5 are grey, P3 and P6 colour; text and binary. Comments run from # to the end of the line. */
function decodeNetpbm(bytes: Uint8Array): Picture {
  let at = 2;
  const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);
  const number = (): number => {
    for (; at < bytes.length; at++) {
      if (bytes[at] === 0x23) while (at < bytes.length && bytes[at] !== 10) at++;
      else if (!isSpace(bytes[at]!)) break;
    }
    const start = at;
    let value = 0;
    while (at < bytes.length && bytes[at]! >= 48 && bytes[at]! <= 57) value = value * 10 + bytes[at++]! - 48;
    if (at === start)
      throw new AccelError('EINVAL', {
        reason: `a number was expected at byte ${start}; the file ends early`,
      });
    return value;
  };
  const kind = bytes[1]! - 48;
  const width = number();
  const height = number();
  const most = number();
  checkSize(width, height);
  if (most < 1 || most > 65535)
    throw new AccelError('EINVAL', { reason: `its largest value is ${most}, from 1 to 65535 is possible` });
  const channels = kind === 3 || kind === 6 ? 3 : 1;
  const count = width * height * channels;
  const samples = new Uint8Array(count);
  const scale = 255 / most;
  if (kind >= 5) {
    at++;
    const size = most > 255 ? 2 : 1;
    if (bytes.length - at < count * size)
      throw new AccelError('EINVAL', {
        reason: `${bytes.length - at} bytes of samples, ${count * size} were expected`,
      });
    for (let i = 0; i < count; i++, at += size) {
      const value = size === 1 ? bytes[at]! : (bytes[at]! << 8) | bytes[at + 1]!;
      samples[i] = Math.round(value * scale);
    }
  } else {
    for (let i = 0; i < count; i++) samples[i] = Math.round(number() * scale);
  }
  return { width, height, channels, samples };
}
