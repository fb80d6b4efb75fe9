// GNA's front: registers, the score in progress layer by layer, status and interrupt.
// Not the data path: plan/ decides what a layer is, engine.ts computes it.
//
// Ours where the public record ends: a start clears what the last score left in STS 0..8; a breakpoint is armed while BP is
// not 0 and stops before the layer whose descriptor lies at BP_LOW; a pause takes effect between two layers;
// starting while powered off does nothing.
import { RegisterFile } from '../../base/register-file.js';
import type { BitField, Register } from '../../base/registers.js';
import type {
  DevicePort,
  DmaSpan,
  EngineHandle,
  IrqLine,
  RegisterStatus,
  VirtualDevice,
} from '../../bus/port.js';
import type { GnaConfig } from '../../hw/gna/config.js';
import { CONFIG_LAYERS, ConfigDescriptor, LAYER_DESCRIPTOR_BYTES } from '../../hw/gna/descriptors.js';
import {
  BAR_SIZE,
  Isi,
  regs,
  STS_ABORT_CLEARS,
  STS_ERRORS,
  STS_WRITE_CLEARS,
} from '../../hw/gna/registers.js';
import { PAGE_SIZE } from '../../base/memory.js';
import { COMMAND_WORDS, encode, resultWord } from './command.js';
import { Cycles } from './cycles.js';
import { parameterFault, ScoreFault } from './fault.js';
import { Mmu } from './mmu.js';
import { liesApart } from './parts.js';
import { planGmm } from './plan/gmm.js';
import { planLayer, type LayerPlan, type LayerSource } from './plan/plan.js';

const STS = regs.STS.f;
const CTRL = regs.CTRL.f;

/** Bits of CTRL that ask for something and do not stay. */
const COMMANDS = CTRL.START.mask | CTRL.ABORT.mask | CTRL.PAUSE.mask | CTRL.RESUME.mask;

/** What a start found in the configuration descriptor. */
interface Score {
  readonly gmm: boolean;
  readonly activeList: boolean;
  readonly statistics: number;
  /** Of the first layer's descriptor; in GMM mode not used. */
  readonly base: number;
  readonly count: number;
  /** Layers done. */
  next: number;
  /** A breakpoint was taken here; resuming passes it. */
  passed: number;
}

/** IBUFFS of generation 3.5, measured on silicon by others; earlier parts read 0 there. */
const VERSION_35 = 35;
/** MCTL as one 3.5 part reads. */
const MCTL_35 = 0x100;

export class GnaDevice implements VirtualDevice {
  readonly windows = [BAR_SIZE];
  readonly config: GnaConfig;
  readonly #port: DevicePort;
  readonly #engine: EngineHandle;
  readonly #irq: IrqLine;
  readonly #mmu: Mmu;
  readonly #cycles: Cycles;
  readonly #file: RegisterFile<typeof regs>;
  readonly #command = new Int32Array(COMMAND_WORDS);
  /** The descriptor of the layer in progress, for ISV. */
  readonly #descriptor = new Uint8Array(LAYER_DESCRIPTOR_BYTES);
  readonly #words = new DataView(this.#descriptor.buffer);
  /** DRAM of the layer in flight. */
  #spans: DmaSpan[] = [];
  #score: Score | undefined;
  #pausing = false;
  #suspended = false;

  constructor(port: DevicePort, config: GnaConfig) {
    this.#port = port;
    this.config = config;
    this.#engine = port.engine('score');
    this.#irq = port.irq(0);
    this.#mmu = new Mmu(port);
    this.#cycles = new Cycles(config);
    this.#file = new RegisterFile(regs, {
      handlers: {
        STS: { write: (value) => this.#clear(value & STS_WRITE_CLEARS) },
        CTRL: { write: (value) => this.#control(value) },
        ISV_LOW: { read: () => this.#internal(0) },
        ISV_HIGH: { read: () => this.#internal(1) },
      },
      modelled: ['PTC', 'PSC', 'ISI', 'BP_LOW', 'BP_HIGH', 'D0I3C', 'DESBASE', 'IBUFFS'],
      onGuestError: (offset, access) =>
        port.guestError(`${access} of 0x${offset.toString(16)}: no such register`),
    });
    this.#setIdentity();
  }

  read32(_window: number, offset: number): number {
    return this.#file.read32(offset);
  }

  write32(_window: number, offset: number, value: number): void {
    this.#file.write32(offset, value);
  }

  reset(): void {
    this.#stop();
    this.#file.reset();
    this.#setIdentity();
    this.#updateInterrupt();
  }

  registers(): RegisterStatus[] {
    return (Object.values(regs) as Register[]).map((register) => ({
      unit: 'GNA',
      register,
      offset: register.at,
      status: this.#file.status(register),
    }));
  }

  #setIdentity(): void {
    const is35 = this.config.generation === '3.5';
    const identity = { KILOBYTES: this.config.inputBufferKb, VERSION: is35 ? VERSION_35 : 0 };
    this.#file.set(regs.IBUFFS, regs.IBUFFS.encode(identity));
    if (is35) this.#file.set(regs.MCTL, MCTL_35);
  }

  #raise(bits: number): void {
    this.#file.set(regs.STS, this.#file.get(regs.STS) | bits);
    this.#updateInterrupt();
  }

  #clear(bits: number): void {
    this.#file.set(regs.STS, this.#file.get(regs.STS) & ~bits);
    this.#updateInterrupt();
  }

  /** Level: what is to be reported and may interrupt. */
  #updateInterrupt(): void {
    const status = this.#file.get(regs.STS);
    const control = this.#file.get(regs.CTRL);
    const completed = STS.SCORE_COMPLETED.get(status) & CTRL.COMPLETION_INTERRUPT.get(control);
    const suspended = status & (STS.BREAKPOINT.mask | STS.PAUSED.mask);
    const stopped = suspended !== 0 && CTRL.BREAKPOINT_INTERRUPT.get(control) === 1;
    const failed = (status & STS_ERRORS) !== 0 && CTRL.ERROR_INTERRUPT.get(control) === 1;
    this.#irq.set(completed === 1 || stopped || failed);
  }

  #control(value: number): void {
    const busy = this.#score !== undefined ? CTRL.START.mask : 0;
    this.#file.set(regs.CTRL, ((value & ~COMMANDS) | busy) >>> 0);
    if (value & CTRL.ABORT.mask) {
      this.#stop();
      this.#clear(STS_ABORT_CLEARS & ~STS_WRITE_CLEARS);
    } else {
      if (value & CTRL.PAUSE.mask && busy) this.#pausing = true;
      if (value & CTRL.RESUME.mask) this.#resume();
      if (value & CTRL.START.mask) this.#start(value);
    }
    this.#updateInterrupt();
  }

  /** Forgets the score. */
  #stop(): void {
    if (this.#score !== undefined) this.#engine.abort();
    this.#end();
  }

  #end(): void {
    this.#release();
    this.#score = undefined;
    this.#pausing = this.#suspended = false;
    this.#file.set(regs.CTRL, this.#file.get(regs.CTRL) & ~CTRL.START.mask);
  }

  #release(): void {
    for (const span of this.#spans.splice(0)) span.release();
  }

  #start(control: number): void {
    if (this.#score !== undefined) {
      this.#port.guestError('started while a score is in progress');
      return;
    }
    if (regs.D0I3C.f.POWER_OFF.get(this.#file.get(regs.D0I3C)) === 1) {
      this.#port.guestError('started while powered off');
      return;
    }
    this.#clear(STS_ABORT_CLEARS & ~STS_WRITE_CLEARS);
    this.#file.set(regs.PTC, 0);
    this.#file.set(regs.PSC, 0);
    this.#cycles.clear();
    this.#file.set(regs.CTRL, this.#file.get(regs.CTRL) | CTRL.START.mask);
    this.#run(() => {
      this.#score = this.#readConfig(control);
      this.#next();
    });
  }

  #readConfig(control: number): Score {
    const at = this.#file.get(regs.DESBASE) * PAGE_SIZE;
    const span = this.#port.dma.map(at, ConfigDescriptor.size, 'read');
    if (span === undefined) throw new ScoreFault(STS.DMA_ERROR, 'configuration descriptor is not mapped');
    const { bytes, view } = this.#port.memory;
    const config = ConfigDescriptor.view(view, span.address);
    const gmm = span.address + CONFIG_LAYERS;
    this.#descriptor.set(bytes.subarray(gmm, gmm + LAYER_DESCRIPTOR_BYTES));
    const { labase, lacnt } = config;
    this.#mmu.load(config.page_directory, config.vamaxaddr);
    span.release();
    const mode = CTRL.MODE.get(control);
    const common = {
      activeList: CTRL.ACTIVE_LIST.get(control) === 1,
      statistics: CTRL.STATISTICS.get(control),
      next: 0,
      passed: -1,
    };
    if (mode === 0) return { ...common, gmm: true, base: 0, count: 1 };
    if (mode !== 1) throw parameterFault(`mode ${mode}`);
    if (lacnt > this.config.layersMax) throw parameterFault(`${lacnt} layers`);
    return { ...common, gmm: false, base: labase, count: lacnt };
  }

  /** Runs a part of the score; a fault in it ends the score with the bit that reports it. */
  #run(part: () => void): void {
    try {
      part();
    } catch (error) {
      if (!(error instanceof ScoreFault)) throw error;
      this.#fail(error.bit, error.message);
    }
  }

  #fail(bit: BitField, reason: string): void {
    const layer = this.#score?.gmm === false ? `layer ${this.#score.next}: ` : '';
    this.#port.guestError(`${bit.name}: ${layer}${reason}`);
    this.#end();
    this.#raise(bit.mask);
  }

  /** The next layer, unless the score is over or stops here. */
  #next(): void {
    const score = this.#score!;
    if (score.next === score.count) {
      this.#finish(score);
      return;
    }
    if (this.#pausing) {
      this.#suspend(STS.PAUSED);
      return;
    }
    const va = score.base + score.next * LAYER_DESCRIPTOR_BYTES;
    if (!score.gmm && score.passed !== score.next && this.#breakpointAt(va)) {
      score.passed = score.next;
      this.#suspend(STS.BREAKPOINT);
      return;
    }
    if (!score.gmm) this.#fetch(va, this.#words);
    const source: LayerSource = {
      config: this.config,
      bytes: this.#descriptor,
      largest: (list, count) => this.#largest(list, count),
      descriptor: (at) => this.#gmmDescriptor(at),
    };
    this.#submit(score.gmm ? planGmm(source, score.activeList) : planLayer(source));
  }

  #submit(plan: LayerPlan): void {
    this.#spans = this.#mmu.mapAll(plan.operands, plan.values);
    plan.values['apart'] = liesApart(plan) ? 1 : 0;
    const words = encode(plan.operation, plan.values, this.#command);
    this.#cycles.add(plan);
    this.#engine.submit(this.#command.subarray(0, words), (result) => {
      const saturated = result[resultWord.saturated] !== 0;
      this.#release();
      if (saturated) this.#raise(STS.SATURATE.mask);
      this.#score!.next++;
      this.#run(() => this.#next());
    });
  }

  #finish(score: Score): void {
    let bits = STS.SCORE_COMPLETED.mask;
    if (score.statistics !== 0) {
      this.#file.set(regs.PTC, this.#cycles.total);
      this.#file.set(regs.PSC, this.#cycles.event(score.statistics));
      bits |= STS.STATISTICS_VALID.mask;
    }
    this.#end();
    this.#raise(bits);
  }

  #breakpointAt(va: number): boolean {
    const low = this.#file.get(regs.BP_LOW);
    const high = this.#file.get(regs.BP_HIGH);
    return (low !== 0 || high !== 0) && low === va;
  }

  #suspend(bit: BitField): void {
    this.#pausing = false;
    this.#suspended = true;
    this.#raise(bit.mask);
  }

  #resume(): void {
    if (!this.#suspended) {
      this.#pausing = false;
      return;
    }
    this.#suspended = false;
    this.#clear(STS.PAUSED.mask | STS.BREAKPOINT.mask);
    this.#run(() => this.#next());
  }

  /** Copies the descriptor at `va`: what follows is planned from one state of it. */
  #fetch(va: number, to: DataView): void {
    const span = this.#mmu.map(va, LAYER_DESCRIPTOR_BYTES, 'read');
    const { view } = this.#port.memory;
    for (let at = 0; at < LAYER_DESCRIPTOR_BYTES; at += 4)
      to.setUint32(at, view.getUint32(span.address + at, true), true);
    span.release();
  }

  #gmmDescriptor(va: number): Uint8Array {
    const bytes = new Uint8Array(LAYER_DESCRIPTOR_BYTES);
    this.#fetch(va, new DataView(bytes.buffer));
    return bytes;
  }

  #largest(va: number, count: number): number {
    const span = this.#mmu.map(va, count * 4, 'read');
    const { view } = this.#port.memory;
    let most = 0;
    for (let i = 0; i < count; i++) most = Math.max(most, view.getUint32(span.address + 4 * i, true));
    span.release();
    return most;
  }

  /** ISV for the index in ISI: one half of two words of the current descriptor. */
  #internal(half: 0 | 1): number {
    const pair = (at: number): number => this.#words.getUint32(at + 4 * half, true);
    switch (this.#file.get(regs.ISI)) {
      case Isi.LAYER:
        return half === 0 ? (this.#score?.base ?? 0) : (this.#score?.count ?? 0);
      case Isi.DESCRIPTOR_0:
        return pair(0);
      case Isi.DESCRIPTOR_8:
        return pair(8);
      case Isi.DESCRIPTOR_16:
        return pair(16);
      case Isi.IN_OUT:
        return pair(0x20);
      case Isi.SUM_FEEDBACK:
        return pair(0x28);
      case Isi.WEIGHTS_BIAS:
        return pair(0x30);
      case Isi.ACTIVE_LIST_PWL:
        return pair(0x38);
      default:
        return 0;
    }
  }
}
