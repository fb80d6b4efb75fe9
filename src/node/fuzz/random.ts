// Reproducible random numbers, with a taste for those that break things.
// Not for secrets.

/** Numbers at the edges of ranges that drivers check. */
const edges = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 63, 64, 255, 256, 1000, 1001, 4095, 4096, 4097, 0x7fff, 0x8000, 0xffff,
  0x10000, 0x7fffffff, 0x80000000, 0xfffff000, 0xfffffffe, 0xffffffff,
];

/** xorshift32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not begin alike.
    let x = (Math.imul(seed | 0, 0x9e3779b1) ^ 0x6a09e667) >>> 0;
    if (x === 0) x = 1;
    this.#state = x;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** 32 random bits. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  /** From 0 to n - 1. */
  below(n: number): number {
    return Math.floor((this.next() / 0x100000000) * n);
  }

  /** True once in n on average. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  /** One of the list; undefined of an empty one. */
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)];
  }

  /** A word a caller might pass: small, at an edge, or anything. */
  word(): number {
    switch (this.below(4)) {
      case 0:
        return this.next();
      case 1:
        return edges[this.below(edges.length)]!;
      default:
        return this.below(8);
    }
  }
}
