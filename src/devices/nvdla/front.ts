// The front of NVDLA: the CSB window, the units' register groups, what starts when, completion and interrupts.
// Not a data path: an operation becomes one engine command (plan/), computed in engine/. Fact sheet sections 1.2 to 1.5.
import type { Register, RegisterTable } from '../../base/registers.js';
import { AccelError, errnoName } from '../../base/errors.js';
import type { DevicePort, EngineDone, EngineHandle, RegisterStatus, VirtualDevice } from '../../bus/port.js';
import {
  configs,
  CSB_SIZE,
  interruptBit,
  registerMaps,
  type ConfigName,
  type NvdlaConfig,
  type UnitName,
} from '../../hw/nvdla/config.js';
import { Bdma } from './bdma.js';
import { cfgrom } from './cfgrom.js';
import { computeCycles, copyCycles, costOf, latencyCycles, stallCycles, streamsOf } from './cycles.js';
import { cubeLayout, CommandWriter, operation, resultWord } from './engine/command.js';
import { WINOGRAD_STEP } from './engine/conv-params.js';
import { BAND_BYTES } from './engine/index.js';
import { Glb } from './glb.js';
import { LutTables } from './lut.js';
import { ConvBuffer } from './plan/conv-buffer.js';
import { KeptCommands } from './plan/kept.js';
import { planCdp } from './plan/cdp.js';
import { planConv, text } from './plan/conv.js';
import { planPdp, planPdpSource, pdpShape } from './plan/pdp.js';
import { Faulted, Plan, Refused, type Luts, type Units } from './plan/plan.js';
import { planRubik } from './plan/rubik.js';
import { feedsPdp, needsRdma, planSdp, planSdpSource, type SdpShape } from './plan/sdp.js';
import { Unit, type UnitHandler } from './unit.js';

/** Registers inside the grouped units that read as zero: nobody counts NaNs or hits of tables here. */
const counter = /^(D_PERF_(LUT|OUT)|D_(NAN|INF)_|D_STATUS_(NAN|INF)_|D_OUT_SATURATION$)/;
/** Registers that are kept and change nothing: arbitration, spare bits, timing of fetches. */
const kept = /^(CFG_(RD|WR)_WEIGHT|CFG_OUTSTANDING|S_ARBITER|D_CYA|D_FETCH_GRAIN|D_RESERVED)/;
/**
 * Cycles that a register access takes, in the one place where it matters: after reset the convolution buffer is cleared, an
 * entry per cycle, and a guest that looks at once sees that it is not done (findings.md).
 */
const ACCESS_CYCLES = 25;

/** The independent data paths; a convolution's SDP and PDP are part of its own. */
type EngineName = 'conv' | 'sdp' | 'pdp' | 'cdp' | 'bdma' | 'rubik';

/** Interrupts a unit's completion raises, as bits of group 0. */
const raises: Partial<Record<UnitName, readonly number[]>> = {
  CDMA: [interruptBit.CDMA_DAT, interruptBit.CDMA_WT],
  CACC: [interruptBit.CACC],
  SDP: [interruptBit.SDP],
  PDP: [interruptBit.PDP],
  CDP: [interruptBit.CDP],
  RBK: [interruptBit.RUBIK],
};

export class NvdlaDevice implements VirtualDevice {
  readonly windows = [CSB_SIZE];
  onOperation: VirtualDevice['onOperation'];
  readonly config: NvdlaConfig;
  readonly #port: DevicePort;
  readonly #units: Units;
  /** Units by 4 KiB page of the window. */
  readonly #pages: (Unit | undefined)[] = new Array<Unit | undefined>(CSB_SIZE >> 12).fill(undefined);
  readonly #bases: readonly (readonly [Unit, number])[];
  readonly #glb: Glb;
  readonly #luts: Luts;
  readonly #bdma: Bdma;
  /** Of the units that this configuration has. */
  readonly #engines: Readonly<Partial<Record<EngineName, EngineHandle>>>;
  readonly #writer: CommandWriter;
  readonly #kept = new KeptCommands();
  readonly #convBuffer: ConvBuffer;
  /** Register accesses since reset. */
  #accesses = 0;
  readonly #complained = new Set<number>();
  /** Operations in flight, to be given back at a reset. */
  readonly #plans = new Set<Plan>();

  constructor(port: DevicePort, config: NvdlaConfig) {
    this.#port = port;
    this.config = config;
    const map = registerMaps[config.family];
    this.#glb = new Glb(port.irq(0), map.units.GLB.S_INTR_STATUS.writeMask, port.clock);
    this.#luts = {
      sdp: new LutTables(port.memory, map.units.SDP),
      cdp: new LutTables(port.memory, map.units.CDP),
    };
    this.#convBuffer = new ConvBuffer(port.memory);
    this.#bdma = new Bdma({
      unit: () => this.#units.BDMA,
      submit: (write, done) => this.#submit('bdma', undefined, write, done),
      complete: (group) => this.#glb.complete(interruptBit.BDMA + group),
      account: (streams) => this.onOperation?.(costOf('bdma', copyCycles(config, streams), streams)),
      config,
      guestError: (text) => port.guestError(text),
    });
    const entries = config.cbuf.banks * config.cbuf.entriesPerBank;
    const handlers: Partial<Record<UnitName, Partial<Record<string, UnitHandler>>>> = {
      GLB: this.#glb.handlers,
      CDMA: { S_CBUF_FLUSH_STATUS: { read: () => (this.#accesses * ACCESS_CYCLES < entries ? 0 : 1) } },
      SDP: this.#luts.sdp.handlers,
      CDP: this.#luts.cdp.handlers,
      BDMA: this.#bdma.handlers,
      GEC: { SWRESET: { write: (value) => ((value & 1) === 0 ? undefined : this.reset()) } },
    };
    const resets: Partial<Record<UnitName, Partial<Record<string, number>>>> = {
      CFGROM: cfgrom(config),
    };
    const units: Partial<Record<UnitName, Unit>> = {};
    const bases: [Unit, number][] = [];
    // Units of the other family are made too, so that plans need no undefined; they are on no page.
    for (const name of Object.keys(registerMaps.small.units) as UnitName[]) {
      const base = map.base[name];
      const table = (map.units[name] ?? registerMaps.small.units[name]) as RegisterTable;
      const unit = this.#unit(name, base ?? 0, table, handlers[name] ?? {}, resets[name] ?? {});
      units[name] = unit;
      if (base === undefined || !this.#exists(name)) continue;
      this.#pages[base >> 12] = unit;
      bases.push([unit, base]);
    }
    this.#units = units as unknown as Units;
    this.#bases = bases;
    const conv = port.engine('conv');
    this.#engines = {
      conv,
      sdp: port.engine('sdp'),
      pdp: port.engine('pdp'),
      cdp: port.engine('cdp'),
      ...(config.bdma ? { bdma: port.engine('bdma') } : {}),
      ...(config.rubik ? { rubik: port.engine('rubik') } : {}),
    };
    this.#writer = new CommandWriter(conv.commandWords);
  }

  read32(window: number, offset: number): number {
    this.#accesses++;
    const unit = window === 0 && (offset & 3) === 0 ? this.#pages[offset >>> 12] : undefined;
    if (unit !== undefined) return unit.read(offset & 0xfff);
    this.#outside(offset, 'read');
    return 0;
  }

  write32(window: number, offset: number, value: number): void {
    this.#accesses++;
    const unit = window === 0 && (offset & 3) === 0 ? this.#pages[offset >>> 12] : undefined;
    if (unit !== undefined) unit.write(offset & 0xfff, value);
    else this.#outside(offset, 'write');
  }

  reset(): void {
    this.#accesses = 0;
    for (const engine of Object.values(this.#engines)) engine.abort();
    for (const plan of this.#plans) plan.release();
    this.#plans.clear();
    this.#convBuffer.reset();
    for (const [unit] of this.#bases) unit.reset();
    this.#luts.sdp.reset();
    this.#luts.cdp.reset();
    this.#bdma.reset();
    this.#glb.reset();
  }

  registers(): RegisterStatus[] {
    return this.#bases.flatMap(([unit, base]) =>
      (Object.values(unit.table) as Register[]).map((register) => ({
        unit: unit.name,
        register,
        offset: base + register.at,
        status: unit.statusOf(register),
      })),
    );
  }

  #exists(name: UnitName): boolean {
    const { config } = this;
    if (name === 'BDMA') return config.bdma;
    if (name === 'RBK') return config.rubik;
    if (name === 'CVIF') return config.cvsram;
    return true;
  }

  #unit(
    name: UnitName,
    base: number,
    table: RegisterTable,
    handlers: Partial<Record<string, UnitHandler>>,
    resets: Partial<Record<string, number>>,
  ): Unit {
    const rom = name === 'CFGROM';
    return new Unit({
      name,
      table,
      handlers,
      resets,
      modelled: (register) => !kept.test(register) && !['MCIF', 'CVIF', 'GEC'].includes(name),
      absent: (register) =>
        rom
          ? resets[register] === undefined
          : counter.test(register) && !(name === 'CACC' && /SATUR/.test(register)),
      onEnable: () => this.#start(),
      outside: (offset, access) => this.#outside(base + offset, access),
    });
  }

  #outside(offset: number, access: 'read' | 'write'): void {
    if (this.#complained.has(offset)) return;
    this.#complained.add(offset);
    this.#port.guestError(`${access} at 0x${offset.toString(16)}: there is no register`);
  }

  /** Starts every operation whose units are armed. Operations of one unit are consumed in order. */
  #start(): void {
    const units = this.#units;
    const { CDMA, CSC, CMAC_A, CMAC_B, CACC, SDP, SDP_RDMA, PDP, PDP_RDMA, CDP, CDP_RDMA, RBK } = units;
    if (SDP.ready) {
      const flying = SDP.get('D_FEATURE_MODE_CFG', 'FLYING_MODE') === 1;
      const rdma = !flying || needsRdma(units);
      const pdp = feedsPdp(units);
      const conv = [CDMA, CSC, CMAC_A, CMAC_B, CACC];
      const pdpReady = PDP.ready && PDP.get('D_OPERATION_MODE_CFG', 'FLYING_MODE') === 0;
      if ((!rdma || SDP_RDMA.ready) && (!pdp || pdpReady) && (!flying || conv.every((unit) => unit.ready))) {
        const used: Unit[] = [];
        if (flying) used.push(...(conv as unknown as Unit[]));
        used.push(SDP as unknown as Unit);
        if (rdma) used.push(SDP_RDMA as unknown as Unit);
        if (pdp) used.push(PDP as unknown as Unit);
        this.#launch(flying ? 'conv' : 'sdp', used, (plan) => {
          if (flying) this.#planConv(plan, pdp);
          else this.#planSdp(plan, pdp);
        });
      }
    }
    if (PDP.ready && PDP_RDMA.ready && PDP.get('D_OPERATION_MODE_CFG', 'FLYING_MODE') === 1) {
      this.#launch('pdp', [PDP, PDP_RDMA] as unknown as Unit[], (plan) => {
        plan.writer.word(operation.pdp).block(cubeLayout, planPdpSource(plan));
        planPdp(plan);
      });
    }
    if (CDP.ready && CDP_RDMA.ready) {
      this.#launch('cdp', [CDP, CDP_RDMA] as unknown as Unit[], (plan) => {
        plan.writer.word(operation.cdp);
        planCdp(plan);
      });
    }
    if (RBK.ready) this.#launch('rubik', [RBK] as unknown as Unit[], planRubik);
  }

  #planConv(plan: Plan, pdp: boolean): void {
    plan.writer.word(operation.convolution).word(pdp ? 1 : 0);
    const conv = planConv(plan);
    const rows = conv.winograd ? WINOGRAD_STEP : 1;
    const least = Math.ceil(conv.channels / conv.atom) * conv.atom * 4 * conv.width * rows;
    plan.writer.word(least > BAND_BYTES ? plan.buffer(least) : 0);
    plan.writer.word(0).word(conv.height);
    const sdp = planSdp(plan);
    if (conv.precision !== sdp.precision) throw new Refused('SDP and CACC differ in precision');
    if (conv.winograd !== sdp.winograd)
      throw new Refused('SDP and CACC differ: one is in the order of Winograd');
    if (conv.batches !== sdp.batches) throw new Refused('SDP and CACC differ in batches');
    if (text(conv) !== text(sdp)) throw new Refused(`SDP expects ${text(sdp)}, CACC gives ${text(conv)}`);
    if (pdp) this.#planFlyingPdp(plan, sdp);
  }

  #planSdp(plan: Plan, pdp: boolean): void {
    plan.writer.word(operation.sdp);
    const sdp = planSdp(plan);
    plan.writer.block(cubeLayout, planSdpSource(plan, sdp)).word(pdp ? 1 : 0);
    if (pdp) this.#planFlyingPdp(plan, sdp);
  }

  #planFlyingPdp(plan: Plan, sdp: SdpShape): void {
    const { width, height, channels } = pdpShape(plan);
    if (plan.units.PDP.get('D_DATA_FORMAT', 'INPUT_DATA') !== sdp.output)
      throw new Refused('PDP expects another precision than SDP gives');
    if (width !== sdp.width || height !== sdp.height || channels !== sdp.channels) {
      const theirs = `${sdp.width}x${sdp.height}x${sdp.channels}`;
      throw new Refused(`PDP expects ${width}x${height}x${channels}, SDP gives ${theirs}`);
    }
    planPdp(plan);
  }

  /** Starts one operation of armed units. One that cannot be stays armed and running, as hardware would hang. */
  #launch(engine: EngineName, units: readonly Unit[], write: (plan: Plan) => void): void {
    for (const unit of units) unit.running = true;
    this.#submit(engine, units, write, (result) => this.#complete(engine, units, result));
  }

  /**
   * Plans one operation, of `units` where registers alone say what it is, and hands it to its engine. `done` is not called for
   * one that cannot be, or faults.
   */
  #submit(
    engine: EngineName,
    units: readonly Unit[] | undefined,
    write: (plan: Plan) => void,
    done: EngineDone,
  ): void {
    const plan = new Plan(this.#port, this.config, this.#units, this.#luts, this.#writer, this.#convBuffer);
    // What the convolution buffer holds is not in the registers.
    const known = units !== undefined && !(engine === 'conv' && this.#convBuffer.involved(this.#units));
    let command: Int32Array | undefined;
    try {
      command = known ? this.#kept.find(units, plan) : undefined;
      if (command === undefined) {
        write(plan);
        command = this.#writer.take();
        if (known) this.#kept.keep(units, plan, command);
      }
      if (engine === 'conv') this.#convBuffer.settle(plan, this.#units);
    } catch (error) {
      this.#writer.take();
      plan.release();
      this.#convBuffer.abandon();
      if (error instanceof Refused)
        this.#port.guestError(`${error.message}: the operation does not complete`);
      else if (error instanceof AccelError) this.#port.guestError(error.message);
      else if (!(error instanceof Faulted)) throw error;
      return;
    }
    this.#plans.add(plan);
    this.#engines[engine]!.submit(command, (result) => {
      this.#plans.delete(plan);
      plan.release();
      const status = result[resultWord.status];
      if (status === 0) {
        done(result);
        return;
      }
      const error = errnoName(status) ?? status;
      this.#port.guestError(
        `${error}: a layer beyond what the engine can hold: the operation does not complete`,
      );
    });
  }

  #complete(engine: EngineName, units: readonly Unit[], result: Int32Array): void {
    this.#account(engine, units);
    for (const unit of units) {
      if (unit.name === 'SDP') this.#units.SDP.set('D_STATUS', result[resultWord.unequal]);
      if (unit.name === 'CACC') this.#units.CACC.set('D_OUT_SATURATION', result[resultWord.saturated]);
      const group = unit.finish();
      for (const bit of raises[unit.name] ?? []) this.#glb.complete(bit + group);
    }
    this.#start();
  }

  /** Performance counters of the units that have them switched on, and the cost for who wants it. */
  #account(engine: EngineName, units: readonly Unit[]): void {
    const counting = units.filter(
      (unit) => 'D_PERF_ENABLE' in unit.table && (unit.word(unit.table['D_PERF_ENABLE']) & 1) !== 0,
    );
    if (counting.length === 0 && this.onOperation === undefined) return;
    const { config } = this;
    const streams = streamsOf(config, this.#units, units, this.#convBuffer.skipped);
    for (const stream of streams) {
      const unit = counting.find(({ name }) => name === stream.unit);
      unit?.set(stream.stall, stallCycles(config, stream));
      if (stream.latency !== undefined) unit?.set(stream.latency, latencyCycles(config, stream));
    }
    this.onOperation?.(costOf(engine, computeCycles(config, this.#units, units), streams));
  }
}

/**
 * The model of one NVDLA.
 * @param options `config`: the configuration's name
 * @throws AccelError EINVAL for a configuration that does not exist
 */
export function createNvdla(port: DevicePort, options: Readonly<Record<string, unknown>>): NvdlaDevice {
  const name = options['config'];
  const config =
    typeof name === 'string' && Object.hasOwn(configs, name) ? configs[name as ConfigName] : undefined;
  if (config === undefined) {
    throw new AccelError('EINVAL', { field: 'config', reason: `${String(name)} is no NVDLA configuration` });
  }
  return new NvdlaDevice(port, config);
}
