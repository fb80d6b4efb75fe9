// A convolution in bands of output rows that threads compute side by side; what is behind it works row by row as well.
// Not a tiling for the cache: that is conv.ts's.
import type { Parallel } from '../../../bus/port.js';
import { operation, resultWord } from './command.js';
import { convLayout, WINOGRAD_STEP } from './conv-params.js';

/** Words of a convolution command: operation, PDP behind it, layer, buffer of its own, first row, end. */
const names = Object.keys(convLayout);
const field = (name: keyof typeof convLayout): number => 2 + names.indexOf(name);
const at = {
  pdp: 1,
  kernels: field('kernels'),
  kernelWidth: field('kernelWidth'),
  kernelHeight: field('kernelHeight'),
  kernelChannels: field('kernelChannels'),
  outWidth: field('outWidth'),
  winograd: field('winograd'),
  rowsAddress: field('rowsAddress'),
  weightKeep: field('weightKeep'),
  own: 2 + names.length,
  first: 3 + names.length,
  end: 4 + names.length,
} as const;

/** Multiply-accumulates of a part below which the hand-over to another thread costs more than it wins. */
const LEAST_MACS = 2_000_000;

export const parallel: Parallel = {
  split(engine, command, parts) {
    if (engine !== 'conv' || command[0] !== operation.convolution) return undefined;
    // A pooling window spans bands; a buffer of its own holds one row.
    if (command[at.pdp] !== 0 || command[at.own] !== 0) return undefined;
    // Lines and kernels that stay are written once.
    if (command[at.rowsAddress] !== 0 || command[at.weightKeep] !== 0) return undefined;
    const word = (index: number): number => command[index]!;
    const step = word(at.winograd) === 0 ? 1 : WINOGRAD_STEP;
    const rows = word(at.end) - word(at.first);
    const kernel = word(at.kernelWidth) * word(at.kernelHeight) * word(at.kernelChannels);
    const macs = rows * word(at.outWidth) * kernel * word(at.kernels);
    const count = Math.min(parts, Math.floor(rows / step), Math.floor(macs / LEAST_MACS));
    if (count < 2) return undefined;
    const from = (part: number): number => word(at.first) + Math.floor(((rows / step) * part) / count) * step;
    return Array.from({ length: count }, (_, part) => {
      const copy = command.slice();
      copy[at.first] = from(part);
      copy[at.end] = from(part + 1);
      return copy;
    });
  },

  join(results) {
    const [whole] = results;
    for (const part of results.slice(1)) {
      whole![resultWord.status] ||= part[resultWord.status]!;
      whole![resultWord.saturated]! += part[resultWord.saturated]!;
      whole![resultWord.unequal]! |= part[resultWord.unequal]!;
    }
  },
};
