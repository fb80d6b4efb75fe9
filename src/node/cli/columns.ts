// Columns as people read them, and cells whose text is broken into lines.
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

/** Text in lines of at most `width` characters, broken at blanks; a longer word has a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** A cell of a table: its text, at most so wide, and the colour of each of its lines. */
export interface Cell {
  readonly text: string;
  readonly width: number;
  readonly colour?: (line: string) => string;
}

/** Rows of columns whose cells go on below: a row is as high as its highest cell. */
export function cells(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  { colours }: { readonly colours: Colours },
): string {
  const lines = rows.flatMap((row) => {
    const broken = row.map(({ text, width: most, colour = (line: string) => line }) =>
      wrap(text, most).map(colour),
    );
    const height = Math.max(...broken.map((cell) => cell.length));
    return Array.from({ length: height }, (_, i) => broken.map((cell) => cell[i] ?? ''));
  });
  return columns(head, lines, { colours });
}
