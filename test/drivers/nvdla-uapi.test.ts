// The calls and descriptors that are seldom used: GEM, statistics, regions of interest, and bytes without sense.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nvdla as abi } from '../../src/abi/index.js';
import { AccelError } from '../../src/base/errors.js';
import { TraceStep } from '../../src/core/index.js';
import { OpEvent, OpType } from '../../src/hw/nvdla/index.js';
import {
  bdmaLayer,
  cdpLayer,
  convLayer,
  cube,
  DATA,
  flying,
  lut,
  OUT,
  pdpLayer,
  rubikLayer,
  sdpLayer,
  system,
} from './nvdla-client.js';
import type { Done } from './nvdla-recorder.js';

describe('NVDLA GEM calls', () => {
  it('create whole pages, zeroed, and round up', async () => {
    const s = system();
    const client = await s.client();
    const before = s.memory.used;
    const { bytes } = await client.buffer(5000);
    assert.equal(s.memory.used - before, 8192);
    assert.ok(bytes.every((byte) => byte === 0));
  });

  it('refuse no bytes and more than there are', async () => {
    const client = await system().client();
    const create = (size: bigint): Promise<number> =>
      client.file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_CREATE.request, abi.NvdlaGemCreateArgs.bytes({ size }));
    await assert.rejects(create(0n), { code: 'EINVAL' });
    await assert.rejects(create(1n << 40n), { code: 'ENOMEM' });
    await assert.rejects(create((1n << 64n) - 1n), { code: 'EINVAL' });
  });

  it('answer EINVAL for a handle that is not there', async () => {
    const client = await system().client();
    const map = abi.NvdlaGemMapOffsetArgs.bytes({ handle: 77 });
    await assert.rejects(client.file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_MMAP.request, map), { code: 'EINVAL' });
    const destroy = abi.NvdlaGemDestroyArgs.bytes({ handle: 77 });
    await assert.rejects(client.file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_DESTROY.request, destroy), {
      code: 'EINVAL',
    });
  });

  it('destroy takes the handle; the dma-buf descriptor keeps the buffer', async () => {
    const s = system();
    const client = await s.client();
    const { handle } = await client.buffer(4096);
    const destroy = abi.NvdlaGemDestroyArgs.bytes({ handle });
    await client.file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_DESTROY.request, destroy);
    await assert.rejects(client.file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_DESTROY.request, destroy), {
      code: 'EINVAL',
    });
    const used = s.memory.used;
    assert.ok(used > 0);
  });
});

describe('NVDLA tasks', () => {
  it('get statistics and run time of each layer when they ask for them', async () => {
    const s = system();
    const client = await s.client();
    const { descriptors, submit } = await client.task({
      layers: [sdpLayer()],
      network: { stat_list_index: 7 },
      addresses: (list) => list.push({ handle: list[0]!.handle, offset: 2048n }),
    });
    const record = new DataView(descriptors.buffer, descriptors.byteOffset + 2048, 44);
    for (let at = 0; at < 44; at += 4) record.setUint32(at, 0xffffffff, true);
    const done = submit();
    await s.clock.settle();
    assert.notEqual(s.device.last('SDP.D_PERF_ENABLE'), undefined);
    s.clock.advance(12_345);
    s.device.done('SDP', 0);
    await done;
    assert.equal(record.getUint32(12, true), 0, 'WDMA stalls, as the recorder reads');
    assert.equal(record.getUint32(40, true), 12, 'microseconds');
  });

  it('read the regions of a dynamic input from the surface', async () => {
    const s = system();
    const client = await s.client();
    const { descriptors, submit } = await client.task({
      layers: [sdpLayer({}, { src_data: cube(-1, { line_stride: 512, size: 64 }) })],
      network: { dynamic_roi: 1, num_rois: 4, input_layer: 0, roi_array_index: 7, surface_index: DATA },
      addresses: (list) => list.push({ handle: list[0]!.handle, offset: 2048n }),
    });
    const rois = new DataView(descriptors.buffer, descriptors.byteOffset + 2048);
    rois.setUint32(0, 1, true);
    rois.setUint32(8, 32, true);
    rois.setUint32(12, 3, true);
    const done = submit();
    await s.clock.settle();
    assert.equal(s.device.last('SDP_RDMA.D_SRC_BASE_ADDR_LOW')! % 4096, 3 * 512 + 32);
    s.device.done('SDP', 0);
    await done;
    rois.setUint32(0, 5, true);
    await assert.rejects(submit(), { code: 'EINVAL', field: 'num_rois' });
  });

  it('leave a trace of buffers, doorbell and interrupt', async () => {
    const s = system();
    const client = await s.client();
    const steps: number[] = [];
    s.core.trace.subscribe(({ step }) => steps.push(step));
    const done = client.run({ layers: [sdpLayer()] });
    await s.clock.settle();
    s.device.done('SDP', 0);
    await done;
    const job = steps.filter((step) => step !== TraceStep.ioctl && step !== TraceStep.dispatch);
    assert.deepEqual(job, [
      TraceStep.bufferMapped,
      TraceStep.bufferMapped,
      TraceStep.jobPushed,
      TraceStep.jobRun,
      TraceStep.doorbell,
      TraceStep.irqHandler,
      TraceStep.jobDone,
    ]);
  });

  it('end in an errno or run, whatever bytes their descriptors hold', async () => {
    const s = system();
    const client = await s.client();
    const { descriptors, submit } = await client.task({
      luts: [lut()],
      layers: [
        convLayer({}, {}, { waits: 1, consumers: { [OpType.SDP]: [1, OpEvent.PROGRAMMED] } }),
        sdpLayer({}, { src_data: flying() }, { waits: 1, parent: [0, OpEvent.ENABLED] }),
        cdpLayer({ lut_index: 0 }),
        pdpLayer({}, { src_data: cube(OUT) }),
        rubikLayer(),
        bdmaLayer(2),
      ],
      timeout: 1,
    });
    const good = descriptors.slice();
    // xorshift32: the same bytes in every run.
    let seed = 0x9e3779b9;
    const random = (below: number): number => {
      seed ^= seed << 13;
      seed ^= seed >>> 17;
      seed ^= seed << 5;
      return (seed >>> 0) % below;
    };
    const codes = new Map<string, number>();
    for (let round = 0; round < 500; round++) {
      descriptors.set(good);
      for (let n = 1 + random(4); n > 0; n--) descriptors[random(good.length)] = random(256);
      let outcome: string | undefined;
      submit().then(
        () => (outcome = 'done'),
        (error: unknown) => (outcome = error instanceof AccelError ? error.code : String(error)),
      );
      for (let turn = 0; outcome === undefined && turn < 40; turn++) {
        await s.clock.settle(16);
        finishArmed(s);
        if (turn > 30) s.clock.advance(2_000_000);
      }
      assert.ok(outcome !== undefined, `round ${round} ended`);
      codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
    }
    assert.equal(s.accel.health.defects, 0, String(s.accel.health.lastDefect));
    for (const code of codes.keys()) assert.ok(['done', 'EINVAL', 'ETIME'].includes(code), code);
    assert.ok(codes.get('done')! > 50 && codes.get('EINVAL')! > 50, 'both ends are reached');
  });
});

/** Completes what was armed since the last call. */
function finishArmed(s: ReturnType<typeof system>): void {
  const units: Readonly<Record<string, Done>> = {
    CDMA: 'CACC',
    SDP: 'SDP',
    PDP: 'PDP',
    CDP: 'CDP',
    RBK: 'RUBIK',
  };
  const pointers = new Map<string, number>();
  const ended: [Done, number][] = [];
  for (const { name, value } of s.device.writes) {
    const [unit = '', register] = name.split('.');
    if (register === 'S_POINTER') pointers.set(unit, value);
    else if (register === 'D_OP_ENABLE' && units[unit] !== undefined)
      ended.push([units[unit], pointers.get(unit)!]);
    else if (register === 'CFG_LAUNCH0') ended.push(['BDMA', 0]);
    else if (register === 'CFG_LAUNCH1') ended.push(['BDMA', 1]);
  }
  for (const [unit, group] of ended) s.device.done(unit, group);
  s.device.take();
}
