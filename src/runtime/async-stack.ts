// Things to release in reverse order where releasing takes a call that must be awaited.
// Not the stack of base/: that one is for what can be let go at once.

/** Owns releases and runs them last-in first-out, one after the other. */
export class AsyncStack {
  #stack: (() => void | PromiseLike<void>)[] = [];

  defer(release: () => void | PromiseLike<void>): void {
    this.#stack.push(release);
  }

  /** Releases everything, also when one release fails; the first error is thrown at the end. Idempotent. */
  async dispose(): Promise<void> {
    let failed = false;
    let first: unknown;
    for (let release = this.#stack.pop(); release !== undefined; release = this.#stack.pop()) {
      try {
        await release();
      } catch (error) {
        if (!failed) first = error;
        failed = true;
      }
    }
    if (failed) throw first;
  }
}
