// Convolutions and matrix products over doubles: exact for integers, one rounding at the end for floats.
// Not quantised: zero points are taken off before and scales applied after (quantized.ts).
import type { ConvAttributes } from '../operators.js';
import type { Shape } from '../types.js';
import type { Weights } from './weights.js';

interface Box {
  readonly d: number;
  readonly h: number;
  readonly w: number;
}

/** One to three spatial sizes as depth, height and width. */
function box(list: readonly number[], fill: number): Box {
  const [w = fill, h = fill, d = fill] = [...list].reverse();
  return { d, h, w };
}

/** Output positions of one axis for which kernel tap `offset` falls inside the input: [from, to). */
function valid(offset: number, stride: number, input: number, output: number): [number, number] {
  const from = Math.max(0, Math.ceil(-offset / stride));
  const to = Math.min(output, Math.floor((input - 1 - offset) / stride) + 1);
  return [from, Math.max(from, to)];
}

/** The sizes of a convolution of up to three spatial axes. */
class Windows {
  readonly inp: Box;
  readonly out: Box;
  readonly kernel: Box;
  readonly stride: Box;
  readonly dilation: Box;
  readonly pad: Box;
  readonly inPlane: number;
  readonly outPlane: number;
  readonly taps: number;

  constructor(xShape: Shape, outShape: Shape, attributes: ConvAttributes) {
    this.inp = box(xShape.slice(2), 1);
    this.out = box(outShape.slice(2), 1);
    this.kernel = box(attributes.kernel_shape, 1);
    this.stride = box(attributes.strides, 1);
    this.dilation = box(attributes.dilations, 1);
    this.pad = box(attributes.pads.slice(0, attributes.kernel_shape.length), 0);
    this.inPlane = this.inp.d * this.inp.h * this.inp.w;
    this.outPlane = this.out.d * this.out.h * this.out.w;
    this.taps = this.kernel.d * this.kernel.h * this.kernel.w;
  }

  /** result += one input plane * one filter plane. */
  addPlane(
    x: Float64Array,
    from: number,
    weights: Float64Array,
    at: number,
    result: Float64Array,
    to: number,
  ): void {
    const { inp, out, kernel, stride, dilation, pad } = this;
    const step = stride.w;
    for (let kd = 0; kd < kernel.d; kd++) {
      const offsetD = kd * dilation.d - pad.d;
      const [d0, d1] = valid(offsetD, stride.d, inp.d, out.d);
      for (let kh = 0; kh < kernel.h; kh++) {
        const offsetH = kh * dilation.h - pad.h;
        const [h0, h1] = valid(offsetH, stride.h, inp.h, out.h);
        for (let kw = 0; kw < kernel.w; kw++, at++) {
          const weight = weights[at]!;
          const offsetW = kw * dilation.w - pad.w;
          const [w0, w1] = valid(offsetW, stride.w, inp.w, out.w);
          for (let od = d0; od < d1; od++) {
            for (let oh = h0; oh < h1; oh++) {
              const line = (od * stride.d + offsetD) * inp.h + oh * stride.h + offsetH;
              let i = from + line * inp.w + w0 * step + offsetW;
              const row = to + (od * out.h + oh) * out.w;
              for (let o = row + w0, end = row + w1; o < end; o++, i += step) result[o]! += weight * x[i]!;
            }
          }
        }
      }
    }
  }

  /** The inputs of output positions [first, first + count) as rows of `channels * taps` elements; zeros for padding. */
  gather(
    x: Float64Array,
    from: number,
    channels: number,
    first: number,
    count: number,
    rows: Float64Array,
  ): void {
    const { inp, out, kernel, stride, dilation, pad, inPlane, taps } = this;
    const length = channels * taps;
    for (let p = 0; p < count; p++) {
      const ow = (first + p) % out.w;
      const oh = Math.floor((first + p) / out.w) % out.h;
      const od = Math.floor((first + p) / (out.w * out.h));
      let tap = p * length;
      for (let kd = 0; kd < kernel.d; kd++) {
        const d = od * stride.d + kd * dilation.d - pad.d;
        for (let kh = 0; kh < kernel.h; kh++) {
          const h = oh * stride.h + kh * dilation.h - pad.h;
          for (let kw = 0; kw < kernel.w; kw++, tap++) {
            const w = ow * stride.w + kw * dilation.w - pad.w;
            const inside = d >= 0 && d < inp.d && h >= 0 && h < inp.h && w >= 0 && w < inp.w;
            let at = from + (d * inp.h + h) * inp.w + w;
            for (let c = 0, to = tap; c < channels; c++, to += taps, at += inPlane)
              rows[to] = inside ? x[at]! : 0;
          }
        }
      }
    }
  }
}

/** Filters of a group below which gathering windows costs more than it saves. */
const FEW_FILTERS = 4;
/** Doubles of filters, and of gathered windows, that are looked at together. */
const FILTERS_AT_ONCE = 1 << 21;
const WINDOWS_AT_ONCE = 1 << 16;

/** Convolution of any spatial rank up to 3: x [N,C,...], w [M,C/group,...] to [N,M,...]. Padding counts as 0. */
export function convolve(
  x: Float64Array,
  xShape: Shape,
  w: Weights,
  wShape: Shape,
  outShape: Shape,
  attributes: ConvAttributes,
): Float64Array {
  const windows = new Windows(xShape, outShape, attributes);
  const { inPlane, outPlane, taps } = windows;
  const [batch, channels] = [xShape[0]!, xShape[1]!];
  const [filters, perGroup] = [wShape[0]!, wShape[1]!];
  const own = filters / attributes.group;
  const length = perGroup * taps;
  const result = new Float64Array(batch * filters * outPlane);
  const chunk = Math.max(1, Math.min(own, Math.floor(FILTERS_AT_ONCE / length)));
  const scratch = new Float64Array(w.fill === undefined ? chunk * length : taps);
  const block = Math.max(2, Math.min(outPlane, Math.floor(WINDOWS_AT_ONCE / length)));
  const rows = new Float64Array(own < FEW_FILTERS || w.fill !== undefined ? 0 : block * length);
  for (let n = 0; n < batch; n++) {
    for (let group = 0; group < attributes.group; group++) {
      const from = (n * channels + group * perGroup) * inPlane;
      const to = (n * filters + group * own) * outPlane;
      if (w.fill !== undefined) {
        // All filters are alike: one of a single channel, over the sum of all channels.
        const sums = new Float64Array(inPlane);
        for (let c = 0; c < perGroup; c++)
          for (let i = 0, at = from + c * inPlane; i < inPlane; i++) sums[i]! += x[at + i]!;
        windows.addPlane(sums, 0, scratch.fill(w.fill), 0, result, to);
        for (let m = 1; m < own; m++) result.copyWithin(to + m * outPlane, to, to + outPlane);
        continue;
      }
      for (let first = 0; first < own; first += chunk) {
        const count = Math.min(chunk, own - first);
        w.read((group * own + first) * length, count * length, scratch);
        if (own < FEW_FILTERS) {
          for (let m = 0; m < count; m++)
            for (let c = 0; c < perGroup; c++)
              windows.addPlane(
                x,
                from + c * inPlane,
                scratch,
                m * length + c * taps,
                result,
                to + (first + m) * outPlane,
              );
          continue;
        }
        for (let p = 0; p < outPlane; p += block) {
          const positions = Math.min(block, outPlane - p);
          windows.gather(x, from, perGroup, p, positions, rows);
          products(scratch, count, rows, positions, length, result, to + first * outPlane + p, outPlane);
        }
      }
    }
  }
  return result;
}

/** out[at + i * stride + j] = row i of a . row j of b, rows of `length`; four by two at a time. */
function products(
  a: Float64Array,
  rowsA: number,
  b: Float64Array,
  rowsB: number,
  length: number,
  out: Float64Array,
  at: number,
  stride: number,
): void {
  for (let i = 0; i < rowsA; i += 4) {
    // Rows beyond the last repeat it; what they give is not stored.
    const a0 = i * length;
    const a1 = Math.min(i + 1, rowsA - 1) * length;
    const a2 = Math.min(i + 2, rowsA - 1) * length;
    const a3 = Math.min(i + 3, rowsA - 1) * length;
    for (let j = 0; j < rowsB; j += 2) {
      const b0 = j * length;
      const b1 = Math.min(j + 1, rowsB - 1) * length;
      let [s00, s01, s10, s11, s20, s21, s30, s31] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let p = 0; p < length; p++) {
        const x0 = b[b0 + p]!;
        const x1 = b[b1 + p]!;
        const w0 = a[a0 + p]!;
        const w1 = a[a1 + p]!;
        const w2 = a[a2 + p]!;
        const w3 = a[a3 + p]!;
        s00 += w0 * x0;
        s01 += w0 * x1;
        s10 += w1 * x0;
        s11 += w1 * x1;
        s20 += w2 * x0;
        s21 += w2 * x1;
        s30 += w3 * x0;
        s31 += w3 * x1;
      }
      const last = Math.min(4, rowsA - i);
      const both = j + 1 < rowsB;
      const to = at + i * stride + j;
      out[to] = s00;
      if (both) out[to + 1] = s01;
      if (last < 2) continue;
      out[to + stride] = s10;
      if (both) out[to + stride + 1] = s11;
      if (last < 3) continue;
      out[to + 2 * stride] = s20;
      if (both) out[to + 2 * stride + 1] = s21;
      if (last < 4) continue;
      out[to + 3 * stride] = s30;
      if (both) out[to + 3 * stride + 1] = s31;
    }
  }
}

/** Transposed convolution: x [N,C,...], w [C,M/group,...] to [N,M,...]. */
export function convolveTransposed(
  x: Float64Array,
  xShape: Shape,
  w: Float64Array,
  wShape: Shape,
  outShape: Shape,
  attributes: ConvAttributes,
): Float64Array {
  const rank = attributes.kernel_shape.length;
  const inp = box(xShape.slice(2), 1);
  const out = box(outShape.slice(2), 1);
  const kernel = box(attributes.kernel_shape, 1);
  const stride = box(attributes.strides, 1);
  const dilation = box(attributes.dilations, 1);
  const pad = box(attributes.pads.slice(0, rank), 0);
  const [batch, channels] = [xShape[0]!, xShape[1]!];
  const perGroup = wShape[1]!;
  const channelsPerGroup = channels / attributes.group;
  const filters = perGroup * attributes.group;
  const inPlane = inp.d * inp.h * inp.w;
  const outPlane = out.d * out.h * out.w;
  const taps = kernel.d * kernel.h * kernel.w;
  const result = new Float64Array(batch * filters * outPlane);
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      const group = Math.floor(c / channelsPerGroup);
      const from = (n * channels + c) * inPlane;
      for (let m = 0; m < perGroup; m++) {
        const to = (n * filters + group * perGroup + m) * outPlane;
        let at = (c * perGroup + m) * taps;
        for (let kd = 0; kd < kernel.d; kd++) {
          const offsetD = kd * dilation.d - pad.d;
          const [d0, d1] = valid(offsetD, stride.d, out.d, inp.d);
          for (let kh = 0; kh < kernel.h; kh++) {
            const offsetH = kh * dilation.h - pad.h;
            const [h0, h1] = valid(offsetH, stride.h, out.h, inp.h);
            for (let kw = 0; kw < kernel.w; kw++, at++) {
              const weight = w[at]!;
              const offsetW = kw * dilation.w - pad.w;
              const [w0, w1] = valid(offsetW, stride.w, out.w, inp.w);
              for (let d = d0; d < d1; d++) {
                for (let h = h0; h < h1; h++) {
                  let o =
                    to +
                    ((d * stride.d + offsetD) * out.h + h * stride.h + offsetH) * out.w +
                    w0 * stride.w +
                    offsetW;
                  const row = from + (d * inp.h + h) * inp.w;
                  for (let i = row + w0, end = row + w1; i < end; i++, o += stride.w)
                    result[o]! += weight * x[i]!;
                }
              }
            }
          }
        }
      }
    }
  }
  return result;
}

/** a [m,k] x b [k,n]; `bT` when b lies as [n,k]. Written into `out` at `at`. `b` is read some rows at a time. */
function multiply(
  out: Float64Array,
  at: number,
  a: Float64Array,
  aAt: number,
  b: Weights,
  bAt: number,
  m: number,
  k: number,
  n: number,
  bT: boolean,
): void {
  if (b.fill !== undefined) {
    for (let i = 0; i < m; i++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += a[aAt + i * k + p]!;
      out.fill(sum * b.fill, at + i * n, at + (i + 1) * n);
    }
    return;
  }
  const [rows, length] = bT ? [n, k] : [k, n];
  const chunk = Math.max(1, Math.min(rows, Math.floor(FILTERS_AT_ONCE / Math.max(1, length))));
  const scratch = new Float64Array(chunk * length);
  const left = bT && m > 0 ? a.subarray(aAt, aAt + m * k) : a;
  for (let first = 0; first < rows; first += chunk) {
    const count = Math.min(chunk, rows - first);
    b.read(bAt + first * length, count * length, scratch);
    if (bT) {
      products(left, m, scratch, count, k, out, at + first, n);
      continue;
    }
    for (let i = 0; i < m; i++)
      for (let p = 0; p < count; p++) {
        const value = a[aAt + i * k + first + p]!;
        const right = p * n;
        const row = at + i * n;
        for (let j = 0; j < n; j++) out[row + j]! += value * scratch[right + j]!;
      }
  }
}

function transposed(data: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j]!;
  return out;
}

/** Gemm without C and alpha: op(a) x op(b). */
export function gemmProduct(
  a: Float64Array,
  aShape: Shape,
  b: Weights,
  bShape: Shape,
  transA: boolean,
  transB: boolean,
): Float64Array {
  const [m, k] = transA ? [aShape[1]!, aShape[0]!] : [aShape[0]!, aShape[1]!];
  const n = transB ? bShape[0]! : bShape[1]!;
  const out = new Float64Array(m * n);
  multiply(out, 0, transA ? transposed(a, k, m) : a, 0, b, 0, m, k, n, transB);
  return out;
}

/** numpy's matmul with broadcast batch axes. */
export function matrixProduct(a: Float64Array, aShape: Shape, b: Weights, bShape: Shape): Float64Array {
  const left = aShape.length === 1 ? [1, aShape[0]!] : aShape;
  const right = bShape.length === 1 ? [bShape[0]!, 1] : bShape;
  const m = left.at(-2)!;
  const k = left.at(-1)!;
  const n = right.at(-1)!;
  const rank = Math.max(left.length, right.length) - 2;
  const sizes = Array.from({ length: rank }, (_, i) => {
    const l = left[left.length - 2 - rank + i] ?? 1;
    const r = right[right.length - 2 - rank + i] ?? 1;
    return l === 1 ? r : l;
  });
  const count = sizes.reduce((product, size) => product * size, 1);
  const out = new Float64Array(count * m * n);
  for (let batch = 0; batch < count; batch++) {
    let rest = batch;
    let [aAt, bAt, aStep, bStep] = [0, 0, m * k, k * n];
    for (let axis = rank - 1; axis >= 0; axis--) {
      const at = rest % sizes[axis]!;
      rest = Math.floor(rest / sizes[axis]!);
      const l = left[left.length - 2 - rank + axis] ?? 1;
      const r = right[right.length - 2 - rank + axis] ?? 1;
      if (l !== 1) aAt += at * aStep;
      if (r !== 1) bAt += at * bStep;
      aStep *= l;
      bStep *= r;
    }
    multiply(out, batch * m * n, a, aAt, b, bAt, m, k, n, false);
  }
  return out;
}
