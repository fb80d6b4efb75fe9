// Cuts windowed operators (convolution, pooling) into rectangles of output that fit the hardware, inputs overlapping as needed.
// Not numerics: every tile computes exactly what the whole would.

/** One spatial axis of a windowed operator. `pad` is at the begin; what is missing at the end is padded too. */
export interface Axis {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly pad: number;
}

/** Outputs [from, from + count) of an axis and the inputs they need: only what exists, and pads for the rest. */
export interface Span {
  readonly from: number;
  readonly count: number;
  readonly inputFrom: number;
  readonly inputCount: number;
  readonly padBegin: number;
  readonly padEnd: number;
}

/** Inputs for outputs [from, from + count). At least one input element, even where a window lies wholly in the padding. */
export function spanOf(axis: Axis, from: number, count: number): Span {
  const begin = from * axis.stride - axis.pad;
  const end = (from + count - 1) * axis.stride - axis.pad + (axis.kernel - 1) * axis.dilation + 1;
  const inputFrom = Math.max(0, begin);
  const inputEnd = Math.min(axis.input, end);
  return {
    from,
    count,
    inputFrom,
    inputCount: inputEnd - inputFrom,
    padBegin: inputFrom - begin,
    padEnd: end - inputEnd,
  };
}

/** Which outputs to cover, and at most how many in one span. */
export interface CutOptions {
  readonly from?: number;
  readonly to?: number;
  readonly outputs?: number;
}

/** Spans that cover the outputs, each with at most `limit` inputs; undefined when a single output needs more (or none at all). */
export function cutAxis(axis: Axis, limit: number, options: CutOptions = {}): Span[] | undefined {
  const { from: first = 0, to = axis.output, outputs = to - first } = options;
  const spans: Span[] = [];
  for (let from = first; from < to;) {
    const most = Math.min(outputs, to - from);
    const fits = (count: number): boolean => spanOf(axis, from, count).inputCount <= limit;
    let count = most;
    if (!fits(count)) {
      // Inputs grow by a stride per output: jump near, then settle.
      const over = spanOf(axis, from, count).inputCount - limit;
      count = Math.max(1, count - Math.ceil(over / axis.stride));
      while (count > 1 && !fits(count)) count--;
      while (count < most && fits(count + 1)) count++;
    }
    const span = spanOf(axis, from, count);
    if (span.inputCount > limit || span.inputCount < 1) return undefined;
    spans.push(span);
    from += count;
  }
  return spans;
}
