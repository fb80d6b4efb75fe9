// Half floats: IEEE 754 binary16 and bfloat16 to numbers and back, rounding to nearest even.
// Not fast: for constants and the reference evaluator; kernels convert whole tiles elsewhere.
const scratch = new Float32Array(1);
const bits = new Uint32Array(scratch.buffer);

/** The number a binary16 bit pattern stands for. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The nearest binary16, ties to even (or away from zero); too large becomes infinite. */
export function floatToHalf(value: number, ties: 'even' | 'away' = 'even'): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const x = Math.abs(value);
  if (x >= 65520) return sign | 0x7c00;
  if (x < 2 ** -25) return sign;
  const exponent = Math.max(-14, Math.floor(Math.log2(x)));
  // One unit in the last place; log2 may be off by one next to a power of two, rounding then carries over.
  const unit = 2 ** (exponent - 10);
  const scaled = x / unit;
  let rounded = Math.round(scaled);
  if (ties === 'even' && rounded - scaled === 0.5 && rounded % 2 !== 0) rounded--;
  return sign | ((exponent + 14) * 1024 + rounded);
}

/** The number a bfloat16 bit pattern stands for. */
export function bfloat16ToFloat(value: number): number {
  bits[0] = value << 16;
  return scratch[0]!;
}

/** The nearest bfloat16, ties to even. */
export function floatToBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch[0] = value;
  const word = bits[0]!;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}
