// A stack of things to release, in reverse order of acquisition: Node 20 has Symbol.dispose, not the class.
// Not garbage collection: whoever acquires, disposes.
import './symbols.js';

type Dispose = () => void;

/** Owns disposables and releases them last-in first-out. The shape of ECMAScript's DisposableStack. */
export class DisposableStack implements Disposable {
  #stack: Dispose[] = [];
  #disposed = false;

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Takes ownership of `value` and returns it. */
  use<T extends Disposable>(value: T): T {
    this.defer(() => value[Symbol.dispose]());
    return value;
  }

  /** Runs `release` on dispose. */
  defer(release: Dispose): void {
    if (this.#disposed) {
      release();
      return;
    }
    this.#stack.push(release);
  }

  /** A new stack that owns everything; this one is left disposed, owning nothing. */
  move(): DisposableStack {
    const moved = new DisposableStack();
    moved.#stack = this.#stack;
    this.#stack = [];
    this.#disposed = true;
    return moved;
  }

  /** Releases everything, also when one release throws; the first error is thrown at the end. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    let failed = false;
    let first: unknown;
    for (let release = this.#stack.pop(); release !== undefined; release = this.#stack.pop()) {
      try {
        release();
      } catch (error) {
        if (!failed) first = error;
        failed = true;
      }
    }
    if (failed) throw first;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A disposable from a function; a second dispose does nothing. */
export function disposable(release: Dispose): Disposable {
  let done = false;
  return {
    [Symbol.dispose]() {
      if (done) return;
      done = true;
      release();
    },
  };
}
