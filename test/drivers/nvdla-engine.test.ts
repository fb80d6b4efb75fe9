// How layers of a task reach the hardware: order of registers, dependencies, groups, events.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { interruptBit, OpEvent, OpType, SdpActivation, SdpMode, SdpType } from '../../src/hw/nvdla/index.js';
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
  type Client,
  type LayerSpec,
  type System,
  type TaskSpec,
} from './nvdla-client.js';

/** Submits and lets the driver get as far as it can before the first interrupt. */
async function started(s: System, client: Client, spec: TaskSpec): Promise<{ done: Promise<void> }> {
  const { submit } = await client.task(spec);
  s.device.take();
  const done = submit();
  done.catch(() => undefined);
  await s.clock.settle();
  return { done };
}

const enables = (names: string[]): string[] => names.filter((name) => name.endsWith('D_OP_ENABLE'));

/** A convolution and the SDP behind it: SDP waits until conv is programmed, conv until SDP is armed. */
const convAndSdp = (first: number): LayerSpec[] => [
  convLayer({}, {}, { waits: 1, consumers: { [OpType.SDP]: [first + 1, OpEvent.PROGRAMMED] } }),
  sdpLayer({}, { src_data: flying() }, { waits: 1, parent: [first, OpEvent.ENABLED] }),
];

describe('NVDLA engine', () => {
  it('arms the SDP before the convolution that feeds it, and that from CACC to CDMA', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, { layers: convAndSdp(0) });
    assert.deepEqual(enables(s.device.take()), [
      'SDP.D_OP_ENABLE',
      'CACC.D_OP_ENABLE',
      'CMAC_A.D_OP_ENABLE',
      'CMAC_B.D_OP_ENABLE',
      'CSC.D_OP_ENABLE',
      'CDMA.D_OP_ENABLE',
    ]);
    s.device.done('CACC', 0);
    s.device.done('SDP', 0);
    await done;
  });

  it('arms the read DMA first when an operand comes from memory', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, { layers: [sdpLayer()] });
    assert.deepEqual(enables(s.device.take()), ['SDP_RDMA.D_OP_ENABLE', 'SDP.D_OP_ENABLE']);
    s.device.done('SDP', 0);
    await done;
  });

  it('alternates register groups, and fills the second while the first runs', async () => {
    const s = system();
    const client = await s.client();
    const next = (index: number): Partial<LayerSpec> => ({ consumers: { [OpType.SDP]: [index, 0] } });
    const { done } = await started(s, client, {
      layers: [sdpLayer({}, {}, next(1)), sdpLayer({}, {}, next(2)), sdpLayer()],
    });
    const producers = (): number[] =>
      s.device.writes.filter(({ name }) => name === 'SDP.S_POINTER').map(({ value }) => value);
    assert.deepEqual(producers(), [0, 0, 1, 1], 'two layers are armed at once');
    s.device.take();
    s.device.done('SDP', 0);
    await s.clock.settle();
    assert.deepEqual(producers(), [0, 0], 'the third goes into the group that is free again');
    s.device.done('SDP', 1);
    s.device.done('SDP', 0);
    await done;
  });

  it('holds a layer back until the layer it depends on has completed', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, {
      layers: [
        sdpLayer({}, {}, { consumers: { [OpType.PDP]: [1, OpEvent.COMPLETED] } }),
        pdpLayer({}, {}, { waits: 1 }),
      ],
    });
    const before = s.device.take();
    assert.ok(before.includes('PDP.D_DATA_FORMAT'), 'it is programmed');
    assert.ok(!before.includes('PDP.D_OP_ENABLE'), 'and not armed');
    s.device.done('SDP', 0);
    await s.clock.settle();
    assert.deepEqual(enables(s.device.take()), ['PDP_RDMA.D_OP_ENABLE', 'PDP.D_OP_ENABLE']);
    s.device.done('PDP', 0);
    await done;
  });

  it('passes on that the convolution has fetched its weights', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, {
      layers: [
        convLayer({}, { dst_data: flying() }, { consumers: { [OpType.BDMA]: [1, OpEvent.CDMA_WT_DONE] } }),
        bdmaLayer(1, {}, { waits: 1 }),
      ],
    });
    assert.ok(!s.device.take().includes('BDMA.CFG_LAUNCH0'));
    s.device.raise(1 << interruptBit.CDMA_WT);
    await s.clock.settle();
    assert.ok(s.device.take().includes('BDMA.CFG_LAUNCH0'));
    s.device.done('CACC', 0);
    s.device.done('BDMA', 0);
    await done;
  });

  it('keeps fetch interrupts masked while no layer waits for them', async () => {
    const s = system();
    const client = await s.client();
    assert.equal(s.accel.health.defects, 0);
    const { done } = await started(s, client, { layers: [convLayer()] });
    assert.equal(s.device.last('GLB.S_INTR_MASK'), undefined, 'the mask set at probe stays');
    s.device.done('CACC', 0);
    await done;
  });

  it('uploads a table once per layer and delays one that the running layer does not share', async () => {
    const s = system();
    const client = await s.client();
    const useLut = (lut_index: number): Parameters<typeof sdpLayer>[0] => ({
      lut_index,
      y_op: { ...sdpY, act: SdpActivation.LUT },
    });
    const { done } = await started(s, client, {
      luts: [lut({ method: 1 }), lut()],
      layers: [sdpLayer(useLut(0), {}, { consumers: { [OpType.SDP]: [1, 0] } }), sdpLayer(useLut(1))],
    });
    const first = s.device.take('SDP');
    assert.equal(first.filter((name) => name === 'SDP.S_LUT_ACCESS_DATA').length, 65 + 257);
    assert.equal(enables(first).length, 1, 'the second waits');
    s.device.done('SDP', 0);
    await s.clock.settle();
    const second = s.device.take('SDP');
    assert.equal(second.filter((name) => name === 'SDP.S_LUT_ACCESS_DATA').length, 65 + 257);
    assert.equal(enables(second).length, 1);
    s.device.done('SDP', 1);
    await done;
  });

  it('does not write BDMA commands of a second layer before the first is launched', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, {
      layers: [
        bdmaLayer(2, {}, { waits: 1, consumers: { [OpType.BDMA]: [1, 0] } }),
        bdmaLayer(3),
        sdpLayer({}, {}, { consumers: { [OpType.BDMA]: [0, OpEvent.COMPLETED] } }),
      ],
    });
    const commands = (names: string[]): number => names.filter((name) => name === 'BDMA.CFG_OP').length;
    assert.equal(commands(s.device.take()), 2);
    s.device.done('SDP', 0);
    await s.clock.settle();
    assert.deepEqual(s.device.take('BDMA'), ['BDMA.CFG_LAUNCH0']);
    s.device.done('BDMA', 0);
    await s.clock.settle();
    const then = s.device.take('BDMA');
    assert.equal(commands(then), 3);
    assert.ok(then.includes('BDMA.CFG_LAUNCH1'));
    s.device.done('BDMA', 1);
    await done;
  });

  it('completes a BDMA layer without transfers by itself', async () => {
    const s = system();
    const client = await s.client();
    await client.run({ layers: [bdmaLayer(0)] });
    assert.ok(!s.device.take().includes('BDMA.CFG_LAUNCH0'));
  });

  it('completes a task without layers at once', async () => {
    const client = await system().client();
    await client.run({ layers: [] });
  });

  it('runs the same task twice without its descriptors being written again', async () => {
    const s = system();
    const client = await s.client();
    const { descriptors, submit } = await client.task({ layers: convAndSdp(0) });
    const before = descriptors.slice();
    for (const group of [0, 1]) {
      const done = submit();
      await s.clock.settle();
      s.device.done('CACC', group);
      s.device.done('SDP', group);
      await done;
    }
    assert.deepEqual(descriptors, before);
  });

  it('starts in the group the hardware is at', async () => {
    const s = system();
    const client = await s.client();
    const once = async (group: number): Promise<void> => {
      const { done } = await started(s, client, { layers: [pdpLayer()] });
      assert.equal(s.device.last('PDP.S_POINTER'), group);
      assert.equal(s.device.last('PDP_RDMA.S_POINTER'), group);
      s.device.done('PDP', group);
      await done;
    };
    await once(0);
    await once(1);
    await once(0);
  });

  it('repeats every layer per region of interest', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, {
      layers: [sdpLayer(), sdpLayer()],
      network: { num_rois: 2, num_operations: 1 },
    });
    assert.equal(enables(s.device.take('SDP')).length, 2);
    s.device.done('SDP', 0);
    s.device.done('SDP', 1);
    await done;
  });

  it('reports busy time from arming to completion', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, { layers: [sdpLayer()] });
    s.clock.advance(5000);
    s.device.done('SDP', 0);
    await done;
    const usage = s.accel.driver.usage!(s.accel);
    assert.deepEqual(
      usage.find(({ engine }) => engine === 'sdp'),
      { engine: 'sdp', busyNs: 5000, jobs: 1 },
    );
    const [file] = s.accel.files;
    assert.equal(file!.busy('sdp').busyNs(s.clock.now()), 5000, 'and the client’s');
    assert.equal(file!.busy('conv').busyNs(s.clock.now()), 0);
  });

  it('programs every kind of layer', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, {
      luts: [lut()],
      layers: [convLayer(), cdpLayer({ lut_index: 0 }), pdpLayer(), rubikLayer(), bdmaLayer(), sdpLayer()],
    });
    assert.equal(s.device.last('CDP.D_LRN_CFG'), 0);
    assert.equal(s.device.last('PDP.D_RECIP_KERNEL_WIDTH'), 0x10000);
    assert.equal(s.device.last('RBK.D_CONTRACT_STRIDE_0'), 2048);
    assert.equal(s.device.last('BDMA.CFG_LINE'), 256 / 32 - 1);
    assert.equal(s.device.last('CSC.D_ATOMICS'), 63);
    s.device.done('CACC', 0);
    s.device.done('CDP', 0);
    s.device.done('PDP', 0);
    s.device.done('RUBIK', 0);
    s.device.done('BDMA', 0);
    s.device.done('SDP', 0);
    await done;
  });

  it('gives the device addresses of the client, and the domain they are valid in', async () => {
    const s = system();
    const client = await s.client();
    const { done } = await started(s, client, {
      layers: [sdpLayer({}, { src_data: cube(DATA, { offset: 64 }), dst_data: cube(OUT, { offset: 96 }) })],
    });
    assert.equal(s.device.last('SDP_RDMA.D_SRC_BASE_ADDR_LOW')! % 4096, 64);
    assert.equal(s.device.last('SDP.D_DST_BASE_ADDR_LOW')! % 4096, 96);
    assert.notEqual(s.device.domain, undefined);
    s.device.done('SDP', 0);
    await done;
  });
});

const sdpY = {
  enable: 1,
  alu_type: 0,
  type: SdpType.NONE,
  mode: SdpMode.PER_LAYER,
  act: SdpActivation.NONE,
  shift_value: 0,
  truncate: 0,
  precision: 0,
  alu_operand: 0,
  mul_operand: 0,
  alu_cvt: { scale: 0, truncate: 0, enable: 0, offset: 0 },
  mul_cvt: { scale: 0, truncate: 0, enable: 0, offset: 0 },
};
