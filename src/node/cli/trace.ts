// accel trace: runs a command and writes what happened as a Chrome trace (chrome://tracing, Perfetto).
// Not a profiler: it shows the steps of each job and every register write, at the cost of slowing them.
import { writeFileSync } from 'node:fs';
import { AccelError } from '../../base/errors.js';
import type { Register } from '../../base/registers.js';
import { TraceStep, type TraceEvent } from '../../core/trace.js';
import type { MachineDevice } from '../../machine/index.js';
import type { System } from '../system.js';

/** One entry of the trace event format. Times in microseconds. */
interface ChromeEvent {
  readonly ph: 'M' | 'i' | 'X' | 'b' | 'e';
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly name: string;
  readonly cat?: string;
  readonly dur?: number;
  readonly s?: 't';
  readonly id?: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

/** What the tracks are: one process per side of the seams. */
const CLIENT = 1;
const DRIVER = 2;
const DEVICE = 3;

const names: Readonly<Record<number, string>> = {
  0: 'driver in staging',
  1: 'buffer mapped',
  2: 'ioctl',
  3: 'handler',
  4: 'job pushed',
  5: 'job run',
  6: 'doorbell',
  7: 'start',
  8: 'engine',
  9: 'interrupt',
  10: 'interrupt handler',
  11: 'job done',
};

/** Listens to one system until disposed. */
export class Recorder implements Disposable {
  readonly #events: ChromeEvent[] = [];
  readonly #tracks = new Map<string, number>();
  readonly #starts = new Map<string, number>();
  readonly #registers: Map<number, { unit: string; register: Register }>;
  readonly #subscription: Disposable;
  readonly #device: MachineDevice;
  #writes = 0;

  constructor(system: System, device: MachineDevice) {
    this.#device = device;
    this.#registers = new Map(
      device.model.registers().map(({ unit, register, offset }) => [offset, { unit, register }]),
    );
    for (const [pid, name] of [
      [CLIENT, 'client'],
      [DRIVER, 'driver'],
      [DEVICE, `device ${device.slot.name}`],
    ] as const)
      this.#events.push({ ph: 'M', pid, tid: 0, ts: 0, name: 'process_name', args: { name } });
    this.#subscription = system.machine.core.trace.subscribe((event) => this.#step(event));
    const { clock } = system;
    device.slot.tap = (_window, offset, value, write) => {
      if (write) this.#write(clock.now(), offset, value);
    };
  }

  /** Register writes seen. */
  get writes(): number {
    return this.#writes;
  }

  /** Trace entries, names of tracks included. */
  get events(): readonly ChromeEvent[] {
    return this.#events;
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    this.#device.slot.tap = undefined;
  }

  /** @throws AccelError ENOENT, EACCES with the path when it cannot be written */
  save(path: string): void {
    const trace = { displayTimeUnit: 'ns', traceEvents: this.#events };
    try {
      writeFileSync(path, JSON.stringify(trace));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      throw new AccelError(code === 'EACCES' ? 'EACCES' : 'ENOENT', {
        field: path,
        reason: 'cannot be written',
      });
    }
  }

  #step({ step, at, device, client, job, name = '', detail }: TraceEvent): void {
    const ts = at / 1000;
    const args = { step, device, client, job, detail };
    const unit = name.split('/').at(-1) ?? name;
    if (step === TraceStep.deviceStart) this.#starts.set(name, at);
    const started = step === TraceStep.engine ? this.#starts.get(name) : undefined;
    if (started !== undefined) {
      this.#starts.delete(name);
      const tid = this.#track(DEVICE, `engine ${unit}`);
      this.#events.push({
        ph: 'X',
        pid: DEVICE,
        tid,
        ts: started / 1000,
        dur: (at - started) / 1000,
        name: unit,
        args,
      });
    }
    if (job !== undefined && (step === TraceStep.jobPushed || step === TraceStep.jobDone)) {
      const ph = step === TraceStep.jobPushed ? 'b' : 'e';
      const tid = this.#track(DRIVER, 'jobs');
      this.#events.push({
        ph,
        pid: DRIVER,
        tid,
        ts,
        id: `${device}/${job}`,
        cat: 'job',
        name: `job ${job}`,
        args,
      });
    }
    const { pid, track } = placeOf(step, client);
    const text = [names[step], unit].filter((part) => part !== '' && part !== undefined).join(' ');
    this.#events.push({
      ph: 'i',
      s: 't',
      pid,
      tid: this.#track(pid, track),
      ts,
      name: `${step} ${text}`,
      args,
    });
  }

  #write(at: number, offset: number, value: number): void {
    this.#writes++;
    const known = this.#registers.get(offset);
    const hex = `0x${value.toString(16)}`;
    const fields = known?.register.fields.map((field) => [field.name, field.nameOf(field.get(value))]) ?? [];
    this.#events.push({
      ph: 'i',
      s: 't',
      pid: DEVICE,
      tid: this.#track(DEVICE, `registers ${known?.unit ?? ''}`.trim()),
      ts: at / 1000,
      name: known === undefined ? `0x${offset.toString(16)}` : `${known.unit}.${known.register.name}`,
      args: { value: hex, offset: `0x${offset.toString(16)}`, ...Object.fromEntries(fields) },
    });
  }

  #track(pid: number, name: string): number {
    const key = `${pid}/${name}`;
    let tid = this.#tracks.get(key);
    if (tid === undefined) {
      tid = this.#tracks.size + 1;
      this.#tracks.set(key, tid);
      this.#events.push({ ph: 'M', pid, tid, ts: 0, name: 'thread_name', args: { name } });
    }
    return tid;
  }
}

function placeOf(step: TraceStep, client: number | undefined): { pid: number; track: string } {
  if (step <= TraceStep.ioctl) return { pid: CLIENT, track: `client ${client ?? ''}`.trim() };
  if (step >= TraceStep.deviceStart && step <= TraceStep.interrupt) return { pid: DEVICE, track: 'steps' };
  if (step === TraceStep.jobDone) return { pid: DRIVER, track: 'scheduler' };
  if (step === TraceStep.jobPushed || step === TraceStep.jobRun) return { pid: DRIVER, track: 'scheduler' };
  return { pid: DRIVER, track: 'driver' };
}
