// The adder's model: registers in front, an engine that adds. Written from hw.ts, not from the driver.
// Not silicon: there is none.
import { RegisterFile, type Register } from 'accel/base';
import type {
  DeviceModel,
  DevicePort,
  DmaSpan,
  Engine,
  EngineContext,
  EngineHandle,
  IrqLine,
  RegisterStatus,
  VirtualDevice,
} from 'accel/bus/port';
import { regs, WINDOW_SIZE } from './hw.js';

class Adder implements VirtualDevice {
  readonly windows = [WINDOW_SIZE];
  readonly #port: DevicePort;
  readonly #engine: EngineHandle;
  readonly #irq: IrqLine;
  readonly #command = new Int32Array(4);
  #spans: DmaSpan[] = [];
  readonly #file: RegisterFile<typeof regs>;

  constructor(port: DevicePort) {
    this.#port = port;
    this.#engine = port.engine('adder');
    this.#irq = port.irq(0);
    this.#file = new RegisterFile(regs, {
      handlers: { CONTROL: { write: (value) => this.#control(value) } },
      modelled: ['ID', 'SOURCE', 'TARGET', 'BYTES', 'VALUE', 'STATUS', 'INTERRUPT'],
      onGuestError: (offset, access) =>
        port.guestError(`${access} of 0x${offset.toString(16)}: no such register`),
    });
  }

  read32(_window: number, offset: number): number {
    return this.#file.read32(offset);
  }

  write32(_window: number, offset: number, value: number): void {
    if (offset === regs.INTERRUPT.at) {
      this.#file.set(regs.INTERRUPT, this.#file.get(regs.INTERRUPT) & ~value);
      this.#updateInterrupt();
    } else this.#file.write32(offset, value);
  }

  reset(): void {
    this.#engine.abort();
    this.#release();
    this.#file.reset();
    this.#updateInterrupt();
  }

  registers(): RegisterStatus[] {
    return (Object.values(regs) as Register[]).map((register) => ({
      unit: 'ADDER',
      register,
      offset: register.at,
      status: this.#file.status(register),
    }));
  }

  #control(value: number): void {
    const { START, RESET } = regs.CONTROL.decode(value);
    if (RESET === 1) this.reset();
    else if (START === 1 && regs.STATUS.f.BUSY.get(this.#file.get(regs.STATUS)) === 0) this.#start();
  }

  #start(): void {
    const bytes = this.#file.get(regs.BYTES);
    const source = this.#map(this.#file.get(regs.SOURCE), bytes, 'read');
    const target = source === undefined ? undefined : this.#map(this.#file.get(regs.TARGET), bytes, 'write');
    if (source === undefined || target === undefined) return this.#end(1);
    this.#file.set(regs.STATUS, regs.STATUS.encode({ BUSY: 1 }));
    this.#command.set([source.address, target.address, bytes, this.#file.get(regs.VALUE)]);
    this.#engine.submit(this.#command, () => this.#end(0));
  }

  #end(fault: number): void {
    this.#release();
    this.#file.set(regs.STATUS, regs.STATUS.encode({ FAULT: fault }));
    this.#file.set(regs.INTERRUPT, 1);
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    this.#irq.set(this.#file.get(regs.INTERRUPT) !== 0);
  }

  #map(address: number, bytes: number, access: 'read' | 'write'): DmaSpan | undefined {
    const span = this.#port.dma.map(address, bytes, access);
    if (span !== undefined) this.#spans.push(span);
    return span;
  }

  #release(): void {
    for (const span of this.#spans.splice(0)) span.release();
  }
}

/** The data path. Pure computation on DRAM, so that it can run in a thread. */
function createEngine({ memory }: EngineContext): Engine {
  const dram = new Uint8Array(memory.buffer);
  return {
    execute([source, target, bytes, value]) {
      const from = source! >>> 0;
      const to = target! >>> 0;
      for (let i = 0; i < bytes!; i++) dram[to + i] = dram[from + i]! + value!;
    },
  };
}

export const model: DeviceModel = {
  name: 'adder',
  create: (port) => new Adder(port),
  engine: createEngine,
  kernels: false,
  scratchBytes: () => 0,
  module: import.meta.url,
};
