import type { AccelFile, Mapping } from '../../src/core/accel-file.js';
export interface SdpJobOptions {
  /** Bytes of an atom of the configuration. */
  readonly atom: number;
  /** Width of the cube, one atom high. Default 8. */
  readonly width?: number;
  /** Added to every byte (saturating). Default 0. */
  readonly add?: number;
  /** Milliseconds; default none: the driver's own. */
  readonly timeout?: number;
}
/** A prepared job: fill `source`, submit, read `result`. Closing the file releases all of it. */
export interface SdpJob {
  readonly source: Uint8Array;
  readonly result: Uint8Array;
  readonly buffer: Mapping;
  readonly handle: number;
  /** The dma-buf descriptor in the address list. */
  readonly fd: number;
  submit(): Promise<number>;
}
/** Creates a buffer of `size` bytes; returns handle, mapping and dma-buf descriptor. */
export declare function createBuffer(
  file: AccelFile,
  size: number,
): Promise<{
  handle: number;
  mapping: Mapping;
  fd: number;
}>;
export declare function sdpJob(file: AccelFile, options: SdpJobOptions): Promise<SdpJob>;
