// An engine over several threads: a command that pays is computed in parts, any other by the first thread, all in order.
// Not a scheduler: how a command is split and its results joined is the model's business (bus/port.ts, Parallel).
import type { EngineDone, EngineHandle } from '../bus/port.js';

export interface Splitter {
  /** Undefined for a command that is computed whole. */
  split(command: Int32Array): readonly Int32Array[] | undefined;
  join(results: readonly Int32Array[]): void;
}

interface Waiting {
  readonly command: Int32Array;
  readonly done: EngineDone;
}

export class SplitEngine implements EngineHandle {
  readonly commandWords: number;
  readonly #threads: EngineHandle[];
  readonly #another: (part: number) => EngineHandle;
  readonly #splitter: Splitter;
  readonly #waiting: Waiting[] = [];
  /** Whole commands with the first thread. */
  #whole = 0;
  /** Parts still computed; others wait, so that commands finish in order. */
  #parts = 0;

  /** `another` starts the thread of a part beyond the first, once. */
  constructor(first: EngineHandle, another: (part: number) => EngineHandle, splitter: Splitter) {
    this.commandWords = first.commandWords;
    this.#threads = [first];
    this.#another = another;
    this.#splitter = splitter;
  }

  submit(command: Int32Array, done: EngineDone): void {
    if (this.#waiting.length > 0 || !this.#start(command, done))
      this.#waiting.push({ command: command.slice(), done });
  }

  abort(): void {
    this.#waiting.length = 0;
    this.#whole = this.#parts = 0;
    for (const thread of this.#threads) thread.abort();
  }

  /** False when it must wait for what is in flight. */
  #start(command: Int32Array, done: EngineDone): boolean {
    if (this.#parts > 0) return false;
    const parts = this.#splitter.split(command);
    if (parts === undefined) {
      this.#whole++;
      this.#threads[0]!.submit(command, (result) => {
        this.#whole--;
        done(result);
        this.#next();
      });
      return true;
    }
    if (this.#whole > 0) return false;
    this.#parts = parts.length;
    const results: Int32Array[] = [];
    parts.forEach((part, index) => {
      this.#threads[index] ??= this.#another(index);
      this.#threads[index].submit(part, (result) => {
        results[index] = result.slice();
        if (--this.#parts > 0) return;
        this.#splitter.join(results);
        done(results[0]!);
        this.#next();
      });
    });
    return true;
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (!this.#start(first.command, first.done)) return;
      this.#waiting.shift();
    }
  }
}
