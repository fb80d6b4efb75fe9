// Operators that work element by element, with numpy's broadcasting.
// Not quantised: integers here are plain integers with C's wrap-around.
import { nodeError, type Node, shapeOf } from '../graph.js';
import type { Shape, TypedArray } from '../types.js';
import { allocate, broadcastIndex, roundHalfEven, type Tensor } from './tensor.js';

type Fn1 = (x: number) => number;
type Fn2 = (a: number, b: number) => number;

/** erf by its series and continued fraction: good to a double. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x)) return NaN;
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let total = a;
    for (let n = 1; n < 80 && Math.abs(term) > 1e-18; n++) {
      term *= (-a * a) / n;
      total += term / (2 * n + 1);
    }
    return Math.sign(x) * total * (2 / Math.sqrt(Math.PI));
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

const sigmoid: Fn1 = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const softplus: Fn1 = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

const unary: Record<string, Fn1> = {
  Abs: Math.abs,
  Acos: Math.acos,
  Acosh: Math.acosh,
  Asin: Math.asin,
  Asinh: Math.asinh,
  Atan: Math.atan,
  Atanh: Math.atanh,
  Ceil: Math.ceil,
  Cos: Math.cos,
  Cosh: Math.cosh,
  Erf: erf,
  Exp: Math.exp,
  Floor: Math.floor,
  HardSwish: (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)),
  IsNaN: (x) => (Number.isNaN(x) ? 1 : 0),
  Log: Math.log,
  Mish: (x) => x * Math.tanh(softplus(x)),
  Neg: (x) => -x,
  Not: (x) => (x !== 0 ? 0 : 1),
  Reciprocal: (x) => 1 / x,
  Relu: (x) => (x > 0 || Number.isNaN(x) ? x : 0),
  Round: roundHalfEven,
  Sigmoid: sigmoid,
  Sign: Math.sign,
  Sin: Math.sin,
  Sinh: Math.sinh,
  Softplus: softplus,
  Softsign: (x) => x / (1 + Math.abs(x)),
  Sqrt: Math.sqrt,
  Tan: Math.tan,
  Tanh: Math.tanh,
};

/** The function of a one-input operator with its attributes, or undefined when it is none. */
export function unaryFunction(node: Node): Fn1 | undefined {
  switch (node.op) {
    case 'LeakyRelu': {
      const { alpha } = node.attributes;
      return (x) => (x < 0 ? alpha * x : x);
    }
    case 'Elu': {
      const { alpha } = node.attributes;
      return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
    }
    case 'Celu': {
      const { alpha } = node.attributes;
      return (x) => (x < 0 ? alpha * Math.expm1(x / alpha) : x);
    }
    case 'Selu': {
      const { alpha, gamma } = node.attributes;
      return (x) => gamma * (x <= 0 ? alpha * Math.expm1(x) : x);
    }
    case 'ThresholdedRelu': {
      const { alpha } = node.attributes;
      return (x) => (x > alpha ? x : 0);
    }
    case 'HardSigmoid': {
      const { alpha, beta } = node.attributes;
      return (x) => Math.max(0, Math.min(1, alpha * x + beta));
    }
    case 'Gelu':
      return node.attributes.approximate === 'tanh'
        ? (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
        : (x) => 0.5 * x * (1 + erf(x / Math.SQRT2));
    default:
      return Object.hasOwn(unary, node.op) ? unary[node.op] : undefined;
  }
}

const min: Fn2 = (a, b) => (Number.isNaN(a) ? a : Number.isNaN(b) || b < a ? b : a);
const max: Fn2 = (a, b) => (Number.isNaN(a) ? a : Number.isNaN(b) || b > a ? b : a);

const binary: Record<string, Fn2> = {
  Add: (a, b) => a + b,
  And: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
  Div: (a, b) => a / b,
  Equal: (a, b) => (a === b ? 1 : 0),
  Greater: (a, b) => (a > b ? 1 : 0),
  GreaterOrEqual: (a, b) => (a >= b ? 1 : 0),
  Less: (a, b) => (a < b ? 1 : 0),
  LessOrEqual: (a, b) => (a <= b ? 1 : 0),
  Max: max,
  Mean: (a, b) => a + b,
  Min: min,
  Mul: (a, b) => a * b,
  Or: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
  Pow: (a, b) => a ** b,
  PRelu: (a, b) => (a < 0 ? a * b : a),
  Sub: (a, b) => a - b,
  Sum: (a, b) => a + b,
  Xor: (a, b) => ((a !== 0) !== (b !== 0) ? 1 : 0),
};

/** The same on 32-bit integers, where doubles would not be exact or division differs. */
const integer: Record<string, Fn2> = {
  Mul: Math.imul,
  Div: (a, b) => (b === 0 ? 0 : Math.trunc(a / b)),
  Pow: (a, b) => Math.trunc(a ** b),
};

type BigFn = (a: bigint, b: bigint) => bigint | boolean;

const bigBinary: Record<string, BigFn> = {
  Add: (a, b) => a + b,
  Div: (a, b) => (b === 0n ? 0n : a / b),
  Equal: (a, b) => a === b,
  Greater: (a, b) => a > b,
  GreaterOrEqual: (a, b) => a >= b,
  Less: (a, b) => a < b,
  LessOrEqual: (a, b) => a <= b,
  Max: (a, b) => (a > b ? a : b),
  Mean: (a, b) => a + b,
  Min: (a, b) => (a < b ? a : b),
  Mul: (a, b) => a * b,
  Pow: (a, b) => (b < 0n ? (a === 1n ? 1n : 0n) : a ** b),
  PRelu: (a, b) => (a < 0n ? a * b : a),
  Sub: (a, b) => a - b,
  Sum: (a, b) => a + b,
};

const bigUnary: Record<string, (x: bigint) => bigint> = {
  Abs: (x) => (x < 0n ? -x : x),
  Neg: (x) => -x,
  Relu: (x) => (x < 0n ? 0n : x),
  Sign: (x) => (x < 0n ? -1n : x > 0n ? 1n : 0n),
};

function isBig(data: TypedArray): data is BigInt64Array | BigUint64Array {
  return data instanceof BigInt64Array || data instanceof BigUint64Array;
}

/** Applies a one-input operator. */
export function applyUnary(node: Node, x: Tensor): TypedArray {
  const out = allocate(
    x.type === 'float16' ? 'float32' : node.op === 'IsNaN' ? 'bool' : x.type,
    x.data.length,
  );
  if (isBig(x.data)) {
    const fn = bigUnary[node.op];
    if (fn === undefined) throw nodeError(node, 'EOPNOTSUPP', `not computed for ${x.type}`);
    for (let i = 0; i < out.length; i++) (out as BigInt64Array)[i] = fn(x.data[i]!);
    return out;
  }
  const fn = unaryFunction(node)!;
  const from = x.data as Float32Array;
  const to = out as Float32Array;
  for (let i = 0; i < to.length; i++) to[i] = fn(from[i]!);
  return out;
}

/** Whether `combine` knows the operator. */
export function isBinary(op: string): boolean {
  return Object.hasOwn(binary, op);
}

/** One two-input step over tensors of one type, broadcast to `shape`. */
function combine(node: Node, a: Tensor, b: Tensor, shape: Shape, out: TypedArray): void {
  const ia = broadcastIndex(a.shape, shape);
  const ib = broadcastIndex(b.shape, shape);
  const count = out.length;
  if (isBig(a.data) && isBig(b.data)) {
    const fn = bigBinary[node.op];
    if (fn === undefined) throw nodeError(node, 'EOPNOTSUPP', `not computed for ${a.type}`);
    for (let i = 0; i < count; i++) {
      const value = fn(a.data[ia === undefined ? i : ia[i]!]!, b.data[ib === undefined ? i : ib[i]!]!);
      if (typeof value === 'bigint') (out as BigInt64Array)[i] = value;
      else (out as Uint8Array)[i] = value ? 1 : 0;
    }
    return;
  }
  const whole = !(a.data instanceof Float32Array || a.data instanceof Float64Array);
  const fn = (whole ? integer[node.op] : undefined) ?? binary[node.op]!;
  const da = (isBig(a.data) ? Float64Array.from(a.data, Number) : a.data) as Float32Array;
  const db = (isBig(b.data) ? Float64Array.from(b.data, Number) : b.data) as Float32Array;
  if (isBig(out)) {
    for (let i = 0; i < count; i++)
      out[i] = BigInt(Math.trunc(fn(da[ia === undefined ? i : ia[i]!]!, db[ib === undefined ? i : ib[i]!]!)));
    return;
  }
  const to = out as Float32Array;
  if (ia === undefined && ib === undefined) for (let i = 0; i < count; i++) to[i] = fn(da[i]!, db[i]!);
  else if (ia === undefined) for (let i = 0; i < count; i++) to[i] = fn(da[i]!, db[ib![i]!]!);
  else for (let i = 0; i < count; i++) to[i] = fn(da[ia[i]!]!, db[ib === undefined ? i : ib[i]!]!);
}

/** Two-input operators and Sum, Min, Max, Mean of any number. Several inputs are summed in doubles. */
export function applyBinary(node: Node, inputs: readonly Tensor[]): TypedArray {
  const output = node.outputs[0]!;
  const shape = shapeOf(output);
  const count = shape.reduce((product, dim) => product * dim, 1);
  const type = output.type === 'float16' || output.type === 'bfloat16' ? 'float32' : output.type;
  if (inputs.length === 2 && node.op !== 'Mean') {
    const out = allocate(type, count);
    combine(node, inputs[0]!, inputs[1]!, shape, out);
    return out;
  }
  const first = inputs[0]!;
  const wide = isBig(first.data) ? type : 'float64';
  let total: Tensor = first;
  for (const next of inputs.slice(1)) {
    const data = allocate(wide, count);
    combine(node, total, next, shape, data);
    total = { type: wide, shape, data };
  }
  const out = allocate(type, count) as Float32Array;
  const divisor = node.op === 'Mean' ? inputs.length : 1;
  const from = total.data as Float64Array;
  if (isBig(total.data)) (out as unknown as BigInt64Array).set(total.data as BigInt64Array);
  else for (let i = 0; i < count; i++) out[i] = from[i]! / divisor;
  return out;
}

/** Clip with bounds that may be left out. */
export function clip(x: Tensor, low: Tensor | undefined, high: Tensor | undefined): TypedArray {
  const out = allocate(x.type, x.data.length);
  if (isBig(x.data)) {
    const [a, b] = [low?.data[0] as bigint | undefined, high?.data[0] as bigint | undefined];
    for (let i = 0; i < out.length; i++) {
      let value = x.data[i]!;
      if (a !== undefined && value < a) value = a;
      if (b !== undefined && value > b) value = b;
      (out as BigInt64Array)[i] = value;
    }
    return out;
  }
  const [a, b] = [Number(low?.data[0] ?? -Infinity), Number(high?.data[0] ?? Infinity)];
  for (let i = 0; i < out.length; i++) (out as Float32Array)[i] = Math.min(b, Math.max(a, Number(x.data[i])));
  return out;
}

/** condition ? a : b. */
export function where(condition: Tensor, a: Tensor, b: Tensor, shape: Shape): TypedArray {
  const [ic, ia, ib] = [condition, a, b].map((tensor) => broadcastIndex(tensor.shape, shape));
  const count = shape.reduce((product, dim) => product * dim, 1);
  const out = allocate(a.type, count) as Float32Array;
  const [da, db] = [a.data as Float32Array, b.data as Float32Array];
  for (let i = 0; i < count; i++)
    out[i] = condition.data[ic?.[i] ?? i] ? da[ia?.[i] ?? i]! : db[ib?.[i] ?? i]!;
  return out;
}
