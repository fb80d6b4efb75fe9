// Counts by powers of two: latencies whose spread matters more than their mean.
// Not a sample store: memory is constant.

/** Bucket i counts values in [2^i, 2^(i+1)); bucket 0 also those below 1. */
export class Histogram {
  readonly #counts = new Float64Array(64);
  #count = 0;
  #sum = 0;

  add(value: number): void {
    // Up to 2^32 without a logarithm: 4 s, if nanoseconds.
    const bucket = value < 1 ? 0 : value < 2 ** 32 ? 31 - Math.clz32(value) : Math.floor(Math.log2(value));
    this.#counts[Math.min(bucket, 63)]!++;
    this.#count++;
    this.#sum += value;
  }

  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return this.#sum;
  }

  /** The buckets that hold something: values below `below` and not in an earlier bucket. */
  buckets(): { readonly below: number; readonly count: number }[] {
    return Array.from(this.#counts, (count, i) => ({ below: 2 ** (i + 1), count })).filter(
      ({ count }) => count > 0,
    );
  }

  /** The upper end of the bucket in which the fraction `q` of all values is reached; 0 when empty. */
  quantile(q: number): number {
    let seen = 0;
    for (const { below, count } of this.buckets()) {
      seen += count;
      if (seen >= q * this.#count) return below;
    }
    return 0;
  }
}
