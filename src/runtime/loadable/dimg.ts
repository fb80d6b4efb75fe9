// DIMG files: the pixels of one tensor with its geometry, as the vendor's runtime reads and writes them.
// Source: fact sheet section 9. Not a picture of people's: those become pixels in picture.ts.
import { AccelError } from '../../base/errors.js';
import { struct, u32 } from '../../base/struct.js';
import { PixelFormat, TensorDataType, type TensorDescListEntry } from '../../compiler/loadable/index.js';
import { elementSize } from './surface.js';

const MAGIC = 0x474d4944; // "DIMG"
const VERSION = 0;

const Header = struct(
  'NvDlaImage',
  {
    magic: u32,
    version: u32,
    surfaceFormat: u32,
    width: u32,
    height: u32,
    channel: u32,
    lineStride: u32,
    surfaceStride: u32,
    size: u32,
  },
  { bytes: 36 },
);

export interface Dimg {
  /** A code of `DimgFormat` or of `OldDimgFormat`: the file does not say which list it means. */
  readonly surfaceFormat: number;
  readonly width: number;
  readonly height: number;
  readonly channel: number;
  /** Bytes, of the tensor that the pixels were taken from. */
  readonly lineStride: number;
  readonly surfaceStride: number;
  readonly size: number;
  /** 1, 2 or 4 bytes each, channel by channel, row-major; without padding. */
  readonly pixels: Uint8Array;
}

/** Feature cubes of 32-byte and 8-byte atoms. */
export const DimgFormat = { INT8_X32: 40, INT8_X8: 41, INT16: 42, FP16: 43 } as const;

/** The list that the vendor's runtime had when its regression results were made, with loadables up to DLA version 0.11. */
export const OldDimgFormat = { INT8_X32: 40, INT16: 41, FP16: 42 } as const;

/** @throws AccelError EINVAL with what is wrong with the file */
export function readDimg(bytes: Uint8Array): Dimg {
  const wrong = (field: string, reason: string): never => {
    throw new AccelError('EINVAL', { call: 'readDimg', field, reason });
  };
  if (bytes.length < Header.size) wrong('file', `${bytes.length} bytes, a header has ${Header.size}`);
  const { magic, version, ...meta } = Header.from(bytes);
  if (magic !== MAGIC) wrong('file', 'does not begin with DIMG');
  if (version !== VERSION) wrong('version', `${version}, ${VERSION} is known`);
  const pixels = bytes.subarray(Header.size);
  const count = meta.width * meta.height * meta.channel;
  if (count === 0) wrong('width', `${meta.width} x ${meta.height} x ${meta.channel} pixels`);
  if (![1, 2, 4].includes(pixels.length / count))
    wrong('file', `${pixels.length} bytes of pixels for ${meta.channel} x ${meta.height} x ${meta.width}`);
  return { ...meta, pixels };
}

export function writeDimg({ pixels, ...meta }: Dimg): Uint8Array {
  const bytes = new Uint8Array(Header.size + pixels.length);
  Header.put(bytes, { magic: MAGIC, version: VERSION, ...meta });
  bytes.set(pixels, Header.size);
  return bytes;
}

/**
 * The file of a feature tensor's pixels. `codes` says which list of formats: the vendor's runtime of today, or that of its
 * regression results. @throws AccelError EOPNOTSUPP for tensors that are no feature cubes
 */
export function dimgOf(
  desc: TensorDescListEntry,
  pixels: Uint8Array,
  codes: 'today' | 'old' = 'today',
): Dimg {
  const { name, pixel_format, data_type } = desc;
  const narrow = pixel_format === PixelFormat.FEATURE_X8;
  if (!narrow && pixel_format !== PixelFormat.FEATURE)
    throw new AccelError('EOPNOTSUPP', {
      field: `tensor "${name}": pixel_format`,
      reason: `${pixel_format}: DIMG files are made of feature cubes, 36 and 37`,
    });
  const list = codes === 'old' ? OldDimgFormat : DimgFormat;
  const surfaceFormat =
    elementSize(desc) === 1
      ? narrow
        ? DimgFormat.INT8_X8
        : list.INT8_X32
      : data_type === TensorDataType.HALF
        ? list.FP16
        : list.INT16;
  return {
    surfaceFormat,
    width: desc.w,
    height: desc.h,
    channel: desc.c,
    lineStride: desc.strides[1]!,
    surfaceStride: desc.strides[2]!,
    size: desc.size,
    pixels,
  };
}
