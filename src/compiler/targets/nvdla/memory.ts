// Places the intermediate cubes of a segment in one buffer: cubes that are not alive at the same time share memory.
// Not for inputs and outputs (they have buffers of their own) nor for constants.
import { type Cube, rootOf } from './cube.js';
import { type Layer, readsOf, resultOf } from './layers.js';
import { align } from './limits.js';

/** First layer that writes a cube and last that uses it. */
export interface Life {
  first: number;
  last: number;
}

/**
 * Lives of all cubes with memory of their own that layers write or read, by layer index. A layer without a convolution may run beside
 * convolutions that come before it: its result has its place from when what it reads is there.
 */
export function livesOf(layers: readonly Layer[]): Map<Cube, Life> {
  const lives = new Map<Cube, Life>();
  const written = new Map<Cube, number>();
  const use = (cube: Cube, at: number): void => {
    const life = lives.get(cube);
    if (life === undefined) lives.set(cube, { first: at, last: at });
    else life.last = at;
  };
  layers.forEach((layer, at) => {
    const inputs = readsOf(layer).map(({ cube }) => rootOf(cube));
    for (const cube of inputs) use(cube, at);
    const output = rootOf(resultOf(layer).cube);
    const ready = Math.max(0, ...inputs.map((cube) => (written.get(cube) ?? -1) + 1));
    if (!lives.has(output)) use(output, layer.kind === 'conv' ? at : Math.min(at, ready));
    use(output, at);
    written.set(output, at);
  });
  return lives;
}

export interface Arena {
  readonly offsets: ReadonlyMap<Cube, number>;
  readonly bytes: number;
}

/** Greatest first, each at the lowest place where nothing else lives at the same time. Offsets are multiples of `unit`. */
export function planArena(
  cubes: readonly Cube[],
  lives: ReadonlyMap<Cube, Life>,
  bytesOf: (cube: Cube) => number,
  unit: number,
): Arena {
  interface Place {
    readonly life: Life;
    readonly from: number;
    readonly to: number;
  }
  const places: Place[] = [];
  const offsets = new Map<Cube, number>();
  let bytes = 0;
  const order = [...cubes].sort((a, b) => bytesOf(b) - bytesOf(a));
  for (const cube of order) {
    const life = lives.get(cube)!;
    const size = align(bytesOf(cube), unit);
    const others = places
      .filter((place) => place.life.first <= life.last && life.first <= place.life.last)
      .sort((a, b) => a.from - b.from);
    let from = 0;
    for (const other of others) {
      if (other.from >= from + size) break;
      from = Math.max(from, other.to);
    }
    offsets.set(cube, from);
    places.push({ life, from, to: from + size });
    bytes = Math.max(bytes, from + size);
  }
  return { offsets, bytes };
}
