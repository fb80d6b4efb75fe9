// Short texts of evidence: errors, hashes, times.
// Not tables: the command prints those.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The first line of an error. */
export function errorText(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}

/** The first 12 digits of a file's SHA-256. */
export function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12);
}

/** `2.4 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
