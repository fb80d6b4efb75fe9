// The ring between the core's thread and an engine's: command slots, result slots and three counters in shared memory.
// Not a queue of unbounded length: whoever submits looks at `room` first.

import { COMMAND_WORDS, RESULT_WORDS } from '../machine/engines.js';

/** Commands in flight at most. */
export const SLOTS = 64;

/** Indices into the control words. */
const SUBMITTED = 0;
const COMPLETED = 1;
const STOP = 2;
const ABORT = 3;
const CONTROL_WORDS = 16;

/** Words of one slot: length, command. */
const SLOT_WORDS = COMMAND_WORDS + 1;

export const RING_BYTES = 4 * (CONTROL_WORDS + SLOTS * (SLOT_WORDS + RESULT_WORDS));

/** Both sides' view. Counters wrap at 2^32; differences are taken in 32 bits. */
export class EngineRing {
  readonly buffer: SharedArrayBuffer;
  readonly #control: Int32Array;
  readonly #commands: Int32Array;
  readonly #results: Int32Array[];

  constructor(buffer = new SharedArrayBuffer(RING_BYTES)) {
    this.buffer = buffer;
    this.#control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.#commands = new Int32Array(buffer, 4 * CONTROL_WORDS, SLOTS * SLOT_WORDS);
    const results = 4 * (CONTROL_WORDS + SLOTS * SLOT_WORDS);
    this.#results = Array.from(
      { length: SLOTS },
      (_, slot) => new Int32Array(buffer, results + 4 * slot * RESULT_WORDS, RESULT_WORDS),
    );
  }

  get submitted(): number {
    return Atomics.load(this.#control, SUBMITTED);
  }

  get completed(): number {
    return Atomics.load(this.#control, COMPLETED);
  }

  get stopped(): boolean {
    return Atomics.load(this.#control, STOP) !== 0;
  }

  /** The core's side: copies a command in and rings the doorbell. */
  push(command: Int32Array): void {
    const at = this.submitted;
    const base = ((at >>> 0) % SLOTS) * SLOT_WORDS;
    this.#commands[base] = command.length;
    this.#commands.set(command, base + 1);
    Atomics.store(this.#control, SUBMITTED, (at + 1) | 0);
    Atomics.notify(this.#control, SUBMITTED);
  }

  command(at: number): Int32Array {
    const base = ((at >>> 0) % SLOTS) * SLOT_WORDS;
    return this.#commands.subarray(base + 1, base + 1 + this.#commands[base]!);
  }

  result(at: number): Int32Array {
    return this.#results[(at >>> 0) % SLOTS]!;
  }

  /** The engine's side: the command at `completed` is done. */
  complete(): void {
    Atomics.store(this.#control, COMPLETED, (this.completed + 1) | 0);
    Atomics.notify(this.#control, COMPLETED);
  }

  /** The engine's side: blocks until there is a command or the ring is stopped. */
  waitForCommand(): void {
    while (!this.stopped && this.submitted === this.completed)
      Atomics.wait(this.#control, SUBMITTED, this.completed);
  }

  /** The core's side: resolves when `completed` is no longer `seen`. */
  completion(seen: number): Promise<unknown> | undefined {
    const wait = Atomics.waitAsync(this.#control, COMPLETED, seen);
    return wait.async ? wait.value : undefined;
  }

  get aborting(): boolean {
    return Atomics.load(this.#control, ABORT) !== 0;
  }

  /** The core's side: has what waits skipped and blocks until the engine is idle. */
  abort(): void {
    Atomics.store(this.#control, ABORT, 1);
    for (let seen = this.completed; seen !== this.submitted; seen = this.completed) {
      Atomics.wait(this.#control, COMPLETED, seen);
    }
    Atomics.store(this.#control, ABORT, 0);
  }

  stop(): void {
    Atomics.store(this.#control, STOP, 1);
    Atomics.notify(this.#control, SUBMITTED);
  }
}
