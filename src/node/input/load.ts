// An input file to a model's tensor: pictures by the sidecar, raw files by the model's type.
// Not a tensor of a device: these are the model's own elements, row-major.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { AccelError } from '../../base/errors.js';
import { decodePicture, type Picture } from './picture.js';
import { cropRegion, mirrored, preparePicture, type PreparedType, type Region } from './prepare.js';
import { audioWindows } from './audio.js';
import { isAudio, type CalibrationSource, type PicturePreparation, type Sidecar } from './sidecar.js';

/** What of a model's input must be known to read a file for it. */
export interface InputDescriptor {
  readonly name: string;
  readonly dataType: string;
  readonly shape: readonly number[];
}

export type InputArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

const arrays: Readonly<
  Record<string, { new (buffer: ArrayBuffer): InputArray; readonly BYTES_PER_ELEMENT: number }>
> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
};

/** The elements in `buffer` as an array of `dataType`. @throws AccelError EOPNOTSUPP for types without an array */
export function arrayOf(dataType: string, buffer: ArrayBuffer): InputArray {
  const Type = arrays[dataType];
  if (Type === undefined) throw new AccelError('EOPNOTSUPP', { reason: `arrays of type ${dataType}` });
  return new Type(buffer);
}

/** A tensor of zeros for `input`. @throws AccelError EOPNOTSUPP for types without an array */
export function zeros(input: InputDescriptor): InputArray {
  const bytes = arrays[input.dataType]?.BYTES_PER_ELEMENT ?? 0;
  return arrayOf(
    input.dataType,
    new ArrayBuffer(input.shape.reduce((product, size) => product * size, bytes)),
  );
}

const PICTURES = new Set(['.png', '.jpg', '.jpeg', '.pgm', '.ppm', '.pnm']);

/** @throws AccelError ENOENT, EISDIR as EINVAL, EACCES: with the path */
export function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new AccelError('ENOENT', { field: path, reason: 'there is no such file' });
    if (code === 'EACCES') throw new AccelError('EACCES', { field: path, reason: 'may not be read' });
    if (code === 'EISDIR')
      throw new AccelError('EINVAL', { field: path, reason: 'is a folder, a file is needed' });
    throw error;
  }
}

/**
 * The elements of `input` from the file at `path`: a picture where the sidecar says how, else a raw file (.bin) of
 * exactly the tensor's bytes.
 * @throws AccelError EINVAL, ENOENT with the file's name and the way out
 */
export function loadInput(path: string, input: InputDescriptor, sidecar: Sidecar | undefined): InputArray {
  const bytes = readFile(path);
  if (!PICTURES.has(extname(path).toLowerCase())) return fromRaw(bytes, path, input);
  const preparation = sidecar?.inputs[input.name];
  if (preparation === undefined || isAudio(preparation)) {
    const where = sidecar === undefined ? 'the model has no sidecar (NAME.accel.json)' : sidecar.path;
    throw new AccelError('EINVAL', {
      field: path,
      reason: `a picture for input "${input.name}", but ${where} does not say how to prepare it; give a raw .bin file`,
    });
  }
  return prepared(decodePicture(bytes, path), preparation, input);
}

/** Raw little-endian elements. */
function fromRaw(bytes: Uint8Array, path: string, input: InputDescriptor): InputArray {
  const Type = arrays[input.dataType];
  if (Type === undefined)
    throw new AccelError('EOPNOTSUPP', { field: path, reason: `raw files of type ${input.dataType}` });
  const count = input.shape.reduce((product, dimension) => product * dimension, 1);
  const expected = count * Type.BYTES_PER_ELEMENT;
  if (bytes.length !== expected)
    throw new AccelError('EINVAL', {
      field: path,
      reason: `${bytes.length} bytes; input "${input.name}" is ${input.dataType} [${input.shape.join(',')}], ${expected} bytes`,
    });
  // A copy: aligned, and not a part of Node's buffer pool.
  return new Type(new Uint8Array(bytes).buffer);
}

function prepared(
  picture: Picture,
  preparation: PicturePreparation,
  input: InputDescriptor,
  region?: Region,
): InputArray {
  const type = input.dataType;
  if (type !== 'float32' && type !== 'int8' && type !== 'uint8')
    throw new AccelError('EOPNOTSUPP', {
      field: input.name,
      reason: `pictures are prepared to float32, int8 or uint8, the model takes ${type}`,
    });
  const array = preparePicture(
    picture,
    preparation,
    type satisfies PreparedType,
    region ?? cropRegion(picture, preparation.crop),
  );
  const count = input.shape.reduce((product, dimension) => product * dimension, 1);
  if (array.length !== count)
    throw new AccelError('EINVAL', {
      field: input.name,
      reason: `the sidecar prepares ${array.length} elements, the model takes [${input.shape.join(',')}], ${count}`,
    });
  return array;
}

/** Windows of recordings that calibration uses: they follow one another, so more are needed than pictures. */
const CALIBRATION_WINDOWS = 96;

/**
 * The calibration inputs that a sidecar names, made anew on every call: one record of arrays per sample.
 * `count` bounds pictures. Only models whose one input is not carried on (sidecar `state`) have some.
 */
export function calibrationInputs(
  sidecar: Sidecar,
  inputs: readonly InputDescriptor[],
  count = Infinity,
): Record<string, InputArray>[] {
  const carried = new Set(Object.values(sidecar.state));
  const [input, ...others] = inputs.filter(({ name }) => !carried.has(name));
  const preparation = input === undefined ? undefined : sidecar.inputs[input.name];
  if (input === undefined || others.length > 0 || preparation === undefined) return [];
  if (isAudio(preparation))
    return sidecar.calibration
      .flatMap((source) => audioWindows(join(sidecar.folder, source.file), preparation, input))
      .slice(0, CALIBRATION_WINDOWS)
      .map((window) => ({ [input.name]: window }));
  const samples: Record<string, InputArray>[] = [];
  for (const source of sidecar.calibration)
    for (const path of filesOf(sidecar, source)) {
      const picture = decodePicture(readFile(path), path);
      for (const { view, region } of variations(picture, preparation, source)) {
        if (samples.length >= count) return samples;
        samples.push({ [input.name]: prepared(view, preparation, input, region) });
      }
    }
  return samples;
}

function filesOf(sidecar: Sidecar, source: CalibrationSource): string[] {
  const path = join(sidecar.folder, source.file);
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch {
    throw new AccelError('ENOENT', {
      field: sidecar.path,
      reason: `its calibration file ${path} is not there`,
    });
  }
  if (!isFolder) return [path];
  return readdirSync(path)
    .filter((name) => PICTURES.has(extname(name).toLowerCase()))
    .sort()
    .map((name) => join(path, name));
}

function variations(
  picture: Picture,
  preparation: PicturePreparation,
  source: CalibrationSource,
): { view: Picture; region: Region }[] {
  const regions = [cropRegion(picture, preparation.crop)];
  const crops = source.crops ?? 0;
  const side = Math.min(picture.width, picture.height);
  for (let i = 0; i < crops; i++) {
    const share = crops === 1 ? 0.5 : i / (crops - 1);
    regions.push({
      x: Math.floor((picture.width - side) * share),
      y: Math.floor((picture.height - side) * share),
      width: side,
      height: side,
    });
  }
  const views = source.flip === true ? [picture, mirrored(picture)] : [picture];
  return views.flatMap((view) => regions.map((region) => ({ view, region })));
}
