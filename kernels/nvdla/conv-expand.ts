// Compressed weights to the packed order of fact sheet section 3.3: a bit per element says which are there, the others are 0.
// Not products. Fact sheet section 2.11.

/**
 * Expands `kernels` of `elements` each. Bits and kept weights go on from one kernel group of `atomicK` to the next without a
 * gap; `sizes` has the bytes kept of each group.
 * @returns -1, or the first group whose size disagrees with its bits or goes beyond `packedBytes`
 */
export function convExpand(
  bits: usize,
  sizes: usize,
  packed: usize,
  packedBytes: usize,
  dst: usize,
  kernels: i32,
  elements: i32,
  atomicK: i32,
  bytes: i32,
): i32 {
  const end = packed + packedBytes;
  let bit: usize = 0;
  let group: i32 = 0;
  for (let first: i32 = 0; first < kernels; first += atomicK, group++) {
    const count = <i64>min(atomicK, kernels - first) * <i64>elements;
    const start = packed;
    for (let i: i64 = 0; i < count; i++, bit++) {
      if (((load<u8>(bits + (bit >> 3)) >> <u8>(bit & 7)) & 1) == 0) {
        if (bytes == 1) store<u8>(dst, 0);
        else store<u16>(dst, 0);
      } else {
        if (packed + <usize>bytes > end) return group;
        if (bytes == 1) store<u8>(dst, load<u8>(packed));
        else store<u16>(dst, load<u16>(packed));
        packed += <usize>bytes;
      }
      dst += <usize>bytes;
    }
    if (<u32>(packed - start) != load<u32>(sizes + (<usize>group << 2))) return group;
  }
  return -1;
}
