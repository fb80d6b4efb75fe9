// A file as the pixels of a loadable's input: a DIMG file, a raw one, or a picture converted as the vendor's runtime does.
// Not the memory of the tensor: runtime/loadable puts them there.
import { extname } from 'node:path';
import { AccelError } from '../../base/errors.js';
import type { TensorDescListEntry } from '../../compiler/loadable/index.js';
import { type Normalization, pixelBytes, pixelsOf, readDimg } from '../../runtime/loadable/index.js';
import { readFile } from './load.js';
import { decodePicture } from './picture.js';

/**
 * The elements that a file holds for a tensor, channel by channel, row-major.
 * @throws AccelError EINVAL, ENOENT, EOPNOTSUPP with the file's name
 */
export function loadPixels(
  path: string,
  desc: TensorDescListEntry,
  normalization: Normalization,
): Uint8Array {
  const bytes = new Uint8Array(readFile(path));
  try {
    switch (extname(path).toLowerCase()) {
      case '.dimg':
        return fromDimg(bytes, desc);
      case '.bin':
        return fromRaw(bytes, desc);
      default:
        return pixelsOf(desc, decodePicture(bytes, path), normalization);
    }
  } catch (error) {
    if (!(error instanceof AccelError) || error.field === path) throw error;
    throw new AccelError(error.code, {
      field: path,
      reason: [error.field, error.reason].filter((part) => part !== undefined).join(': '),
      cause: error,
    });
  }
}

function fromDimg(bytes: Uint8Array, desc: TensorDescListEntry): Uint8Array {
  const { width, height, channel, pixels } = readDimg(bytes);
  if (width !== desc.w || height !== desc.h || channel !== desc.c || pixels.length !== pixelBytes(desc)) {
    const reason = `${channel} x ${height} x ${width} pixels in ${pixels.length} bytes, "${desc.name}" takes ${desc.c} x ${desc.h} x ${desc.w} in ${pixelBytes(desc)}`;
    throw new AccelError('EINVAL', { reason });
  }
  return pixels;
}

function fromRaw(bytes: Uint8Array, desc: TensorDescListEntry): Uint8Array {
  const expected = pixelBytes(desc);
  if (bytes.length !== expected) {
    const reason = `${bytes.length} bytes, "${desc.name}" takes ${desc.c} x ${desc.h} x ${desc.w} in ${expected}`;
    throw new AccelError('EINVAL', { reason });
  }
  return bytes;
}
