// Which earlier layers a layer has to wait for: those that write what it reads, read what it writes, or write where it writes.
// Not events: dependencies.ts makes those. Cubes that share memory in turn are as much a reason as data is.
import { type Cube, inRoot, rootOf, type Window } from './cube.js';
import { type Layer, operandsOf, resultOf, sourcesOf } from './layers.js';

/** Where a cube with memory of its own lies. */
export interface Place {
  readonly buffer: number;
  readonly from: number;
  readonly to: number;
}

/** Earlier layers, by index. */
export interface Waits {
  /** Complete before the layer begins. */
  readonly start: readonly number[];
  /** Complete before its SDP reads an operand; SDP's read unit may begin before the layer does. */
  readonly operand: readonly number[];
}

/** A window with what is compared: its place, and in which surfaces, lines and columns of it. */
interface Region {
  readonly cube: Cube;
  readonly place: Place;
  readonly surface: readonly [number, number];
  readonly y: readonly [number, number];
  readonly x: readonly [number, number];
}

interface Accesses {
  readonly sources: readonly Region[];
  readonly operands: readonly Region[];
  readonly output: Region;
}

/** @param atomOf channels of a surface of the cube */
export function waitsOf(
  layers: readonly Layer[],
  placeOf: (root: Cube) => Place,
  atomOf: (cube: Cube) => number,
): Waits[] {
  const region = (window: Window): Region => {
    const { cube, channel, channels, y, height, x, width, lineStep = 1, columnStep = 1 } = inRoot(window);
    const atom = atomOf(cube);
    return {
      cube: rootOf(cube),
      place: placeOf(rootOf(cube)),
      surface: [Math.floor(channel / atom), Math.ceil((channel + channels) / atom)],
      y: [y, y + (height - 1) * lineStep + 1],
      x: [x, x + (width - 1) * columnStep + 1],
    };
  };
  const accesses = layers.map((layer): Accesses => ({
    sources: sourcesOf(layer).map(region),
    operands: operandsOf(layer).map(region),
    output: region(resultOf(layer)),
  }));
  return accesses.map((own, index) => {
    const start: number[] = [];
    const operand: number[] = [];
    for (let before = 0; before < index; before++) {
      const earlier = accesses[before]!;
      const reads = (regions: readonly Region[]): boolean =>
        regions.some((one) => overlap(one, earlier.output));
      const writes = [...earlier.sources, ...earlier.operands, earlier.output].some((one) =>
        overlap(one, own.output),
      );
      if (writes || reads(own.sources) || reads(own.operands)) start.push(before);
      if (reads(own.operands)) operand.push(before);
    }
    return { start, operand };
  });
}

/** Windows of one cube by their sides; others by the memory of their cubes. */
function overlap(a: Region, b: Region): boolean {
  const meet = (p: readonly [number, number], q: readonly [number, number]): boolean =>
    p[0] < q[1] && q[0] < p[1];
  if (a.cube === b.cube) return meet(a.surface, b.surface) && meet(a.y, b.y) && meet(a.x, b.x);
  return a.place.buffer === b.place.buffer && a.place.from < b.place.to && b.place.from < a.place.to;
}
