// Convolutions and matrix products over doubles: exact for integers, one rounding at the end for floats.
// Not quantised: zero points are taken off before and scales applied after (quantized.ts).
import type { ConvAttributes } from '../operators.js';
import type { Shape } from '../types.js';

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

/** Convolution of any spatial rank up to 3: x [N,C,...], w [M,C/group,...] to [N,M,...]. Padding counts as 0. */
export function convolve(
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
  const filters = wShape[0]!;
  const perGroup = wShape[1]!;
  const filtersPerGroup = filters / attributes.group;
  const inPlane = inp.d * inp.h * inp.w;
  const outPlane = out.d * out.h * out.w;
  const taps = kernel.d * kernel.h * kernel.w;
  const result = new Float64Array(batch * filters * outPlane);
  const pointwise =
    taps === 1 &&
    stride.d * stride.h * stride.w === 1 &&
    inPlane === outPlane &&
    attributes.pads.every((p) => p === 0);
  for (let n = 0; n < batch; n++) {
    for (let m = 0; m < filters; m++) {
      const group = Math.floor(m / filtersPerGroup);
      const to = (n * filters + m) * outPlane;
      for (let c = 0; c < perGroup; c++) {
        const from = (n * channels + group * perGroup + c) * inPlane;
        const tap = (m * perGroup + c) * taps;
        if (pointwise) {
          const weight = w[tap]!;
          for (let i = 0; i < outPlane; i++) result[to + i]! += weight * x[from + i]!;
          continue;
        }
        let at = tap;
        for (let kd = 0; kd < kernel.d; kd++) {
          const offsetD = kd * dilation.d - pad.d;
          const [d0, d1] = valid(offsetD, stride.d, inp.d, out.d);
          for (let kh = 0; kh < kernel.h; kh++) {
            const offsetH = kh * dilation.h - pad.h;
            const [h0, h1] = valid(offsetH, stride.h, inp.h, out.h);
            for (let kw = 0; kw < kernel.w; kw++, at++) {
              const weight = w[at]!;
              const offsetW = kw * dilation.w - pad.w;
              const [w0, w1] = valid(offsetW, stride.w, inp.w, out.w);
              const step = stride.w;
              for (let od = d0; od < d1; od++) {
                for (let oh = h0; oh < h1; oh++) {
                  let i =
                    from +
                    ((od * stride.d + offsetD) * inp.h + oh * stride.h + offsetH) * inp.w +
                    w0 * step +
                    offsetW;
                  const row = to + (od * out.h + oh) * out.w;
                  for (let o = row + w0, end = row + w1; o < end; o++, i += step)
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

/** a [m,k] x b [k,n]; `bT` when b lies as [n,k]. Written into `out` at `at`. */
function multiply(
  out: Float64Array,
  at: number,
  a: Float64Array,
  aAt: number,
  b: Float64Array,
  bAt: number,
  m: number,
  k: number,
  n: number,
  bT: boolean,
): void {
  for (let i = 0; i < m; i++) {
    const row = at + i * n;
    const left = aAt + i * k;
    if (bT) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        const right = bAt + j * k;
        for (let p = 0; p < k; p++) sum += a[left + p]! * b[right + p]!;
        out[row + j] = sum;
      }
    } else {
      for (let p = 0; p < k; p++) {
        const value = a[left + p]!;
        const right = bAt + p * n;
        for (let j = 0; j < n; j++) out[row + j]! += value * b[right + j]!;
      }
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
  b: Float64Array,
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
export function matrixProduct(a: Float64Array, aShape: Shape, b: Float64Array, bShape: Shape): Float64Array {
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
