// Plays a vector on a device at its registers: sets memory, writes, waits, compares.
// Not a machine: who plays maps the vector's addresses and brings the device.
import { AccelError } from '../../base/errors.js';
import { crc32 } from './crc32.js';
import type { Expectation, Space, Vector } from './vector.js';

/** The device and its memory, as a player needs them. */
export interface PlayTarget {
  read32(offset: number): number;
  write32(offset: number, value: number): void;
  /** The bytes of a range of device addresses: a view that can be read and written. */
  memory(space: Space, address: number, bytes: number): Uint8Array;
  /** Resolves at the next interrupt, or rejects when none comes. Called only after the status was read. */
  interrupt(): Promise<void>;
  /** Offset of the interrupt status register, write one to clear. */
  readonly interruptStatus: number;
}

export interface CheckResult {
  readonly expected: Expectation;
  readonly crc32: number;
  readonly matches: boolean;
  /** The first byte that differs, when the contents are known. */
  readonly difference?: { readonly at: number; readonly actual: number; readonly wanted: number };
}

/** Reads of a polled register before it counts as stuck. */
const POLLS = 1000;

/** @throws AccelError ETIME when a polled register never reads as it should; whatever `interrupt` rejects with */
export async function play(vector: Vector, target: PlayTarget): Promise<CheckResult[]> {
  for (const { space, address, bytes, contents } of vector.memory) {
    const memory = target.memory(space, address, bytes);
    if (typeof contents === 'number') memory.fill(contents);
    else memory.set(contents);
  }
  const results: CheckResult[] = [];
  let pending = 0;
  for (const step of vector.steps) {
    switch (step.kind) {
      case 'write':
        target.write32(step.offset, step.value);
        break;
      case 'poll': {
        let reads = 0;
        while (((target.read32(step.offset) ^ step.value) & step.mask) !== 0) {
          if (++reads === POLLS) {
            throw new AccelError('ETIME', { field: step.name, reason: `never reads ${step.value}` });
          }
        }
        break;
      }
      case 'interrupt':
        for (;;) {
          const status = target.read32(target.interruptStatus);
          if (status !== 0) target.write32(target.interruptStatus, status);
          pending |= status;
          if ((pending & step.mask) === step.mask) break;
          await target.interrupt();
        }
        pending &= ~step.mask;
        break;
      case 'check':
        results.push(check(step.expected, target));
        break;
    }
  }
  return results;
}

function check(expected: Expectation, target: PlayTarget): CheckResult {
  const { space, address, bytes, contents } = expected;
  const actual = target.memory(space, address, bytes);
  const crc = crc32(actual);
  const matches = crc === expected.crc32;
  if (matches || contents === undefined) return { expected, crc32: crc, matches };
  const at = contents.findIndex((byte, index) => byte !== actual[index]);
  return { expected, crc32: crc, matches, difference: { at, actual: actual[at], wanted: contents[at] } };
}
