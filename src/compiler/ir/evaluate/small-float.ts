// Floats of 8 and 4 bits (OCP FP8, its "fnuz" variants, MX scales and FP4): bit patterns to numbers and back.
// Not for speed: tables made once per type. Source: ONNX documentation, "Float stored in 8 bits".
import type { DataType } from '../types.js';

interface Format {
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /** `ieee`: infinities and NaNs above the largest. `fn`: one NaN, all ones. `fnuz`: one NaN, where -0 would be. `finite`: none. */
  readonly specials: 'ieee' | 'fn' | 'fnuz' | 'finite';
}

const formats: Partial<Record<DataType, Format>> = {
  float8e4m3fn: { exponentBits: 4, fractionBits: 3, bias: 7, specials: 'fn' },
  float8e4m3fnuz: { exponentBits: 4, fractionBits: 3, bias: 8, specials: 'fnuz' },
  float8e5m2: { exponentBits: 5, fractionBits: 2, bias: 15, specials: 'ieee' },
  float8e5m2fnuz: { exponentBits: 5, fractionBits: 2, bias: 16, specials: 'fnuz' },
  float4e2m1: { exponentBits: 2, fractionBits: 1, bias: 1, specials: 'finite' },
};

interface Codec {
  readonly format: Format;
  /** Numbers of the bit patterns without sign; finite ones first, in order. */
  readonly magnitudes: Float64Array;
  /** How many of them are finite. */
  readonly finite: number;
}

const codecs = new Map<DataType, Codec>();

function codecOf(type: DataType): Codec | undefined {
  const known = codecs.get(type);
  const format = formats[type];
  if (known !== undefined || format === undefined) return known;
  const { exponentBits, fractionBits, bias, specials } = format;
  const count = 1 << (exponentBits + fractionBits);
  const one = 1 << fractionBits;
  const magnitudes = Float64Array.from({ length: count }, (_, bits) => {
    const exponent = bits >> fractionBits;
    const fraction = bits & (one - 1);
    if (specials === 'ieee' && exponent === (1 << exponentBits) - 1) return fraction === 0 ? Infinity : NaN;
    if (specials === 'fn' && bits === count - 1) return NaN;
    return exponent === 0
      ? (fraction / one) * 2 ** (1 - bias)
      : (1 + fraction / one) * 2 ** (exponent - bias);
  });
  const end = magnitudes.findIndex((value) => !Number.isFinite(value));
  const codec = { format, magnitudes, finite: end < 0 ? count : end };
  codecs.set(type, codec);
  return codec;
}

/** Whether the type is one of these. */
export function isSmallFloat(type: DataType): boolean {
  return type === 'float8e8m0' || formats[type] !== undefined;
}

/** The number a bit pattern stands for. */
export function decodeSmallFloat(type: DataType, bits: number): number {
  if (type === 'float8e8m0') return bits === 255 ? NaN : 2 ** (bits - 127);
  const { magnitudes, format } = codecOf(type)!;
  const sign = bits & magnitudes.length;
  if (format.specials === 'fnuz' && bits === magnitudes.length) return NaN;
  const value = magnitudes[bits & (magnitudes.length - 1)]!;
  return sign !== 0 ? -value : value;
}

/** The pattern of NaN: quiet for IEEE; FP4 has none, there ONNX's reference gives that of -0. */
function nanOf({ format, magnitudes }: Codec): number {
  if (format.specials === 'ieee') return magnitudes.length - (1 << (format.fractionBits - 1));
  return format.specials === 'fn' ? magnitudes.length - 1 : magnitudes.length;
}

/** A power of two as its exponent; others are rounded up to the next one, as ONNX's default round_mode asks. */
function encodeScale(value: number): number {
  if (!(value >= 0)) return 255;
  if (value === Infinity) return 254;
  const exponent = value === 0 ? -127 : Math.ceil(Math.log2(value));
  return Math.min(254, Math.max(0, exponent + 127));
}

/** The nearest bit pattern, ties to even. Too large a number becomes the largest when `saturate`, else infinite or NaN. */
export function encodeSmallFloat(type: DataType, value: number, saturate: boolean): number {
  if (type === 'float8e8m0') return encodeScale(value);
  const { magnitudes, finite, format } = codecOf(type)!;
  const signBit = magnitudes.length;
  const nan = nanOf(codecOf(type)!);
  if (Number.isNaN(value)) return nan;
  const sign = value < 0 || Object.is(value, -0) ? signBit : 0;
  const x = Math.abs(value);
  const largest = magnitudes[finite - 1]!;
  const step = largest - magnitudes[finite - 2]!;
  // Past half a step beyond the largest there is no nearest; a tie goes to the even pattern.
  const beyond = x - largest;
  if (beyond > step / 2 || (beyond === step / 2 && (finite & 1) === 0)) {
    if (saturate || format.specials === 'finite') return sign | (finite - 1);
    if (format.specials === 'ieee') return sign | finite;
    return sign | nan;
  }
  let low = 0;
  let high = finite - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (magnitudes[middle]! <= x) low = middle;
    else high = middle - 1;
  }
  if (low + 1 < finite) {
    const [down, up] = [x - magnitudes[low]!, magnitudes[low + 1]! - x];
    if (up < down || (up === down && (low & 1) === 1)) low++;
  }
  // "unsigned zero": the pattern of -0 is the NaN.
  return low === 0 && format.specials === 'fnuz' ? 0 : sign | low;
}
