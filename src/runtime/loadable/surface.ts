// A loadable's tensor in memory: where its elements lie, its pixels taken out and put in.
// Source: fact sheet section 9 (DlaImage.cpp). Not the file that pixels are kept in: that is dimg.ts.
import { AccelError } from '../../base/errors.js';
import { PixelFormat, TensorDataType, type TensorDescListEntry } from '../../compiler/loadable/index.js';

/** Bytes of an element. @throws AccelError EOPNOTSUPP for a type that the vendor's runtime neither reads nor writes */
export function elementSize({ name, data_type }: TensorDescListEntry): 1 | 2 {
  switch (data_type) {
    case TensorDataType.INT8:
      return 1;
    case TensorDataType.INT16:
    case TensorDataType.HALF:
      return 2;
    default:
      throw new AccelError('EOPNOTSUPP', {
        field: `tensor "${name}": data_type`,
        reason: `${data_type}; half 2, int16 3 and int8 4 are known`,
      });
  }
}

/** Pixels of a row lie `pixel` bytes apart, `lanes` channels together. */
interface Geometry {
  readonly lanes: number;
  readonly pixel: number;
}

function geometryOf(desc: TensorDescListEntry): Geometry {
  const size = elementSize(desc);
  switch (desc.pixel_format) {
    case PixelFormat.FEATURE:
      return { lanes: 32 / size, pixel: 32 };
    case PixelFormat.FEATURE_X8:
      // There are no cubes of 8-byte atoms with 16-bit elements.
      return size === 1 ? { lanes: 8, pixel: 8 } : { lanes: 16, pixel: 32 };
    case PixelFormat.R8:
      return { lanes: 1, pixel: size };
    case PixelFormat.A8B8G8R8:
    case PixelFormat.A16B16G16R16_F:
      return { lanes: 4, pixel: 4 * size };
    default:
      throw new AccelError('EOPNOTSUPP', {
        field: `tensor "${desc.name}": pixel_format`,
        reason: `${desc.pixel_format}; R8 0, A16B16G16R16_F 8, A8B8G8R8 12, FEATURE 36 and FEATURE_X8 37 are known`,
      });
  }
}

/** Bytes of a tensor's pixels without padding. @throws AccelError EINVAL when a memory cannot hold that many */
export function pixelBytes(desc: TensorDescListEntry): number {
  const bytes = desc.c * desc.h * desc.w * elementSize(desc);
  if (desc.n !== 1)
    throw new AccelError('EOPNOTSUPP', {
      field: `tensor "${desc.name}": n`,
      reason: `${desc.n}: a batch of 1 is possible`,
    });
  if (bytes > desc.size)
    throw new AccelError('EINVAL', {
      field: `tensor "${desc.name}": size`,
      reason: `${desc.size} bytes for ${desc.c} x ${desc.h} x ${desc.w} elements`,
    });
  return bytes;
}

/**
 * Calls `visit` with the place in the tensor's memory of each pixel in the order channel, line, column, for one channel after
 * the other. @throws AccelError EINVAL when one lies outside
 */
function everyPixel(desc: TensorDescListEntry, channels: number, visit: (at: number) => void): void {
  const { lanes, pixel } = geometryOf(desc);
  const size = elementSize(desc);
  const [, line = 0, surf = 0] = desc.strides;
  pixelBytes(desc);
  for (let c = 0; c < channels; c++) {
    const surface = Math.floor(c / lanes);
    const first = surface * surf + (c % lanes) * size;
    const last = first + (desc.h - 1) * line + (desc.w - 1) * pixel;
    if (last + size > desc.size)
      throw new AccelError('EINVAL', {
        field: `tensor "${desc.name}": strides`,
        reason: `channel ${c} ends at byte ${last + size} of ${desc.size}`,
      });
    for (let y = 0; y < desc.h; y++) for (let x = 0; x < desc.w; x++) visit(first + y * line + x * pixel);
  }
}

/** That every pixel lies in the tensor's memory. @throws AccelError EINVAL, EOPNOTSUPP */
export function checkPixels(desc: TensorDescListEntry): void {
  everyPixel(desc, desc.c, () => {});
}

/** The tensor's elements, channel by channel, row-major. @throws AccelError EINVAL, EOPNOTSUPP */
export function takePixels(desc: TensorDescListEntry, memory: Uint8Array): Uint8Array {
  const size = elementSize(desc);
  const pixels = new Uint8Array(pixelBytes(desc));
  let to = 0;
  everyPixel(desc, desc.c, (at) => {
    pixels[to++] = memory[at]!;
    if (size === 2) pixels[to++] = memory[at + 1]!;
  });
  return pixels;
}

/**
 * Puts elements into the tensor's memory; everything else there becomes 0. `pixels` may end after fewer channels.
 * @throws AccelError EINVAL, EOPNOTSUPP, with the memory as it was
 */
export function putPixels(desc: TensorDescListEntry, memory: Uint8Array, pixels: Uint8Array): void {
  const size = elementSize(desc);
  const plane = desc.h * desc.w * size;
  const channels = pixels.length / plane;
  if (!Number.isInteger(channels) || channels < 1 || channels > desc.c)
    throw new AccelError('EINVAL', {
      field: `tensor "${desc.name}"`,
      reason: `${pixels.length} bytes given, it takes ${pixelBytes(desc)}: ${desc.c} x ${desc.h} x ${desc.w} of ${size}`,
    });
  const places: number[] = [];
  everyPixel(desc, channels, (at) => places.push(at));
  memory.fill(0);
  places.forEach((at, i) => {
    memory[at] = pixels[i * size]!;
    if (size === 2) memory[at + 1] = pixels[i * size + 1]!;
  });
}
