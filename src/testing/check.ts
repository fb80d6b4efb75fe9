// The suite's own assertions: they work under any runner, or none.
// Not node:assert: no platform is known here.
import { AccelError, type ErrnoName } from '../base/errors.js';

/** A rule that the driver or the core broke; the message is the finding. */
export class ConformanceError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ConformanceError';
  }
}

/** How a call ended: `ok` or its errno. */
export type Outcome = 'ok' | ErrnoName;

export function ensure(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ConformanceError(message);
}

/** Compares numbers, bigints, strings. */
export function same<T extends string | number | bigint | boolean | undefined>(
  actual: T,
  expected: T,
  what: string,
): void {
  if (actual !== expected)
    throw new ConformanceError(`${what}: ${String(actual)}, should be ${String(expected)}`);
}

/** Compares bytes; names the first that differs. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  same(actual.length, expected.length, `${what}: bytes`);
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] !== expected[i])
      throw new ConformanceError(
        `${what}: byte ${i} is 0x${actual[i]!.toString(16)}, should be 0x${expected[i]!.toString(16)}`,
      );
  }
}

/** True when every byte is `value`. */
export function filled(bytes: Uint8Array, value: number): boolean {
  return bytes.every((byte) => byte === value);
}

/** `outcome` must be among `allowed`. */
export function among(outcome: Outcome, allowed: readonly Outcome[], what: string): void {
  if (!allowed.includes(outcome))
    throw new ConformanceError(`${what}: ${outcome}, should be ${allowed.join(' or ')}`);
}

/**
 * How a call ended, without a clock: for calls that do not block.
 * @throws ConformanceError when it threw anything but AccelError
 */
export async function outcomeOf(promise: Promise<unknown>): Promise<Outcome> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    if (error instanceof AccelError) return error.code;
    throw new ConformanceError(`threw past the device interface: ${String(error)}`, error);
  }
}
