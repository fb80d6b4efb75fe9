// Columns as people read them.
// Not JSON: with --json nothing here is used.
import type { Colours } from './io.js';

/** Width on screen: colour codes have none. */
function width(text: string): number {
  // eslint-disable-next-line no-control-regex -- that is what colours are made of
  return text.replace(/\x1b\[\d+m/g, '').length;
}

/** Rows under a head (none when all its names are empty), columns padded. `right` are the columns of numbers. */
export function columns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { right = [], colours }: { readonly right?: readonly number[]; readonly colours: Colours },
): string {
  const widths = head.map((name, i) =>
    Math.max(...[head, ...rows].map((row) => width(row[i] ?? '')), name.length),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const pad = ' '.repeat(widths[i]! - width(cell));
        return right.includes(i) ? pad + cell : cell + pad;
      })
      .join('  ')
      .trimEnd();
  const top = head.some((name) => name !== '') ? [line(head.map((name) => colours.dim(name)))] : [];
  return [...top, ...rows.map(line)].join('\n') + '\n';
}
