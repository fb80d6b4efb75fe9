// Engines in worker threads: one per hardware unit, more for commands that can be split; started with their first command.
// Not a pool: an engine keeps its threads, so its packed operands stay in that core's cache.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { EngineDone, EngineHandle } from '../bus/port.js';
import {
  COMMAND_WORDS,
  RESULT_WORDS,
  type EngineHost,
  type EngineRequest,
  type Kernels,
} from '../machine/engines.js';
import { EngineRing, SLOTS } from './engine-ring.js';
import type { EngineWorkerData } from './engine-worker.js';
import { SplitEngine } from './split-engine.js';

/** Threads of one engine at most: beyond, the hand-over and the operands packed once per thread eat what they win. */
const MAX_WIDTH = 4;

interface Pending {
  readonly command: Int32Array | undefined;
  readonly done: EngineDone;
}

class EngineThread implements EngineHandle {
  readonly commandWords = COMMAND_WORDS;
  readonly #request: EngineRequest;
  readonly #kernels: Kernels;
  readonly #ring = new EngineRing();
  /** Submitted to the ring, oldest first, then (with their command) those that wait for a slot. */
  readonly #pending: Pending[] = [];
  #inRing = 0;
  readonly #result = new Int32Array(RESULT_WORDS);
  #next = 0;
  #worker: Worker | undefined;
  #waiting = false;
  #failure: Error | undefined;

  constructor(request: EngineRequest, kernels: Kernels) {
    this.#request = request;
    this.#kernels = kernels;
  }

  submit(command: Int32Array, done: EngineDone): void {
    this.#start();
    const room = this.#inRing < SLOTS && this.#inRing === this.#pending.length;
    this.#pending.push({ command: room ? undefined : command.slice(), done });
    if (room) this.#push(command);
    this.#wait();
  }

  abort(): void {
    if (this.#pending.length === 0) return;
    this.#ring.abort();
    this.#pending.length = 0;
    this.#inRing = 0;
    this.#next = this.#ring.completed;
  }

  stop(): void {
    this.#pending.length = 0;
    this.#inRing = 0;
    this.#ring.stop();
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #push(command: Int32Array): void {
    this.#ring.push(command);
    this.#inRing++;
  }

  #start(): void {
    if (this.#worker !== undefined) return;
    const { model, name, memory, scratch } = this.#request;
    const module = this.#kernels[model.name];
    const workerData: EngineWorkerData = {
      model: model.name,
      url: model.module,
      name,
      memory: memory.memory,
      module,
      scratch,
      ring: this.#ring.buffer,
    };
    this.#worker = new Worker(new URL('./engine-worker.js', import.meta.url), {
      workerData,
      name,
      execArgv: [],
    });
    // A defect in an engine must not look like a hang.
    this.#worker.on('error', (error) => {
      // Its memory is going: what it trips over now is no defect.
      if (this.#worker === undefined) return;
      this.#failure = error;
      throw error;
    });
  }

  /** One asynchronous wait at a time serves all commands in flight. */
  #wait(): void {
    if (this.#waiting || this.#inRing === 0 || this.#failure !== undefined) return;
    // A pending waitAsync does not keep the process alive; the worker does.
    this.#worker?.ref();
    this.#waiting = true;
    const changed = this.#ring.completion(this.#next);
    const resume = (): void => {
      this.#waiting = false;
      this.#drain();
      if (this.#inRing === 0) this.#worker?.unref();
      this.#wait();
    };
    if (changed === undefined) queueMicrotask(resume);
    else void changed.then(resume);
  }

  #drain(): void {
    while (this.#next !== this.#ring.completed) {
      // Copied out first: `done` may submit, and with a full ring that is the slot it gets.
      this.#result.set(this.#ring.result(this.#next));
      this.#next = (this.#next + 1) | 0;
      this.#inRing--;
      const { done } = this.#pending.shift()!;
      done(this.#result);
      const waiting = this.#pending[this.#inRing];
      if (waiting?.command !== undefined) {
        this.#pending[this.#inRing] = { ...waiting, command: undefined };
        this.#push(waiting.command);
      }
    }
  }
}

export class WorkerEngines implements EngineHost {
  readonly kind = 'worker';
  readonly #kernels: Kernels;
  readonly #engines: EngineThread[] = [];

  /** Memory of threads beyond the first. */
  readonly #scratch: (() => void)[] = [];
  readonly #width: number;

  /** `width`: how many threads may work on one command. */
  constructor(kernels: Kernels, width = Math.min(MAX_WIDTH, availableParallelism())) {
    this.#kernels = kernels;
    this.#width = width;
  }

  start(request: EngineRequest): EngineHandle {
    const first = this.#thread(request);
    const { parallel } = request.model;
    if (parallel === undefined || this.#width < 2) return first;
    const { memory, scratch } = request;
    const other = (part: number): EngineHandle => {
      const bytes = scratch.bytes;
      const address = bytes > 0 ? memory.allocate(bytes) : 0;
      if (bytes > 0) this.#scratch.push(() => memory.free(address));
      return this.#thread({ ...request, name: `${request.name}.${part}`, scratch: { address, bytes } });
    };
    const unit = request.name.slice(request.name.lastIndexOf('/') + 1);
    return new SplitEngine(first, other, {
      split: (command) => parallel.split(unit, command, this.#width),
      join: (results) => parallel.join(results),
    });
  }

  #thread(request: EngineRequest): EngineThread {
    const thread = new EngineThread(request, this.#kernels);
    this.#engines.push(thread);
    return thread;
  }

  [Symbol.dispose](): void {
    for (const engine of this.#engines) engine.stop();
    this.#engines.length = 0;
    for (const free of this.#scratch.splice(0)) free();
  }
}
