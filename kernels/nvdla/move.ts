// Moves bytes between places and layouts: lines and surfaces (BDMA), feature cubes and planes (RUBIK).
// Not arithmetic: no element changes its value. Fact sheet sections 2.8, 2.9.

/** Bytes of an atom where there is a RUBIK. */
const ATOM: usize = 32;

/** Copies `surfaces` of `lines` of `bytes` each; strides in bytes. */
export function copyCube(
  src: usize,
  srcLine: usize,
  srcSurface: usize,
  dst: usize,
  dstLine: usize,
  dstSurface: usize,
  bytes: usize,
  lines: i32,
  surfaces: i32,
): void {
  for (let s: i32 = 0; s < surfaces; s++) {
    let from = src;
    let to = dst;
    for (let y: i32 = 0; y < lines; y++) {
      memory.copy(to, from, bytes);
      from += srcLine;
      to += dstLine;
    }
    src += srcSurface;
    dst += dstSurface;
  }
}

/**
 * Channels to space: output atom (s, y * strideY + j, x * strideX + i) is input atom ((j * strideX + i) * column bytes
 * further, s, y, x). `outBlock` is the distance of output lines that come from neighbouring input lines.
 */
export function contractCube(
  src: usize,
  line: usize,
  surface: usize,
  column: usize,
  width: i32,
  height: i32,
  surfaces: i32,
  strideX: i32,
  strideY: i32,
  dst: usize,
  outLine: usize,
  outBlock: usize,
  outSurface: usize,
): void {
  for (let s: i32 = 0; s < surfaces; s++) {
    for (let y: i32 = 0; y < height; y++) {
      for (let j: i32 = 0; j < strideY; j++) {
        const lineIn = src + <usize>(j * strideX) * column + <usize>y * line;
        const lineOut = dst + <usize>y * outBlock + <usize>j * outLine;
        for (let i: i32 = 0; i < strideX; i++) {
          let from = lineIn + <usize>i * column;
          let to = lineOut + <usize>i * ATOM;
          for (let x: i32 = 0; x < width; x++) {
            v128.store(to, v128.load(from));
            v128.store(to, v128.load(from, 16), 16);
            from += ATOM;
            to += <usize>strideX * ATOM;
          }
        }
      }
    }
    src += surface;
    dst += outSurface;
  }
}

/** Bytes that hardware touches of a line of planar elements: whole atoms. */
function planarBytes(width: i32, bytes: i32): usize {
  return ((<usize>(width * bytes) + ATOM - 1) / ATOM) * ATOM;
}

/** A feature cube to one plane per channel; lines are filled with zeroes up to a whole atom. `bytes` of an element: 1 or 2. */
export function splitCube(
  src: usize,
  line: usize,
  surface: usize,
  width: i32,
  height: i32,
  channels: i32,
  bytes: i32,
  dst: usize,
  outLine: usize,
  outPlane: usize,
): void {
  const elements = <i32>ATOM / bytes;
  const rowBytes = planarBytes(width, bytes);
  const used = <usize>(width * bytes);
  for (let c: i32 = 0; c < channels; c++) {
    let from = src + <usize>(c / elements) * surface + <usize>((c % elements) * bytes);
    let to = dst + <usize>c * outPlane;
    for (let y: i32 = 0; y < height; y++) {
      let at = from;
      if (bytes === 1)
        for (let x: i32 = 0; x < width; x++, at += ATOM) store<u8>(to + <usize>x, load<u8>(at));
      else
        for (let x: i32 = 0; x < width; x++, at += ATOM) store<u16>(to + (<usize>x << 1), load<u16>(at));
      memory.fill(to + used, 0, rowBytes - used);
      from += line;
      to += outLine;
    }
  }
}

/** Planes to a feature cube; lanes of the last atom without a channel become 0. `bytes` of an element: 1 or 2. */
export function mergeCube(
  src: usize,
  line: usize,
  plane: usize,
  width: i32,
  height: i32,
  channels: i32,
  bytes: i32,
  dst: usize,
  outLine: usize,
  outSurface: usize,
): void {
  const elements = <i32>ATOM / bytes;
  for (let first: i32 = 0; first < channels; first += elements) {
    const planes = min(elements, channels - first);
    const surface = dst + <usize>(first / elements) * outSurface;
    for (let y: i32 = 0; y < height; y++) {
      const row = surface + <usize>y * outLine;
      if (planes < elements) memory.fill(row, 0, <usize>width * ATOM);
      for (let c: i32 = 0; c < planes; c++) {
        const from = src + <usize>(first + c) * plane + <usize>y * line;
        let to = row + <usize>(c * bytes);
        if (bytes === 1)
          for (let x: i32 = 0; x < width; x++, to += ATOM) store<u8>(to, load<u8>(from + <usize>x));
        else
          for (let x: i32 = 0; x < width; x++, to += ATOM) store<u16>(to, load<u16>(from + (<usize>x << 1)));
      }
    }
  }
}
