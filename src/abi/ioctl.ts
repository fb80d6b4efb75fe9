// Linux's ioctl numbers: _IO, _IOR, _IOW, _IOWR of asm-generic/ioctl.h, as on x86-64.
// Not a dispatcher: what a number does is the core's and the drivers' business.
import type { Struct } from '../base/struct.js';

export interface Ioctl<V extends object = object> {
  readonly name: string;
  /** The 32-bit value as C programs pass it. */
  readonly request: number;
  readonly nr: number;
  readonly layout: Struct<V> | undefined;
}

const WRITE = 1;
const READ = 2;

/** DRM's type byte. */
export const DRM_TYPE = 0x64;
/** First number of a driver's own calls (DRM_COMMAND_BASE). */
export const DRM_COMMAND_BASE = 0x40;
/** One past the last number of a driver's own calls (DRM_COMMAND_END). */
export const DRM_COMMAND_END = 0xa0;

function make<V extends object>(
  direction: number,
  name: string,
  type: number,
  nr: number,
  layout?: Struct<V>,
): Ioctl<V> {
  const size = layout?.size ?? 0;
  return { name, nr, layout, request: ((direction << 30) | (size << 16) | (type << 8) | nr) >>> 0 };
}

export const io = (name: string, type: number, nr: number): Ioctl<object> => make(0, name, type, nr);
export const iow = <V extends object>(name: string, type: number, nr: number, layout: Struct<V>): Ioctl<V> =>
  make(WRITE, name, type, nr, layout);
export const ior = <V extends object>(name: string, type: number, nr: number, layout: Struct<V>): Ioctl<V> =>
  make(READ, name, type, nr, layout);
export const iowr = <V extends object>(name: string, type: number, nr: number, layout: Struct<V>): Ioctl<V> =>
  make(WRITE | READ, name, type, nr, layout);

/** Parts of a request value. */
export const requestNr = (request: number): number => request & 0xff;
export const requestType = (request: number): number => (request >>> 8) & 0xff;
export const requestSize = (request: number): number => (request >>> 16) & 0x3fff;
export const requestDirection = (request: number): { read: boolean; write: boolean } => ({
  read: ((request >>> 30) & READ) !== 0,
  write: ((request >>> 30) & WRITE) !== 0,
});
