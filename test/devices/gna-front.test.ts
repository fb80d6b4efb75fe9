// The GNA model at its registers: start, status, interrupts, faults of addresses and parameters, pause, reset.
// Not arithmetic: the layer here is one copy or one small product.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { PAGE_SIZE } from '../../src/base/memory.js';
import { gna } from '../../src/devices/gna/index.js';
import {
  ConfigDescriptor,
  gnaConfigs,
  Isi,
  LayerDescriptor,
  LayerOp,
  PDE_INVALID,
  regs,
  type GnaGeneration,
} from '../../src/hw/gna/index.js';
import { GnaRig } from '../support/gna-rig.js';

const STS = regs.STS.f;
const CTRL = regs.CTRL.f;

/** Device addresses of the test's pages: descriptors, operands, results. */
const LAYERS = 0;
const DATA = 0x1000;
const RESULT = 0x2000;
const PAGES = 3;

const copy = {
  op: LayerOp.COPY,
  flags: 0x08,
  inputs: 8,
  outputs: 8,
  groups: 1,
  list_length: 8,
  input: DATA,
  output: RESULT,
};

/** A rig with three pages behind one page table, and the configuration descriptor. */
class Setup {
  readonly rig: GnaRig;
  readonly image: number;
  readonly control: number;

  constructor(generation: GnaGeneration = '3.0') {
    this.rig = new GnaRig(generation);
    const { memory, map } = this.rig.target;
    this.image = memory.allocate(PAGES * PAGE_SIZE);
    this.control = memory.allocate(2 * PAGE_SIZE);
    map(this.image, PAGES * PAGE_SIZE);
    map(this.control, 2 * PAGE_SIZE);
    const table = this.control + PAGE_SIZE;
    for (let page = 0; page < PAGES; page++) memory.words[table / 4 + page] = this.image / PAGE_SIZE + page;
    this.configure({ vamaxaddr: PAGES * PAGE_SIZE - 1, page_directory: [table / PAGE_SIZE] });
    for (let i = 0; i < 16; i++) this.bytes(DATA)[i] = i + 1;
    regs.DESBASE.write(this.rig.target.registers, { PAGE: this.control / PAGE_SIZE });
  }

  configure(values: {
    labase?: number;
    lacnt?: number;
    vamaxaddr?: number;
    page_directory?: number[];
  }): void {
    const directory = values.page_directory;
    if (directory !== undefined) while (directory.length < 64) directory.push(PDE_INVALID);
    ConfigDescriptor.put(this.rig.target.memory.bytes, values, this.control);
  }

  layers(...layers: Parameters<typeof LayerDescriptor.bytes>[0][]): void {
    for (const [i, layer] of layers.entries())
      this.bytes(LAYERS).set(LayerDescriptor.bytes(layer), i * LayerDescriptor.size);
    this.configure({ labase: LAYERS, lacnt: layers.length });
  }

  bytes(va: number): Uint8Array {
    return this.rig.target.memory.bytes.subarray(this.image + va, this.image + PAGES * PAGE_SIZE);
  }

  get status(): number {
    return this.rig.target.registers.read32(regs.STS.at);
  }

  get control32(): number {
    return this.rig.target.registers.read32(regs.CTRL.at);
  }

  get line(): boolean {
    return this.rig.device.slot.line(0).level;
  }

  write(values: Parameters<typeof regs.CTRL.encode>[0]): void {
    regs.CTRL.write(this.rig.target.registers, values);
  }

  /** Starts in xNN mode with all interrupts on. */
  start(values: Parameters<typeof regs.CTRL.encode>[0] = {}): void {
    this.write({
      START: 1,
      MODE: 1,
      COMPLETION_INTERRUPT: 1,
      BREAKPOINT_INTERRUPT: 1,
      ERROR_INTERRUPT: 1,
      ...values,
    });
  }

  /** Starts and waits for the interrupt; the status. */
  async score(): Promise<number> {
    const done = this.rig.interrupt();
    this.start();
    await done;
    return this.status;
  }

  get said(): string {
    return [...this.rig.device.guestErrors].join('\n');
  }
}

let current: Setup | undefined;
function setup(generation?: GnaGeneration): Setup {
  current = new Setup(generation);
  return current;
}
afterEach(() => current?.rig[Symbol.dispose]());

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('GNA registers', () => {
  it('tell the input buffer of each generation, and the version from 3.5 on', () => {
    for (const [generation, config] of Object.entries(gnaConfigs)) {
      const rig = new GnaRig(generation as GnaGeneration);
      const { KILOBYTES, VERSION } = regs.IBUFFS.read(rig.target.registers);
      rig[Symbol.dispose]();
      assert.equal(KILOBYTES, config.inputBufferKb);
      assert.equal(VERSION, generation === '3.5' ? 35 : 0);
    }
  });

  it('refuse a generation that does not exist', () => {
    const port = setup().rig.device.slot.port;
    assert.throws(() => gna.create(port, { generation: '4.0' }), { code: 'EINVAL' });
  });

  it('read as zero outside the table, with one complaint', () => {
    const s = setup();
    assert.equal(s.rig.target.registers.read32(0x40), 0);
    assert.match(s.said, /0x40/);
  });
});

describe('A GNA score', () => {
  it('runs its layers, sets completion, raises the interrupt and clears CTRL.START', async () => {
    const s = setup();
    s.layers(copy, { ...copy, input: RESULT, output: RESULT + 64 });
    const status = await s.score();
    assert.equal(status, STS.SCORE_COMPLETED.mask);
    assert.equal(s.control32 & CTRL.START.mask, 0);
    assert.deepEqual([...s.bytes(RESULT + 64).subarray(0, 16)], [...s.bytes(DATA).subarray(0, 16)]);
  });

  it('reads CTRL.START as one while it runs', async () => {
    const s = setup();
    s.layers(copy);
    s.start();
    assert.equal(s.control32 & CTRL.START.mask, 1);
    await turn();
    assert.equal(s.control32 & CTRL.START.mask, 0);
  });

  it('of no layers completes and leaves memory alone', async () => {
    const s = setup();
    s.layers();
    assert.equal(await s.score(), STS.SCORE_COMPLETED.mask);
    assert.equal(s.bytes(RESULT)[0], 0);
  });

  it('keeps the line low when the interrupt is not enabled, and raises it when it becomes so', async () => {
    const s = setup();
    s.layers(copy);
    s.write({ START: 1, MODE: 1 });
    await turn();
    assert.equal(s.status & STS.SCORE_COMPLETED.mask, 1);
    assert.equal(s.line, false);
    s.write({ MODE: 1, COMPLETION_INTERRUPT: 1 });
    assert.equal(s.line, true);
  });

  it('is acknowledged by an abort, which lowers the line', async () => {
    const s = setup();
    s.layers(copy);
    await s.score();
    assert.equal(s.line, true);
    s.write({ ABORT: 1, COMPLETION_INTERRUPT: 1 });
    assert.equal(s.status, 0);
    assert.equal(s.line, false);
    assert.equal(s.control32, CTRL.COMPLETION_INTERRUPT.mask);
  });

  it('that is aborted never completes', async () => {
    const s = setup();
    s.layers(copy);
    s.start();
    s.write({ ABORT: 1, COMPLETION_INTERRUPT: 1 });
    await turn();
    assert.equal(s.status, 0);
    assert.equal(s.bytes(RESULT)[0], 0);
    assert.equal(await s.score(), STS.SCORE_COMPLETED.mask);
  });

  it('keeps the saturation flag through aborts until it is written', async () => {
    const s = setup();
    const view = new DataView(s.bytes(DATA).buffer, s.bytes(DATA).byteOffset);
    for (let i = 0; i < 16; i++) view.setInt16(2 * i, 32767, true);
    s.layers({
      op: LayerOp.AFFINE,
      flags: 0x0a,
      inputs: 8,
      outputs: 1,
      groups: 1,
      input: DATA,
      weights: DATA,
      sum: RESULT,
    });
    const status = await s.score();
    assert.equal(status, STS.SCORE_COMPLETED.mask | STS.SATURATE.mask);
    s.write({ ABORT: 1 });
    assert.equal(s.status, STS.SATURATE.mask);
    regs.STS.write(s.rig.target.registers, { SATURATE: 1 });
    assert.equal(s.status, 0);
  });

  it('is not started twice at once', async () => {
    const s = setup();
    s.layers(copy);
    s.start();
    s.start();
    await turn();
    assert.equal(s.status, STS.SCORE_COMPLETED.mask);
    assert.match(s.said, /in progress/);
  });

  it('is not started while powered off', async () => {
    const s = setup();
    s.layers(copy);
    regs.D0I3C.write(s.rig.target.registers, { POWER_OFF: 1 });
    s.start();
    await turn();
    assert.equal(s.status, 0);
    assert.match(s.said, /powered off/);
  });

  it('counts cycles when statistics are selected', async () => {
    const s = setup();
    s.layers(copy);
    s.start({ STATISTICS: 1 });
    await turn();
    assert.equal(s.status, STS.SCORE_COMPLETED.mask | STS.STATISTICS_VALID.mask);
    const total = s.rig.target.registers.read32(regs.PTC.at);
    const stall = s.rig.target.registers.read32(regs.PSC.at);
    assert.ok(stall > 0 && total > stall);
  });

  it('shows the current descriptor through ISI and ISV', async () => {
    const s = setup();
    s.layers(copy);
    await s.score();
    const { registers } = s.rig.target;
    regs.ISI.write(registers, { INDEX: Isi.IN_OUT });
    assert.equal(registers.read32(regs.ISV_LOW.at), DATA);
    assert.equal(registers.read32(regs.ISV_HIGH.at), RESULT);
  });

  it('is forgotten by a reset', async () => {
    const s = setup();
    s.layers(copy);
    s.start();
    s.rig.device.model.reset();
    await turn();
    assert.equal(s.status, 0);
    assert.equal(s.control32, 0);
    assert.equal(s.rig.target.registers.read32(regs.DESBASE.at), 0);
    assert.equal(regs.IBUFFS.read(s.rig.target.registers).KILOBYTES, 32);
  });

  it('pauses between layers and resumes', async () => {
    const s = setup();
    s.layers(copy, { ...copy, output: RESULT + 64 });
    s.start();
    s.write({ PAUSE: 1, MODE: 1, BREAKPOINT_INTERRUPT: 1, COMPLETION_INTERRUPT: 1 });
    await s.rig.interrupt();
    assert.equal(s.status, STS.PAUSED.mask);
    assert.equal(s.bytes(RESULT)[0], 1);
    assert.equal(s.bytes(RESULT + 64)[0], 0);
    const done = s.rig.interrupt();
    s.write({ RESUME: 1, MODE: 1, BREAKPOINT_INTERRUPT: 1, COMPLETION_INTERRUPT: 1 });
    assert.equal(s.line, false);
    await done;
    assert.equal(s.status, STS.SCORE_COMPLETED.mask);
    assert.equal(s.bytes(RESULT + 64)[0], 1);
  });

  it('stops at a breakpoint and goes on', async () => {
    const s = setup();
    s.layers(copy, { ...copy, output: RESULT + 64 });
    regs.BP_LOW.write(s.rig.target.registers, { VALUE: LayerDescriptor.size });
    assert.equal(await s.score(), STS.BREAKPOINT.mask);
    assert.equal(s.bytes(RESULT + 64)[0], 0);
    s.write({ RESUME: 1, MODE: 1, COMPLETION_INTERRUPT: 1 });
    await s.rig.interrupt();
    assert.equal(s.status, STS.SCORE_COMPLETED.mask);
    assert.equal(s.bytes(RESULT + 64)[0], 1);
  });
});

describe('A GNA score ends with', () => {
  it('an MMU error where the page directory has no table', async () => {
    const s = setup();
    s.layers({ ...copy, input: 1 << 22 });
    s.configure({ vamaxaddr: 2 ** 28 - 1 });
    assert.equal(await s.score(), STS.MMU_ERROR.mask);
  });

  it('an address out of range one byte past VAMAXADDR, and the exact end is fine', async () => {
    const s = setup();
    s.layers({ ...copy, output: PAGES * PAGE_SIZE - 16 });
    assert.equal(await s.score(), STS.SCORE_COMPLETED.mask);
    s.layers({ ...copy, output: PAGES * PAGE_SIZE - 14 });
    assert.equal(await s.score(), STS.VA_OUT_OF_RANGE.mask);
  });

  it('a DMA error where the system memory is not mapped for the device', async () => {
    const s = setup();
    s.layers(copy);
    s.rig.target.memory.words[(s.control + PAGE_SIZE) / 4 + 1] = 0;
    assert.equal(await s.score(), STS.DMA_ERROR.mask);
  });

  it('a DMA error where the configuration descriptor is not mapped', async () => {
    const s = setup();
    regs.DESBASE.write(s.rig.target.registers, { PAGE: 1 });
    assert.equal(await s.score(), STS.DMA_ERROR.mask);
  });

  it('an address error when a row of an active list lies outside', async () => {
    const s = setup();
    new DataView(s.bytes(DATA).buffer, s.bytes(DATA).byteOffset).setUint32(256, 0xffffffff, true);
    s.layers({
      op: LayerOp.AFFINE_ACTIVE_LIST,
      flags: 0x0a,
      bias_flags: 3,
      inputs: 8,
      outputs: 4,
      groups: 1,
      list_length: 1,
      active_list: DATA + 256,
      input: DATA,
      weights: DATA,
      bias: DATA,
      sum: RESULT,
    });
    assert.equal(await s.score(), STS.VA_OUT_OF_RANGE.mask);
  });

  const bad: {
    what: string;
    generation?: GnaGeneration;
    layer: Parameters<typeof LayerDescriptor.bytes>[0];
  }[] = [
    { what: 'an operation that does not exist', layer: { ...copy, op: 0x7f } },
    { what: 'a convolution on 0.9', generation: '0.9', layer: { op: LayerOp.CONV_1D } },
    { what: 'a 2D convolution on 2.0', generation: '2.0', layer: { op: LayerOp.CONV_2D } },
    { what: 'a mixture layer on 1.0', generation: '1.0', layer: { op: LayerOp.GMM } },
    { what: 'a precision code without meaning', layer: { ...copy, flags: 0x0c } },
    { what: 'nine groups', layer: { op: LayerOp.AFFINE, flags: 0x0a, inputs: 8, outputs: 1, groups: 9 } },
    { what: 'twelve inputs', layer: { op: LayerOp.AFFINE, flags: 0x0a, inputs: 12, outputs: 1, groups: 1 } },
    {
      what: 'an activation without segments',
      layer: { op: LayerOp.AFFINE, flags: 0x2a, inputs: 8, outputs: 1, groups: 1 },
    },
  ];
  for (const { what, generation, layer } of bad) {
    it(`a parameter out of range for ${what}`, async () => {
      const s = setup(generation);
      s.layers(layer);
      assert.equal(await s.score(), STS.PARAMETER_OUT_OF_RANGE.mask);
      assert.match(s.said, /layer 0/);
      s.write({ ABORT: 1 });
      assert.equal(s.line, false);
    });
  }

  it('whatever descriptors hold: every page of random bytes ends in completion or an error bit', async () => {
    const s = setup('2.0');
    let seed = 7;
    const random = (): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed >>> 24;
    };
    const ops = Object.values(LayerOp);
    for (let round = 0; round < 300; round++) {
      const descriptor = s.bytes(LAYERS).subarray(0, LayerDescriptor.size);
      for (let i = 0; i < descriptor.length; i++) descriptor[i] = random();
      descriptor[0] = ops[random() % ops.length]!;
      // Half of the addresses are in range.
      if (round % 2 === 0) for (let at = 0x20; at < 0x40; at += 4) descriptor.fill(0, at + 2, at + 4);
      s.configure({ labase: LAYERS, lacnt: 1 });
      const status = await s.score();
      assert.ok(status !== 0);
      s.write({ ABORT: 1 });
      regs.STS.write(s.rig.target.registers, { SATURATE: 1 });
    }
  });
});
