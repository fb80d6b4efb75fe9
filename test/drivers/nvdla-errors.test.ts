// What goes wrong: bad descriptors, hangs, lost interrupts, faults, unplug; and who notices.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nvdla as abi } from '../../src/abi/index.js';
import { OpEvent, OpType } from '../../src/hw/nvdla/index.js';
import {
  bdmaLayer,
  cdpLayer,
  convLayer,
  cube,
  DATA,
  DATA_BYTES,
  flying,
  lut,
  OUT,
  pdpLayer,
  rubikLayer,
  sdpLayer,
  system,
  type TaskSpec,
} from './nvdla-client.js';

const bad: Record<string, [spec: TaskSpec, field: string, config?: 'nv_small']> = {
  'an address index beyond the list': [
    { layers: [sdpLayer({}, { src_data: cube(99) })] },
    'sdp[0].src_data.address',
  ],
  'a negative address index': [{ layers: [sdpLayer({}, { dst_data: cube(-2) })] }, 'sdp[0].dst_data.address'],
  'a cube that ends beyond its buffer': [
    { layers: [sdpLayer({}, { src_data: cube(DATA, { offset: DATA_BYTES - 1024 }) })] },
    'sdp[0].src_data.size',
  ],
  'a misaligned address': [
    { layers: [sdpLayer({}, { src_data: cube(DATA, { offset: 4 }) })] },
    'sdp[0].src_data',
  ],
  'a cube wider than 8192': [
    { layers: [pdpLayer({}, { src_data: cube(DATA, { width: 8193 }) })] },
    'pdp[0].src_data.width',
  ],
  'a cube without lines': [
    { layers: [pdpLayer({}, { dst_data: cube(OUT, { height: 0 }) })] },
    'pdp[0].dst_data.height',
  ],
  'a stride with bits the register lacks': [
    { layers: [sdpLayer({}, { src_data: cube(DATA, { line_stride: 260 }) })] },
    'sdp[0].src_data.line_stride',
  ],
  'an op_type out of range': [{ layers: [{ ...sdpLayer(), type: 6 }] }, 'dependency_graph[0].op_type'],
  'a head out of range': [{ layers: [sdpLayer()], heads: { [OpType.SDP]: 1 } }, 'op_head[2]'],
  'a head of another type': [{ layers: [sdpLayer()], heads: { [OpType.PDP]: 0 } }, 'op_head[3]'],
  'a layer that nothing leads to': [{ layers: [sdpLayer(), sdpLayer()] }, 'dependency_graph[1].index'],
  'layers that follow each other in a circle': [
    { layers: [sdpLayer({}, {}, { consumers: { [OpType.SDP]: [0, 0] } })] },
    'dependency_graph[0].consumers[2]',
  ],
  'a consumer that does not exist': [
    { layers: [sdpLayer({}, {}, { consumers: { [OpType.PDP]: [7, OpEvent.COMPLETED] } })] },
    'dependency_graph[0].consumers[3].index',
  ],
  'a consumer of another type': [
    { layers: [sdpLayer({}, {}, { consumers: { [OpType.PDP]: [0, OpEvent.COMPLETED] } })] },
    'dependency_graph[0].consumers[3].index',
  ],
  'a fused parent of the wrong type': [
    { layers: [sdpLayer({}, {}, { parent: [0, OpEvent.ENABLED] })] },
    'dependency_graph[0].fused_parent.index',
  ],
  'a layer that waits for more than it is told': [
    { layers: [sdpLayer({}, {}, { waits: 1 })] },
    'dependency_graph[0].dependency_count',
  ],
  'layers that wait for each other': [
    {
      layers: [
        sdpLayer({}, {}, { waits: 1, consumers: { [OpType.PDP]: [1, OpEvent.COMPLETED] } }),
        pdpLayer({}, {}, { waits: 1, consumers: { [OpType.SDP]: [0, OpEvent.COMPLETED] } }),
      ],
    },
    'dependency_graph',
  ],
  'no region of interest': [{ layers: [sdpLayer()], network: { num_rois: 0 } }, 'num_rois'],
  'lists that do not fit their buffer': [
    { layers: [sdpLayer()], network: { num_operations: 500 } },
    'operation_desc_index',
  ],
  'a list index beyond the addresses': [
    { layers: [sdpLayer()], network: { surface_desc_index: 40 } },
    'surface_desc_index',
  ],
  'a precision that does not exist': [{ layers: [sdpLayer({ src_precision: 3 })] }, 'sdp[0].src_precision'],
  'fp16 on an int8 device': [
    { layers: [sdpLayer({ dst_precision: 2 })] },
    'sdp[0].dst_precision',
    'nv_small',
  ],
  'a table that does not exist': [
    { layers: [cdpLayer({ lut_index: 1 })], luts: [lut()] },
    'cdp[0].lut_index',
  ],
  'a table of an unknown method': [
    { layers: [cdpLayer({ lut_index: 0 })], luts: [lut({ method: 2 })] },
    'cdp[0].lut.method',
  ],
  'more banks than the buffer has': [
    { layers: [convLayer({ data_bank: 9, weight_bank: 8 })] },
    'conv[0].weight_bank',
  ],
  'an unknown pixel format': [{ layers: [convLayer({ data_format: 37 })] }, 'conv[0].data_format'],
  'a convolution that converts its output': [
    { layers: [convLayer({ out_cvt: { scale: 2, truncate: 0, enable: 1, offset: 0 } })] },
    'conv[0].out_cvt.scale',
  ],
  'pooling windows of nine': [{ layers: [pdpLayer({ pool_width: 8 })] }, 'pdp[0].pool_width'],
  'pooling on the fly in parts': [
    { layers: [pdpLayer({ split_num: 2 }, { src_data: flying() })] },
    'pdp[0].split_num',
  ],
  'an even neighbourhood': [{ layers: [cdpLayer({ local_size: 4 })] }, 'cdp[0].local_size'],
  'too many transfers': [{ layers: [bdmaLayer(21)] }, 'bdma[0].num_transfers'],
  'overlapping lines of a transfer': [
    { layers: [bdmaLayer(1, { source_line: 128 })] },
    'bdma[0].transfers[0].source_line',
  ],
  'BDMA where there is none': [{ layers: [bdmaLayer()] }, 'bdma[0].op_type', 'nv_small'],
  'RUBIK where there is none': [{ layers: [rubikLayer()] }, 'rubik[0].op_type', 'nv_small'],
  'SRAM where there is none': [
    { layers: [sdpLayer({}, { src_data: cube(DATA, { type: 1 }) })] },
    'sdp[0].src_data.type',
    'nv_small',
  ],
};

describe('NVDLA submit', () => {
  for (const [what, [spec, field, config]] of Object.entries(bad)) {
    it(`refuses ${what} and names the field`, async () => {
      const s = system(config);
      const client = await s.client();
      await assert.rejects(client.run(spec), { code: 'EINVAL', field, call: 'DRM_IOCTL_NVDLA_SUBMIT' });
      assert.equal(s.device.resets, 0);
      // The device is as usable as before.
      const { submit } = await client.task({ layers: [sdpLayer()] });
      const done = submit();
      await s.clock.settle();
      s.device.done('SDP', s.device.last('SDP.S_POINTER')!);
      await done;
    });
  }

  it('checks every layer before the first is programmed', async () => {
    const s = system();
    const client = await s.client();
    s.device.take();
    await assert.rejects(client.run({ layers: [sdpLayer(), pdpLayer({ stride_x: 9 })] }), { code: 'EINVAL' });
    assert.deepEqual(s.device.take(), []);
  });

  it('answers EBADF for a descriptor that is not open, unless no layer names it', async () => {
    const s = system();
    const client = await s.client();
    const closed = (index: number): TaskSpec => ({
      layers: [sdpLayer()],
      addresses: (list) => (list[index] = { handle: 999, offset: 0n }),
    });
    await assert.rejects(client.run(closed(DATA)), { code: 'EBADF' });
    const { submit } = await client.task(closed(4));
    const done = submit();
    await s.clock.settle();
    s.device.done('SDP', 0);
    await done;
  });

  it('checks its own arguments', async () => {
    const client = await system().client();
    const submit = (args: Parameters<typeof abi.NvdlaSubmitArgs.bytes>[0]): Promise<number> =>
      client.file.ioctl(abi.DRM_IOCTL_NVDLA_SUBMIT.request, abi.NvdlaSubmitArgs.bytes(args));
    await assert.rejects(submit({ num_tasks: 1 }), { code: 'EINVAL', field: 'tasks' });
    await assert.rejects(submit({ tasks: 64n, num_tasks: 25 }), { code: 'EINVAL', field: 'num_tasks' });
    await assert.rejects(submit({ tasks: 64n, num_tasks: 1, flags: 2 }), { code: 'EINVAL', field: 'flags' });
    await assert.rejects(submit({ tasks: 64n, num_tasks: 1 }), { code: 'EFAULT' });
    await assert.rejects(client.submit([]), { code: 'EINVAL', field: 'num_addresses' });
  });

  it('leaves no mapping and no memory behind', async () => {
    const s = system();
    const client = await s.client();
    await assert.rejects(client.run({ layers: [sdpLayer(), pdpLayer({ stride_x: 9 })] }));
    const { submit } = await client.task({ layers: [sdpLayer()] });
    const done = submit();
    await s.clock.settle();
    s.device.done('SDP', 0);
    await done;
    client.kill();
    await s.clock.settle();
    assert.equal(s.memory.used, 0);
    assert.equal(s.device.domain, undefined);
  });
});

describe('NVDLA hangs', () => {
  it('resets after the limit, ends the job with ETIME, and runs the next client', async () => {
    const s = system();
    const [hung, other] = [await s.client(), await s.client()];
    const failed = assert.rejects(hung.run({ layers: [sdpLayer()], timeout: 5 }), { code: 'ETIME' });
    await s.clock.settle();
    const { submit } = await other.task({ layers: [pdpLayer()] });
    const done = submit();
    await s.clock.settle();
    assert.ok(!s.device.take().includes('PDP.D_OP_ENABLE'), 'one task at a time');
    s.clock.advance(5_000_001);
    await failed;
    await s.clock.settle();
    assert.equal(s.device.resets, 1);
    assert.ok(s.device.take().includes('GLB.S_INTR_MASK'), 'masks are set again');
    s.device.done('PDP', 0);
    await done;
    // The client that hung may go on.
    const again = hung.run({ layers: [sdpLayer()] });
    await s.clock.settle();
    s.device.done('SDP', 0);
    await again;
    assert.equal(s.device.resets, 1);
  });

  it('gives tasks without a limit ten seconds', async () => {
    const s = system();
    const client = await s.client();
    const failed = assert.rejects(client.run({ layers: [sdpLayer()], timeout: 0xffffffff }), {
      code: 'ETIME',
    });
    await s.clock.settle();
    s.clock.advance(9e9);
    await s.clock.settle();
    assert.equal(s.device.resets, 0);
    s.clock.advance(2e9);
    await failed;
    assert.equal(s.device.resets, 1);
  });

  it('gives a task ten minutes at most, whatever it asks for', async () => {
    const s = system();
    const client = await s.client();
    const failed = assert.rejects(client.run({ layers: [sdpLayer()], timeout: 0xfffffffe }), {
      code: 'ETIME',
    });
    await s.clock.settle();
    s.clock.advance(599e9);
    await s.clock.settle();
    assert.equal(s.device.resets, 0);
    s.clock.advance(2e9);
    await failed;
    assert.equal(s.device.resets, 1);
  });

  it('goes on from the status register when an interrupt was lost', async () => {
    const s = system();
    const client = await s.client();
    const done = client.run({ layers: [sdpLayer()], timeout: 5 });
    await s.clock.settle();
    s.device.done('SDP', 0, { lost: true });
    s.clock.advance(5_000_001);
    await done;
    assert.equal(s.device.resets, 0);
  });

  it('ignores spurious interrupts', async () => {
    const s = system();
    const client = await s.client();
    s.device.raise(0xff);
    await s.clock.settle();
    const done = client.run({ layers: [sdpLayer()] });
    await s.clock.settle();
    s.device.done('PDP', 1);
    s.device.done('SDP', 1);
    await s.clock.settle();
    s.device.done('SDP', 0);
    await done;
    assert.equal(s.accel.health.defects, 0);
  });

  it('ends the job with EIO on a blocked access, and resets', async () => {
    const s = system();
    const client = await s.client();
    const failed = assert.rejects(client.run({ layers: [sdpLayer()] }), { code: 'EIO', field: 'iova' });
    await s.clock.settle();
    s.device.fault({ iova: 0x1234, access: 'read', reason: 'not mapped' });
    s.device.fault({ iova: 0x1254, access: 'read', reason: 'not mapped' });
    await failed;
    assert.equal(s.device.resets, 1);
    assert.equal(s.accel.health.dmaFaults, 2);
  });

  it('ends the job with EIO when a unit is not idle or the buffer is not flushed', async () => {
    const s = system();
    const client = await s.client();
    s.device.status = 0x10001;
    await assert.rejects(client.run({ layers: [convLayer()] }), { code: 'EIO', field: 'conv' });
    s.device.status = 0;
    s.device.flushed = 0;
    await assert.rejects(client.run({ layers: [convLayer()] }), { code: 'EIO', field: 'conv' });
  });

  it('ends jobs with ENODEV when the device goes away, and touches no register after that', async () => {
    const s = system();
    const client = await s.client();
    const running = assert.rejects(client.run({ layers: [sdpLayer()] }), { code: 'ENODEV' });
    const queued = assert.rejects(client.run({ layers: [sdpLayer()] }), { code: 'ENODEV' });
    await s.clock.settle();
    s.device.take();
    s.device.unplug();
    await Promise.all([running, queued]);
    await assert.rejects(client.run({ layers: [sdpLayer()] }), { code: 'ENODEV' });
    await client.file.close();
    assert.deepEqual(s.device.take(), []);
  });

  it('keeps a killed client’s buffers until its job has ended', async () => {
    const s = system();
    const [client, other] = [await s.client(), await s.client()];
    const before = s.memory.used;
    client.run({ layers: [sdpLayer()] }).catch(() => undefined);
    await s.clock.settle();
    client.kill();
    await s.clock.settle();
    assert.ok(s.memory.used >= before, 'the data buffers are still the device’s');
    s.device.done('SDP', 0);
    await s.clock.settle();
    assert.ok(s.memory.used < before);
    const done = other.run({ layers: [sdpLayer()] });
    await s.clock.settle();
    s.device.done('SDP', s.device.last('SDP.S_POINTER')!);
    await done;
  });
});
