// What a client of a fuzzer was given so far, and the memory that its pointers point to.
// Not how it calls: client.ts calls the core, wire-client.ts speaks to a daemon.
import type { SuiteBuffer } from '../../testing/index.js';
import type { Random } from './random.js';

/** Bytes of user memory for structs' pointers. */
export const ARENA = 8192;

export class FuzzState {
  readonly buffers: SuiteBuffer[] = [];
  /** Handles of imports. */
  readonly handles: number[] = [];
  readonly syncobjs: number[] = [];
  /** Numbers of descriptors. */
  readonly fds: number[] = [];
  readonly arena = new Uint8Array(ARENA);
  readonly view = new DataView(this.arena.buffer);
  /** User address of the arena. */
  pointer = 0;

  /** A buffer handle: mostly one it has. */
  handle(random: Random): number {
    if (random.once(8)) return random.word();
    if (this.handles.length > 0 && random.once(4)) return random.pick(this.handles)!;
    return random.pick(this.buffers)?.handle ?? random.below(4);
  }

  syncobj(random: Random): number {
    return (random.once(8) ? undefined : random.pick(this.syncobjs)) ?? random.below(4);
  }

  fd(random: Random): number {
    return (random.once(8) ? undefined : random.pick(this.fds)) ?? random.word() | 0;
  }

  /** Remembers at most `most` things of a kind; the oldest is forgotten, not closed. */
  static keep<T>(list: T[], value: T, most = 24): void {
    if (list.length >= most) list.shift();
    list.push(value);
  }
}
