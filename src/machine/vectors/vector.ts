// A register-level test vector in memory: what must lie where, what is written, awaited and compared.
// Not a file format: cmod.ts and trace.ts read theirs into this.

/** The memory behind the device's first or second port. */
export type Space = 'dbb' | 'cvsram';

/** In the order of the device's memory ports. */
export const spaces: readonly Space[] = ['dbb', 'cvsram'];

export interface MemoryRegion {
  readonly space: Space;
  /** Address as the device sees it. */
  readonly address: number;
  readonly bytes: number;
  /** Contents: bytes, or one value everywhere. */
  readonly contents: Uint8Array | number;
}

export interface Expectation {
  readonly space: Space;
  readonly address: number;
  readonly bytes: number;
  /** CRC-32 (zlib) of the region. */
  readonly crc32: number;
  /** The region itself, when it is known. */
  readonly contents?: Uint8Array;
}

export type Step =
  | { readonly kind: 'write'; readonly offset: number; readonly value: number; readonly name: string }
  /** Read until (register & mask) === (value & mask). */
  | {
      readonly kind: 'poll';
      readonly offset: number;
      readonly mask: number;
      readonly value: number;
      readonly name: string;
    }
  /** Wait until all bits of the mask were seen in the interrupt status; they are then consumed. */
  | { readonly kind: 'interrupt'; readonly mask: number }
  /** Wait for a status bit that was not seen set yet, or not since it was last cleared; the steps clear it themselves. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'check'; readonly expected: Expectation };

export interface Vector {
  readonly name: string;
  /** The device's configuration: `nv_small`. */
  readonly config: string;
  /** What it exercises, by its own word: `conv+sdp+pdp`, `sdp`. */
  readonly unit: string;
  /** In order; what is in no region is zero. */
  readonly memory: readonly MemoryRegion[];
  readonly steps: readonly Step[];
}

/** A run of device addresses that a vector uses. */
export interface Range {
  readonly space: Space;
  readonly start: number;
  readonly end: number;
}

/**
 * All addresses of a vector's memory and expectations, rounded outwards to `grain` bytes, merged and sorted.
 * A player maps them before it plays.
 */
export function footprint(vector: Vector, grain: number): Range[] {
  const all: Range[] = [];
  const add = ({ space, address, bytes }: { space: Space; address: number; bytes: number }): void => {
    const start = Math.floor(address / grain) * grain;
    all.push({ space, start, end: Math.ceil((address + bytes) / grain) * grain });
  };
  for (const region of vector.memory) add(region);
  for (const step of vector.steps) if (step.kind === 'check') add(step.expected);
  all.sort((a, b) => (a.space === b.space ? a.start - b.start : a.space < b.space ? -1 : 1));
  const merged: Range[] = [];
  for (const range of all) {
    const last = merged.at(-1);
    if (last !== undefined && last.space === range.space && range.start <= last.end) {
      merged[merged.length - 1] = { ...last, end: Math.max(last.end, range.end) };
    } else {
      merged.push(range);
    }
  }
  return merged;
}
