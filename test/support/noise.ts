// Numbers that look random and are the same every time.
// Not a generator to rely on for anything but tests.

/** Numbers from -1 to 1. */
export function noise(length: number, seed: number): Float32Array {
  let state = seed * 2654435761 || 1;
  return Float32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) / 2 ** 32) * 2 - 1;
  });
}

export function int8s(length: number, seed: number): Int8Array {
  return Int8Array.from(noise(length, seed), (x) => Math.floor(x * 128));
}
