// What a fuzzer's own test needs: a defect put in, and what the fuzzer says of it.
// Not a test.
import assert from 'node:assert/strict';
import { FuzzViolation } from '../../src/node/fuzz/fuzzer.js';

/** Replaces a method of what is tested while a fuzzer runs; the violation that it finds. */
export async function spoilt<T extends object, K extends keyof T>(
  target: T,
  method: K,
  spoil: (original: T[K]) => T[K],
  run: () => Promise<unknown>,
): Promise<FuzzViolation> {
  const original = target[method];
  target[method] = spoil(original);
  try {
    await run();
  } catch (error) {
    assert.ok(error instanceof FuzzViolation, String(error));
    return error;
  } finally {
    target[method] = original;
  }
  return assert.fail('nothing was found');
}
