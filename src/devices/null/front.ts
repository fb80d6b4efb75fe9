// The null device's front: registers, the command ring, interrupts. One command at a time goes to the engine.
// Not the data path: engine.ts moves the bytes.
import { RegisterFile } from '../../base/register-file.js';
import type { Register } from '../../base/registers.js';
import type {
  DevicePort,
  DmaSpan,
  EngineHandle,
  IrqLine,
  RegisterStatus,
  VirtualDevice,
} from '../../bus/port.js';
import * as hw from '../../hw/null/index.js';
import { EngineOp } from './engine.js';

const { regs, Op, Status } = hw;

export class NullDevice implements VirtualDevice {
  readonly windows = [hw.WINDOW_SIZE];
  readonly #port: DevicePort;
  readonly #engine: EngineHandle;
  readonly #irq: IrqLine;
  readonly #command = new Int32Array(4);
  readonly #file: RegisterFile<typeof regs>;
  #wait: Disposable | undefined;
  /** DRAM of the transfer in flight. */
  #spans: DmaSpan[] = [];
  /** Counts resets, so that what was started before one is not taken for what comes after. */
  #generation = 0;

  constructor(port: DevicePort) {
    this.#port = port;
    this.#engine = port.engine('copy');
    this.#irq = port.irq(0);
    this.#file = new RegisterFile(regs, {
      handlers: {
        RESET: { write: (value) => (value & 1 ? this.reset() : undefined) },
        TAIL: { write: () => this.#kick() },
        INTR_STATUS: { write: (value) => this.#acknowledge(value) },
        INTR_MASK: { write: () => this.#updateInterrupt() },
      },
      modelled: ['ID', 'VERSION', 'STATUS', 'RING_BASE_LOW', 'RING_BASE_HIGH', 'RING_SIZE', 'HEAD'],
      onGuestError: (offset, access) =>
        port.guestError(`${access} of 0x${offset.toString(16)}: no such register`),
    });
  }

  read32(_window: number, offset: number): number {
    return this.#file.read32(offset);
  }

  write32(_window: number, offset: number, value: number): void {
    // What hardware holds in INTR_STATUS is changed by acknowledging bits, not by storing them.
    if (offset === regs.INTR_STATUS.at) this.#acknowledge(value);
    else this.#file.write32(offset, value);
  }

  reset(): void {
    this.#generation++;
    this.#engine.abort();
    this.#release();
    this.#wait?.[Symbol.dispose]();
    this.#wait = undefined;
    this.#file.reset();
    this.#updateInterrupt();
  }

  registers(): RegisterStatus[] {
    return (Object.values(regs) as Register[]).map((register) => ({
      unit: 'NULL',
      register,
      offset: register.at,
      status: this.#file.status(register),
    }));
  }

  get #busy(): boolean {
    return regs.STATUS.f.BUSY.get(this.#file.get(regs.STATUS)) === 1;
  }

  #setStatus(busy: number, error: number): void {
    this.#file.set(regs.STATUS, regs.STATUS.encode({ BUSY: busy, ERROR: error }));
  }

  #acknowledge(bits: number): void {
    this.#file.set(regs.INTR_STATUS, this.#file.get(regs.INTR_STATUS) & ~bits);
    this.#updateInterrupt();
  }

  #raise(bits: number): void {
    this.#file.set(regs.INTR_STATUS, this.#file.get(regs.INTR_STATUS) | bits);
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    this.#irq.set((this.#file.get(regs.INTR_STATUS) & ~this.#file.get(regs.INTR_MASK)) !== 0);
  }

  /** Starts when idle and without an error. */
  #kick(): void {
    if (this.#busy || this.#file.get(regs.STATUS) !== 0) return;
    if (this.#file.get(regs.HEAD) === this.#file.get(regs.TAIL)) return;
    this.#setStatus(1, Status.NONE);
    this.#next();
  }

  #next(): void {
    const head = this.#file.get(regs.HEAD);
    const size = this.#file.get(regs.RING_SIZE);
    if (head === this.#file.get(regs.TAIL)) {
      this.#setStatus(0, Status.NONE);
      this.#raise(regs.INTR_STATUS.f.DONE.mask);
      return;
    }
    if (size === 0 || size > hw.RING_COMMANDS_MAX) {
      this.#fail(Status.LENGTH, `ring of ${size} commands`);
      return;
    }
    const base = this.#file.get(regs.RING_BASE_HIGH) * 2 ** 32 + this.#file.get(regs.RING_BASE_LOW);
    const span = this.#port.dma.map(base + (head % size) * hw.Command.size, hw.Command.size, 'read');
    if (span === undefined) {
      this.#fail(Status.FAULT, 'ring is not mapped');
      return;
    }
    const command = hw.Command.from(this.#port.memory.bytes, span.address);
    span.release();
    this.#execute(command.op, command.value, Number(command.src), Number(command.dst), Number(command.bytes));
  }

  #execute(op: number, value: number, src: number, dst: number, bytes: number): void {
    switch (op) {
      case Op.NOP:
        this.#done();
        return;
      case Op.COPY:
      case Op.FILL:
        if (bytes > hw.BYTES_MAX) this.#fail(Status.LENGTH, `${bytes} bytes in one command`);
        else if (bytes === 0) this.#done();
        else this.#transfer(op, value, src, dst, bytes);
        return;
      case Op.WAIT:
        this.#poll(src, value);
        return;
      case Op.FENCE:
        if (dst % 4 !== 0 || !this.#port.dma.write32(dst, value)) this.#fail(Status.FAULT, 'fence address');
        else this.#done();
        return;
      default:
        this.#fail(Status.OPCODE, `opcode ${op}`);
    }
  }

  #transfer(op: number, value: number, src: number, dst: number, bytes: number): void {
    const source = op === Op.COPY ? this.#map(src, bytes, 'read') : undefined;
    if (op === Op.COPY && source === undefined) return this.#fail(Status.FAULT, 'source');
    const target = this.#map(dst, bytes, 'write');
    if (target === undefined) return this.#fail(Status.FAULT, 'destination');
    const command = this.#command;
    command[0] = source === undefined ? EngineOp.FILL : EngineOp.COPY;
    command[1] = source === undefined ? value : source.address;
    command[2] = target.address;
    command[3] = bytes;
    this.#engine.submit(command, () => {
      this.#release();
      if (this.#port.faults.take('ecc')) this.#fail(Status.ECC, 'uncorrectable memory error (injected)');
      else this.#done();
    });
  }

  #poll(address: number, value: number): void {
    const word = address % 4 === 0 ? this.#port.dma.read32(address) : undefined;
    if (word === undefined) return this.#fail(Status.FAULT, 'wait address');
    if (word >= value) return this.#done();
    this.#wait = this.#port.clock.after(hw.WAIT_PERIOD_NS, () => this.#poll(address, value));
  }

  /** The command at HEAD is done: on to the next, once the stack has unwound, however long the ring is. */
  #done(): void {
    const size = this.#file.get(regs.RING_SIZE);
    this.#file.set(regs.HEAD, (this.#file.get(regs.HEAD) + 1) % size);
    const generation = this.#generation;
    this.#port.clock.post(() => {
      if (generation === this.#generation) this.#next();
    });
  }

  #map(iova: number, bytes: number, access: 'read' | 'write'): DmaSpan | undefined {
    const span = this.#port.dma.map(iova, bytes, access);
    if (span !== undefined) this.#spans.push(span);
    return span;
  }

  #release(): void {
    for (const span of this.#spans.splice(0)) span.release();
  }

  #fail(error: number, what: string): void {
    this.#release();
    if (error !== Status.FAULT && error !== Status.ECC) this.#port.guestError(what);
    this.#setStatus(0, error);
    this.#raise(regs.INTR_STATUS.f.ERROR.mask);
  }
}
