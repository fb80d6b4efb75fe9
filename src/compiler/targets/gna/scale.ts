// From real or 8-bit weights to the integers of a layer: one unit for sums, the activation table, the scale of results.
// Not where weights lie in memory: windows.ts.
import {
  type Activation,
  integerRange,
  type Node,
  nodeError,
  roundHalfEven,
  type Value,
} from '../../ir/index.js';
import { activationFunction, perTensor } from '../../ir/evaluate/quantized.js';
import type { ValueRanges } from '../../quantize/index.js';
import {
  curveTable,
  INT16_MAX,
  INT32_MAX,
  lineTable,
  slopeAbove,
  slopeBelow,
  slopeNear,
  type Table,
} from './pwl.js';
import { staircase } from './staircase.js';
import type { Stored } from './view.js';

/** An operator that is a sum of products with known weights, for each of its filters (output channels). */
export interface Linear {
  readonly node: Node;
  readonly filters: number;
  /** Weights per filter. */
  readonly inner: number;
  /** As the model has them, zero points taken off. Rows of `inner`. */
  readonly weights: ArrayLike<number>;
  /** The real that a product of 1 stands for, per filter: input scale times weight scale. */
  readonly unit: ArrayLike<number>;
  /** In products of 1. */
  readonly bias: ArrayLike<number>;
  /** No input is larger in magnitude. */
  readonly limit: number;
  /** Steps of a quantised result per product of 1, where the contract rounds it otherwise than `unit` over the result's scale. */
  readonly ratio?: number;
}

/** Integers for the hardware. */
export interface Quantities {
  /** Weights are these times the model's, rounded; per filter. */
  readonly factor: Float64Array;
  readonly bias: Int32Array;
  /** Set when weights fit 8 bits with this multiplier, exactly. */
  readonly multiplier?: number;
  readonly table: Table;
  readonly stored: Stored;
  /** What a person wants to know of it. */
  readonly detail: Readonly<Record<string, number | string>>;
}

/** Sums seen in calibration may be exceeded this many times before int32 saturates. */
const SUM_HEADROOM = 2;
/** Values seen in calibration may be exceeded by this factor before they saturate. */
const VALUE_HEADROOM = 1.25;
/** Of compound biases: unsigned 8 bits. */
const MULTIPLIER_MAX = 255;

/** How a value is kept in memory. @throws CompileError EOPNOTSUPP for floats without a range, and other types */
export function storedOf(node: Node, value: Value, ranges: ValueRanges | undefined): Stored {
  if (value.quantization !== undefined) {
    const range = integerRange(value.type);
    if (range === undefined || (value.type !== 'int8' && value.type !== 'uint8'))
      throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" is quantised to ${value.type}, not to 8 bits`);
    const { scale, zeroPoint } = perTensor(node, value);
    return { scale, zeroPoint, limit: Math.max(range.max - zeroPoint, zeroPoint - range.min) };
  }
  if (value.type !== 'float32')
    throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" is ${value.type}, neither float nor quantised`);
  const range = ranges?.of(value);
  if (range === undefined)
    throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" is a float without a calibrated range`);
  const most = Math.max(-range.min, range.max) * VALUE_HEADROOM;
  return { scale: most / INT16_MAX || 1 / INT16_MAX, zeroPoint: 0, limit: INT16_MAX };
}

/** For operators that quantised values must be kept alike in. */
export function sameScale(node: Node, a: Value, b: Value): boolean {
  if (a.quantization === undefined || b.quantization === undefined) return false;
  const [p, q] = [perTensor(node, a), perTensor(node, b)];
  return p.scale === q.scale && p.zeroPoint === q.zeroPoint;
}

interface Bounds {
  /** Greatest magnitude of a weight, and of a sum with the largest inputs, per filter. */
  readonly weight: Float64Array;
  readonly sum: Float64Array;
}

function boundsOf({ filters, inner, weights, bias, limit }: Linear): Bounds {
  const weight = new Float64Array(filters);
  const sum = new Float64Array(filters);
  for (let f = 0, at = 0; f < filters; f++) {
    let most = 0;
    let all = 0;
    for (let i = 0; i < inner; i++, at++) {
      const magnitude = Math.abs(weights[at]!);
      all += magnitude;
      if (magnitude > most) most = magnitude;
    }
    weight[f] = most;
    sum[f] = all * limit + Math.abs(bias[f]!);
  }
  return { weight, sum };
}

/** The integers for `linear`, whose result is `out` with `activation`. @throws CompileError EOPNOTSUPP */
export function quantities(
  linear: Linear,
  out: Value,
  activation: Activation | undefined,
  ranges: ValueRanges | undefined,
): Quantities {
  return out.quantization === undefined
    ? forReals(linear, out, activation, ranges)
    : forLevels(linear, out, activation);
}

/** 8-bit results: levels exactly as the integer semantics have them, where all filters have one scale. */
function forLevels(linear: Linear, out: Value, activation: Activation | undefined): Quantities {
  const { node, filters, unit, bias } = linear;
  const stored = storedOf(node, out, undefined);
  const round = levels(out, activation, stored);
  const { weight, sum } = boundsOf(linear);
  const scaleOf = (f: number): number => unit[f]! / stored.scale;
  const most = (values: Float64Array): number => values.reduce((a, b) => Math.max(a, b), 1e-30);
  if (Array.from(unit).every((each) => each === unit[0])) {
    const limit = Math.floor(Math.min(INT16_MAX / most(weight), INT32_MAX / most(sum), MULTIPLIER_MAX));
    const multiplier = linear.ratio ?? scaleOf(0);
    const whole = Array.from(bias).every((each) => Number.isInteger(each));
    for (let factor = limit; whole && factor >= 4 && factor > limit - 16; factor--) {
      const table = staircase({ unit: factor, level: (n) => round(n * multiplier) });
      if (table === undefined) continue;
      return {
        factor: new Float64Array(filters).fill(factor),
        bias: Int32Array.from(bias, (each) => each * factor),
        ...(isInt8(linear.weights) ? { multiplier: factor } : {}),
        table,
        stored,
        detail: { rounding: 'exact', segments: table.length },
      };
    }
  }
  // A step of the result is `step` sums, for every filter: weights take up the rest, rounded to 16 bits.
  let step = Infinity;
  for (let f = 0; f < filters; f++) {
    const scale = scaleOf(f);
    step = Math.min(step, INT16_MAX / (weight[f]! * scale), (INT32_MAX - 8) / (sum[f]! * scale));
  }
  if (!Number.isFinite(step)) step = 2 ** 16;
  // A step that slopes meet exactly.
  const line = slopeAbove(1 / step);
  step = 2 ** line.shift / line.slope;
  const curved = activation !== undefined && activation.op !== 'Relu' && activation.op !== 'Clip';
  const table = curved
    ? // A result may turn this little early or late.
      staircase({ unit: Math.max(4, step / 256), level: (n) => round((n * Math.max(4, step / 256)) / step) })
    : lineTable(line, round(-Infinity), round(Infinity));
  if (table === undefined)
    throw nodeError(
      node,
      'EOPNOTSUPP',
      'its result has more levels than an activation table of 128 segments',
    );
  const factor = Float64Array.from({ length: filters }, (_, f) => scaleOf(f) * step);
  return {
    factor,
    bias: Int32Array.from(factor, (each, f) => Math.round(each * bias[f]!)),
    table,
    stored,
    detail: { rounding: 'weights to 16 bits', segments: table.length },
  };
}

function isInt8(weights: ArrayLike<number>): boolean {
  for (let i = 0; i < weights.length; i++) {
    const w = weights[i]!;
    if (w < -128 || w > 127 || !Number.isInteger(w)) return false;
  }
  return true;
}

/** Real results in steps of the output to integers without the zero point: the last step of ir/evaluate/quantized.ts. */
export function levels(
  out: Value,
  activation: Activation | undefined,
  { scale, zeroPoint }: Stored,
): (scaled: number) => number {
  let { min, max } = integerRange(out.type)!;
  let curve: ((x: number) => number) | undefined;
  if (activation?.op === 'Relu') min = Math.max(min, zeroPoint);
  else if (activation?.op === 'Clip') {
    const low = roundHalfEven(activation.min / scale) + zeroPoint;
    const high = roundHalfEven(activation.max / scale) + zeroPoint;
    [min, max] = [Math.min(max, Math.max(min, low)), Math.max(min, Math.min(max, high))];
  } else curve = activationFunction(activation);
  return (scaled) => {
    const q = roundHalfEven(curve === undefined ? scaled : curve(scaled * scale) / scale) + zeroPoint;
    return (q < min ? min : q > max ? max : q) - zeroPoint;
  };
}

/** 16-bit results of float operators, by the ranges seen. */
function forReals(
  linear: Linear,
  out: Value,
  activation: Activation | undefined,
  ranges: ValueRanges | undefined,
): Quantities {
  const { node, filters, unit, bias } = linear;
  const range = storedOf(node, out, ranges);
  const seen = ranges!.before(node) ?? { min: 0, max: 0 };
  const { weight, sum } = boundsOf(linear);
  const largestSum = SUM_HEADROOM * Math.max(-seen.min, seen.max);
  let sumUnit = 1e-30;
  for (let f = 0; f < filters; f++) {
    const real = unit[f]!;
    // What was seen, with room; or what cannot be exceeded, when that is less.
    const bound = Math.min(sum[f]! * real, Math.max(largestSum, 2 * Math.abs(bias[f]! * real)));
    sumUnit = Math.max(sumUnit, (weight[f]! * real) / INT16_MAX, bound / (INT32_MAX - 8));
  }
  const { table, scale, detail } = tableFor(activation, sumUnit, range.scale);
  const factor = Float64Array.from({ length: filters }, (_, f) => unit[f]! / sumUnit);
  return {
    factor,
    bias: Int32Array.from(factor, (each, f) => Math.round(each * bias[f]!)),
    table,
    stored: { scale, zeroPoint: 0, limit: INT16_MAX },
    detail,
  };
}

/** Beyond these arguments the curve is its limit to half a step of 16 bits. */
const CURVES = { Sigmoid: 11.1, Tanh: 5.6 } as const;

/** The table of an activation, and the scale that results then have: near `wanted`, such that slopes lose nothing. */
export function tableFor(
  activation: Activation | undefined,
  sumUnit: number,
  wanted: number,
): { table: Table; scale: number; detail: Readonly<Record<string, number | string>> } {
  if (activation?.op === 'Sigmoid' || activation?.op === 'Tanh') {
    const end = CURVES[activation.op];
    const scale = 1 / INT16_MAX;
    const curve = { of: activationFunction(activation)!, from: -end, to: end };
    const { table, error } = curveTable(curve, sumUnit, scale);
    return { table, scale, detail: { curve: activation.op, segments: table.length, error } };
  }
  const line = slopeBelow(sumUnit / wanted);
  const scale = (sumUnit * 2 ** line.shift) / line.slope;
  const clamp = (real: number): number => Math.min(INT16_MAX, Math.max(-INT16_MAX, Math.round(real / scale)));
  let [low, high] = [-INT16_MAX, INT16_MAX];
  let negative: { slope: number; shift: number } | undefined;
  if (activation?.op === 'Relu') low = 0;
  else if (activation?.op === 'Clip') [low, high] = [clamp(activation.min), clamp(activation.max)];
  else if (activation?.op === 'LeakyRelu') negative = slopeNear((activation.alpha * sumUnit) / scale);
  const table = lineTable(line, low, high, negative);
  return { table, scale, detail: { segments: table.length } };
}
