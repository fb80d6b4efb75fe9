// Collects what a command writes; no terminal, no colours.
// Not a terminal emulator.
import pc from 'picocolors';
import type { CommandIo } from '../../src/node/cli/io.js';

export function collected(): CommandIo & { stdout: string; stderr: string } {
  const io = {
    stdout: '',
    stderr: '',
    terminal: false,
    colours: pc.createColors(false),
    out: (text: string) => {
      io.stdout += text;
    },
    err: (text: string) => {
      io.stderr += text;
    },
  };
  return io;
}
