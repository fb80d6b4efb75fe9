// The file beside a model, NAME.accel.json: how its inputs are made, what its outputs mean, what is carried on, calibration.
// Not part of the model: a model runs without one, from raw files.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AccelError } from '../../base/errors.js';

/** How a picture becomes numbers: crop, area average, then (v - mean) / std, then quantised when the model's input is. */
export interface PicturePreparation {
  readonly width: number;
  readonly height: number;
  readonly colour: 'rgb' | 'bgr' | 'grey';
  readonly layout: 'NCHW' | 'NHWC';
  /** `centre` takes the largest centred square; `none` takes all of it, whatever its aspect. */
  readonly crop: 'centre' | 'none';
  readonly resample: 'area';
  /** `dark`: a picture whose border is brighter than half is inverted first (ink on paper). */
  readonly background?: 'dark';
  /** One number, or one per channel. */
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
  /** Of the model's own integer input; absent where it takes floats. */
  readonly quantise?: { readonly scale: number; readonly zeroPoint: number };
}

/**
 * How a recording becomes windows, one inference each: `context` samples of before, then `hop` new ones. With `logMel` frames in
 * place of samples, from each to the next `hop` samples.
 */
export interface AudioPreparation {
  /** Samples per second. */
  readonly rate: number;
  readonly context: number;
  readonly hop: number;
  /** Samples that a frame is made of, its numbers, and frames per window: the next window begins a frame later. */
  readonly logMel?: { readonly fft: number; readonly bands: number; readonly frames: number };
}

export type Preparation = PicturePreparation | AudioPreparation;

export function isAudio(preparation: Preparation | undefined): preparation is AudioPreparation {
  return preparation !== undefined && 'hop' in preparation;
}

/** A calibration input made from a file: as it is, and its variations. */
export interface CalibrationSource {
  /** Path from the sidecar's folder. A folder stands for all pictures in it. */
  readonly file: string;
  /** Adds the picture mirrored left to right. */
  readonly flip?: boolean;
  /** Adds this many overlapping square crops, evenly spaced along the longer side. */
  readonly crops?: number;
}

export interface OutputMeaning {
  /** Class names by index, or the path of a file with one name per line. */
  readonly labels?: readonly string[] | string;
  /** `probabilities` are shown as they are, `scores` through a softmax, `logits` likewise; `values` are only listed. */
  readonly kind: 'probabilities' | 'logits' | 'values';
  /** Of a recording's windows: what is above it counts as `labels[1]`, the rest as `labels[0]`. */
  readonly threshold?: number;
  /** Turns an integer output into what `kind` says. */
  readonly dequantise?: { readonly scale: number; readonly zeroPoint: number };
}

export interface Sidecar {
  /** Folder that paths in it are relative to. */
  readonly folder: string;
  readonly path: string;
  readonly inputs: Readonly<Record<string, Preparation>>;
  readonly outputs: Readonly<Record<string, OutputMeaning>>;
  readonly calibration: readonly CalibrationSource[];
  /** Files to try the model with, by input name. Paths from the sidecar's folder. */
  readonly sample: Readonly<Record<string, string>>;
  /** Sizes of symbolic dimensions, and integer inputs that never change. */
  readonly dimensions: Readonly<Record<string, number>>;
  readonly constants: Readonly<Record<string, number>>;
  /** What is carried from one inference to the next, zero at first: output name to input name. */
  readonly state: Readonly<Record<string, string>>;
}

/** Folder of the models that come with the package. */
export const MODELS_FOLDER = fileURLToPath(new URL('../../../../models', import.meta.url));

/**
 * The sidecar of a model: beside it, else the package's own for a model of that file name, else undefined.
 * @throws AccelError EINVAL naming the member that is wrong
 */
export function sidecarFor(modelPath: string): Sidecar | undefined {
  const name = `${basename(modelPath).replace(/\.onnx$/, '')}.accel.json`;
  for (const folder of [dirname(modelPath), MODELS_FOLDER]) {
    const path = join(folder, name);
    if (existsSync(path)) return readSidecar(path);
  }
  return undefined;
}

export function readSidecar(path: string): Sidecar {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new AccelError('EINVAL', {
      field: path,
      reason: error instanceof Error ? error.message : String(error),
    });
  }
  const reader = new Reader(path);
  const top = reader.object(json, '');
  reader.known(top, '', [
    ...['$comment', 'inputs', 'outputs', 'calibration', 'sample', 'dimensions', 'constants', 'state'],
  ]);
  const inputs = Object.entries(reader.object(top['inputs'] ?? {}, 'inputs'));
  const outputs = Object.entries(reader.object(top['outputs'] ?? {}, 'outputs'));
  return {
    path,
    folder: dirname(path),
    inputs: Object.fromEntries(
      inputs.map(([name, value]) => [name, reader.preparation(value, `inputs.${name}`)]),
    ),
    outputs: Object.fromEntries(
      outputs.map(([name, value]) => [name, reader.meaning(value, `outputs.${name}`)]),
    ),
    calibration: reader
      .array(top['calibration'] ?? [], 'calibration')
      .map((value, i) => reader.source(value, `calibration[${i}]`)),
    sample: reader.names(top['sample'] ?? {}, 'sample'),
    dimensions: reader.sizes(top['dimensions'] ?? {}, 'dimensions'),
    constants: reader.integers(top['constants'] ?? {}, 'constants'),
    state: reader.names(top['state'] ?? {}, 'state'),
  };
}

/** The class names of an output, or undefined. */
export function labelsOf(sidecar: Sidecar, meaning: OutputMeaning): readonly string[] | undefined {
  if (typeof meaning.labels !== 'string') return meaning.labels;
  const path = join(sidecar.folder, meaning.labels);
  if (!existsSync(path))
    throw new AccelError('ENOENT', { field: sidecar.path, reason: `its label file ${path} is not there` });
  return readFileSync(path, 'utf8').trimEnd().split(/\r?\n/);
}

type Json = Record<string, unknown>;

/** Checks JSON member by member; every error names the file and the member. */
class Reader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  preparation(value: unknown, at: string): Preparation {
    const json = this.object(value, at);
    return 'rate' in json ? this.#audio(json, at) : this.#picture(json, at);
  }

  #audio(json: Json, at: string): AudioPreparation {
    this.known(json, at, ['rate', 'context', 'hop', 'logMel']);
    if (json['context'] !== undefined && json['logMel'] !== undefined)
      this.#fail(`${at}.context`, 'is of samples, with logMel windows are of frames');
    return {
      rate: this.#integer(json['rate'], `${at}.rate`, 1, 1 << 20),
      context: this.#integer(json['context'] ?? 0, `${at}.context`, 0, 1 << 24),
      hop: this.#integer(json['hop'], `${at}.hop`, 1, 1 << 24),
      ...(json['logMel'] === undefined ? {} : { logMel: this.#logMel(json['logMel'], `${at}.logMel`) }),
    };
  }

  #logMel(value: unknown, at: string): NonNullable<AudioPreparation['logMel']> {
    const json = this.object(value, at);
    this.known(json, at, ['fft', 'bands', 'frames']);
    const fft = this.#integer(json['fft'], `${at}.fft`, 2, 1 << 16);
    if ((fft & (fft - 1)) !== 0) this.#fail(`${at}.fft`, `is ${fft}, no power of 2`);
    return {
      fft,
      bands: this.#size(json['bands'], `${at}.bands`),
      frames: this.#size(json['frames'], `${at}.frames`),
    };
  }

  #picture(json: Json, at: string): PicturePreparation {
    this.known(json, at, [
      ...['width', 'height', 'colour', 'layout', 'crop', 'resample', 'background', 'mean', 'std', 'quantise'],
    ]);
    const colour = this.#oneOf(json['colour'], `${at}.colour`, ['rgb', 'bgr', 'grey']);
    const channels = colour === 'grey' ? 1 : 3;
    const std = this.#perChannel(json['std'] ?? 1, `${at}.std`, channels);
    if ([std].flat().includes(0)) this.#fail(`${at}.std`, 'is 0');
    return {
      width: this.#size(json['width'], `${at}.width`),
      height: this.#size(json['height'], `${at}.height`),
      colour,
      layout: this.#oneOf(json['layout'], `${at}.layout`, ['NCHW', 'NHWC']),
      crop: this.#oneOf(json['crop'] ?? 'centre', `${at}.crop`, ['centre', 'none']),
      resample: this.#oneOf(json['resample'] ?? 'area', `${at}.resample`, ['area']),
      ...(json['background'] === undefined
        ? {}
        : { background: this.#oneOf(json['background'], `${at}.background`, ['dark']) }),
      mean: this.#perChannel(json['mean'] ?? 0, `${at}.mean`, channels),
      std,
      ...this.#quantisation(json['quantise'], `${at}.quantise`, 'quantise'),
    };
  }

  meaning(value: unknown, at: string): OutputMeaning {
    const json = this.object(value, at);
    this.known(json, at, ['labels', 'kind', 'threshold', 'dequantise']);
    const labels = json['labels'];
    const valid =
      labels === undefined ||
      typeof labels === 'string' ||
      (Array.isArray(labels) && labels.every((label) => typeof label === 'string'));
    if (!valid) this.#fail(`${at}.labels`, 'is neither a list of names nor the name of a file');
    return {
      ...(labels === undefined ? {} : { labels: labels as string | string[] }),
      ...(json['threshold'] === undefined
        ? {}
        : { threshold: this.#number(json['threshold'], `${at}.threshold`) }),
      kind: this.#oneOf(json['kind'] ?? 'values', `${at}.kind`, ['probabilities', 'logits', 'values']),
      ...this.#quantisation(json['dequantise'], `${at}.dequantise`, 'dequantise'),
    };
  }

  source(value: unknown, at: string): CalibrationSource {
    const json = this.object(value, at);
    this.known(json, at, ['file', 'flip', 'crops']);
    const { file, flip, crops } = json;
    if (typeof file !== 'string') this.#fail(`${at}.file`, 'is not the name of a file');
    if (flip !== undefined && typeof flip !== 'boolean')
      this.#fail(`${at}.flip`, 'is neither true nor false');
    return {
      file: file as string,
      ...(flip === undefined ? {} : { flip: flip as boolean }),
      ...(crops === undefined ? {} : { crops: this.#size(crops, `${at}.crops`) }),
    };
  }

  object(value: unknown, at: string): Json {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      this.#fail(at, 'is not an object');
    return value as Json;
  }

  array(value: unknown, at: string): unknown[] {
    if (!Array.isArray(value)) this.#fail(at, 'is not a list');
    return value as unknown[];
  }

  known(json: Json, at: string, names: readonly string[]): void {
    const unknown = Object.keys(json).find((name) => !names.includes(name));
    if (unknown !== undefined)
      this.#fail(at === '' ? unknown : `${at}.${unknown}`, `is none of ${names.join(', ')}`);
  }

  sizes(value: unknown, at: string): Record<string, number> {
    return this.#entries(value, at, (entry, path) => this.#integer(entry, path, 1, 2 ** 31 - 1));
  }

  integers(value: unknown, at: string): Record<string, number> {
    return this.#entries(value, at, (entry, path) => this.#integer(entry, path, -(2 ** 53), 2 ** 53));
  }

  names(value: unknown, at: string): Record<string, string> {
    return this.#entries(value, at, (entry, path) =>
      typeof entry === 'string' ? entry : this.#fail(path, 'is not a name'),
    );
  }

  #entries<T>(value: unknown, at: string, read: (entry: unknown, path: string) => T): Record<string, T> {
    return Object.fromEntries(
      Object.entries(this.object(value, at)).map(([name, entry]) => [name, read(entry, `${at}.${name}`)]),
    );
  }

  #size(value: unknown, at: string): number {
    return this.#integer(value, at, 1, 65536);
  }

  #integer(value: unknown, at: string, least: number, most: number): number {
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
      this.#fail(at, `is ${JSON.stringify(value)}, not a whole number from ${least} to ${most}`);
    return value as number;
  }

  #number(value: unknown, at: string): number {
    if (typeof value !== 'number' || !Number.isFinite(value)) this.#fail(at, 'is not a number');
    return value as number;
  }

  #perChannel(value: unknown, at: string, channels: number): number | readonly number[] {
    if (!Array.isArray(value)) return this.#number(value, at);
    if (value.length !== channels) this.#fail(at, `has ${value.length} numbers for ${channels} channels`);
    return value.map((entry, i) => this.#number(entry, `${at}[${i}]`));
  }

  #quantisation<K extends string>(
    value: unknown,
    at: string,
    key: K,
  ): { [k in K]?: { scale: number; zeroPoint: number } } {
    if (value === undefined) return {};
    const json = this.object(value, at);
    this.known(json, at, ['scale', 'zeroPoint']);
    const scale = this.#number(json['scale'], `${at}.scale`);
    if (scale <= 0) this.#fail(`${at}.scale`, `is ${scale}, not above 0`);
    const entry = { scale, zeroPoint: this.#number(json['zeroPoint'] ?? 0, `${at}.zeroPoint`) };
    return { [key]: entry } as { [k in K]?: typeof entry };
  }

  #oneOf<const T extends string>(value: unknown, at: string, values: readonly T[]): T {
    if (!values.includes(value as T))
      this.#fail(at, `is ${JSON.stringify(value)}, none of ${values.join(', ')}`);
    return value as T;
  }

  #fail(at: string, reason: string): never {
    throw new AccelError('EINVAL', { field: `${this.#path}: ${at || 'top'}`, reason });
  }
}
