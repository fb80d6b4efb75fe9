// Clamping to int32, and the flag that says whether any clamp of the current layer changed a value (STS bit 17).
// Not per row: hardware has one flag for a whole score.

let flag: i32 = 0;

export function clearSaturated(): void {
  flag = 0;
}

export function noteSaturated(): void {
  flag = 1;
}

export function saturated(): i32 {
  return flag;
}

// @ts-ignore: decorator
@inline
export function sat32(value: i64): i32 {
  const low = <i32>value;
  if (<i64>low == value) return low;
  flag = 1;
  return value < 0 ? i32.MIN_VALUE : i32.MAX_VALUE;
}
