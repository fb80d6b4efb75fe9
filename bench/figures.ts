// Named figures in a file: what one program measured, for another to compare with. JSON: { name, figures: { what: rate } }.
// Not a judge of how they were taken: whoever compares takes both on the same machine, in turns.
import { readFileSync, writeFileSync } from 'node:fs';

export interface Figures {
  /** Of the program that measured. */
  readonly name: string;
  /** Rates by what was measured, in the units of the benchmark that reads them. */
  readonly figures: Readonly<Record<string, number>>;
}

export function readFigures(path: string): Figures {
  const { name, figures } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Figures>;
  if (typeof name !== 'string' || typeof figures !== 'object' || figures === null)
    throw new Error(`${path}: not { "name": ..., "figures": { ... } }`);
  for (const [what, rate] of Object.entries(figures))
    if (typeof rate !== 'number' || !(rate > 0)) throw new Error(`${path}: ${what} is not a rate`);
  return { name, figures };
}

export function writeFigures(path: string, figures: Figures): void {
  writeFileSync(path, `${JSON.stringify(figures, undefined, 2)}\n`);
}
