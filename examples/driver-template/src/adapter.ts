// What the conformance suite must know: how a buffer is made, and a job whose result is known.
// Not tests: the suite has them.
import type { AccelFile } from 'accel/core';
import {
  call,
  closeGem,
  map,
  type Attack,
  type DriverAdapter,
  type SuiteBuffer,
  type SuiteJob,
} from 'accel/testing';
import * as uapi from './uapi.js';

const PAGE = 4096;
const BYTES = 1000;

async function createBuffer(file: AccelFile, bytes: number): Promise<SuiteBuffer> {
  const { handle, offset } = await call(file, uapi.DRM_IOCTL_ADDER_GEM_NEW, { size: BigInt(bytes) });
  return { handle, offset, size: Math.ceil(bytes / PAGE) * PAGE };
}

export const adapter: DriverAdapter = {
  driver: 'adder',
  createBuffer,
  async aJob(file, { seed = 1, timeoutMs = 500 } = {}): Promise<SuiteJob> {
    const source = await createBuffer(file, PAGE);
    const target = await createBuffer(file, PAGE);
    const input = await map(file, source);
    const output = await map(file, target);
    for (let i = 0; i < BYTES; i++) input.bytes[i] = i * 7;
    return {
      handles: [source.handle, target.handle],
      result: output.bytes.subarray(0, BYTES),
      expected: Uint8Array.from({ length: BYTES }, (_, i) => i * 7 + seed),
      async run(signal) {
        const run = { src_handle: source.handle, dst_handle: target.handle, bytes: BYTES };
        await call(
          file,
          uapi.DRM_IOCTL_ADDER_RUN,
          { ...run, value: seed & 0xff, timeout_ms: timeoutMs },
          signal,
        );
      },
      async release() {
        input[Symbol.dispose]();
        output[Symbol.dispose]();
        await closeGem(file, source.handle);
        await closeGem(file, target.handle);
      },
    };
  },
  async attacks(file, { buffer }): Promise<Attack[]> {
    const mine = await createBuffer(file, PAGE);
    const { bytes: result } = await map(file, mine);
    const attempt = (what: string, src_handle: number, bytes: number): Attack => ({
      what,
      result,
      run: async () => {
        await call(file, uapi.DRM_IOCTL_ADDER_RUN, {
          src_handle,
          dst_handle: mine.handle,
          bytes,
          timeout_ms: 100,
        });
      },
    });
    return [
      attempt('a run from a handle near the victim’s', buffer.handle + 1, PAGE),
      attempt('a run from a handle that was never given', 0xffffffff, PAGE),
      attempt('a run past the end of its own buffer', mine.handle, 2 * PAGE),
    ];
  },
};
