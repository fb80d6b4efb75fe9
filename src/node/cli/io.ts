// What a command writes to and learns from: streams, terminal or not, colours.
// Not the process: tests give their own.
import pc from 'picocolors';

export interface CommandIo {
  out(text: string): void;
  err(text: string): void;
  /** Standard error is a terminal: progress may be shown. */
  readonly terminal: boolean;
  readonly colours: Colours;
}

export type Colours = ReturnType<typeof pc.createColors>;

export function processIo(): CommandIo {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    terminal: process.stderr.isTTY === true,
    colours: pc.createColors(pc.isColorSupported && process.stdout.isTTY === true),
  };
}

/** A wrong call: exit code 2. */
export class UsageError extends Error {}

/** The one line that a failed command ends with. */
export function errorLine(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error));
}

export function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, '; ');
}
