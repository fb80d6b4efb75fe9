// Plays a vector on a device at its registers: sets memory, writes, waits, compares.
// Not a machine: who plays maps the vector's addresses and brings the device.
import { AccelError } from '../../base/errors.js';
import { crc32 } from './crc32.js';
import type { Expectation, Space, Step, Vector } from './vector.js';

/** The device and its memory, as a player needs them. */
export interface PlayTarget {
  read32(offset: number): number;
  write32(offset: number, value: number): void;
  /** The bytes of a range of device addresses: a view that can be read and written. */
  memory(space: Space, address: number, bytes: number): Uint8Array;
  /** Resolves when the line is raised, at once if it is; rejects when that does not come. */
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

/** Reads of a polled register at once, and once more as many after an interrupt each, before it counts as stuck. */
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
      case 'poll':
        // No turn of the event loop passes when it reads as it should: what was armed just before has not begun.
        if (((target.read32(step.offset) ^ step.value) & step.mask) !== 0) await poll(step, target);
        break;
      case 'wait':
        while (target.read32(target.interruptStatus) === 0) await target.interrupt();
        break;
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

/** What a register reads changes by itself for a while after reset; later only with the device's work, whose end interrupts. */
async function poll(step: Extract<Step, { kind: 'poll' }>, target: PlayTarget): Promise<void> {
  const { offset, mask, value, name } = step;
  let read = target.read32(offset);
  for (let reads = 1; ((read ^ value) & mask) !== 0; reads++) {
    const hex = (word: number): string => `0x${(word >>> 0).toString(16)}`;
    const reason = `reads ${hex(read & mask)} under mask ${hex(mask)}, ${hex(value & mask)} is right`;
    if (reads === 2 * POLLS) throw new AccelError('ETIME', { field: name, reason });
    try {
      if (reads >= POLLS) await target.interrupt();
    } catch (cause) {
      throw new AccelError('ETIME', { field: name, reason, cause });
    }
    read = target.read32(offset);
  }
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
