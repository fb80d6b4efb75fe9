// One buffer, two different devices: NVDLA writes it, the null device reads it. No copy in between.
// Not the rules of prime: those are the core's tests and the conformance suite.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as abi from '../../src/abi/null.js';
import { Process } from '../../src/core/process.js';
import { openSystem, type EngineKind } from '../../src/node/system.js';
import { call, exportGem, importGem, sdpJob } from '../../src/testing/index.js';

const FOREVER = (1n << 62n) - 1n;

async function through(engines: EngineKind): Promise<void> {
  using system = openSystem({ devices: ['nvdla:nv_small', 'null'], engines, staging: true });
  const process = new Process();
  const nvdla = system.open('nvdla:nv_small', process);
  const copier = system.open('null', process);

  const job = await sdpJob(nvdla, { atom: 8, width: 8, add: 3 });
  job.source.forEach((_, i) => (job.source[i] = i));
  const imported = await importGem(copier, await exportGem(nvdla, job.handle));
  const own = await call(copier, abi.DRM_IOCTL_NULL_GEM_NEW, { size: 4096n });
  const { bytes } = await copier.mmap(own.offset, 4096);

  const used = system.machine.memory.used;
  // Where the job's result lies in its buffer.
  const offset = BigInt(job.result.byteOffset - job.buffer.bytes.byteOffset);
  const copy = copier.user.place(
    abi.NullCommand.bytes({
      op: abi.NULL_OP_COPY,
      src_handle: imported,
      src_offset: offset,
      dst_handle: own.handle,
      bytes: BigInt(job.result.length),
    }),
  );
  await job.submit();
  await call(copier, abi.DRM_IOCTL_NULL_SUBMIT, {
    commands: copy.pointer,
    command_count: 1,
    command_size: abi.NullCommand.size,
  });
  await call(copier, abi.DRM_IOCTL_NULL_WAIT, { handle: own.handle, timeout_ns: FOREVER });
  const expected = Array.from({ length: job.result.length }, (_, i) => i + 3);
  assert.deepEqual([...bytes.subarray(0, job.result.length)], expected);
  assert.equal(system.machine.memory.used, used, 'both devices use the one buffer');

  // The writer may go: the importer keeps the memory.
  await nvdla.close();
  await call(copier, abi.DRM_IOCTL_NULL_SUBMIT, {
    commands: copy.pointer,
    command_count: 1,
    command_size: abi.NullCommand.size,
  });
  await call(copier, abi.DRM_IOCTL_NULL_WAIT, { handle: own.handle, timeout_ns: FOREVER });
  assert.deepEqual([...bytes.subarray(0, job.result.length)], expected);
  await copier.close();
}

describe('a buffer that NVDLA writes', () => {
  for (const engines of ['inline', 'worker'] as const)
    it(`is read by another device through its dma-buf, without a copy, engines ${engines}`, () =>
      through(engines));
});
