// A copy of a package in a temporary folder, to build and to change: what openness means is tried there.
// Not a sandbox: the commands it runs are those that the package's manifest names.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import type { SourceEdit } from '../../core/manifest.js';
import type { Sources } from './subject.js';
import { hashOf } from './text.js';

/** Never copied: fetched, built by a run of its own, or history. */
const LEFT_OUT = new Set(['node_modules', '.git', 'coverage']);
/** Longest a command may take. */
const TIMEOUT_MS = 300_000;
/** Characters of output kept. */
const OUTPUT_MAX = 1 << 20;

export interface Ran {
  readonly code: number;
  readonly out: string;
  /** The last line of what it wrote, for evidence. */
  readonly last: string;
  readonly ms: number;
}

export class Scratch implements Disposable {
  readonly root: string;
  readonly #originals = new Map<string, string>();

  constructor({ root, entries, unbuilt }: Sources) {
    this.root = mkdtempSync(join(tmpdir(), 'accel-check-'));
    const copy = (from: string, to: string): void =>
      cpSync(from, to, {
        recursive: true,
        // Builds compare times: without this everything would be built again.
        preserveTimestamps: true,
        filter: (path) => !LEFT_OUT.has(basename(path)),
      });
    try {
      if (entries === undefined) copy(root, this.root);
      for (const entry of entries ?? []) {
        mkdirSync(dirname(join(this.root, entry)), { recursive: true });
        copy(join(root, entry), join(this.root, entry));
      }
      for (const folder of unbuilt) rmSync(join(this.root, folder), { recursive: true, force: true });
      symlinkSync(join(root, 'node_modules'), join(this.root, 'node_modules'));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Runs a command line without a shell: words by blanks; programs of node_modules/.bin come first. */
  run(line: string): Promise<Ran> {
    const [program, ...args] = line.split(/\s+/);
    const start = performance.now();
    return new Promise((resolve) => {
      let out = '';
      let all = '';
      const ended = (code: number, note = ''): void => {
        const last = `${all}${note}`.trim().split('\n').at(-1)!.trim();
        resolve({ code, out, last, ms: performance.now() - start });
      };
      const child = spawn(program === 'node' ? process.execPath : program!, args, {
        cwd: this.root,
        env: {
          ...process.env,
          PATH: [join(this.root, 'node_modules/.bin'), process.env['PATH']].join(delimiter),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: TIMEOUT_MS,
      });
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        if (out.length < OUTPUT_MAX) out += text;
        all = (all + text).slice(-OUTPUT_MAX);
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        all = (all + text).slice(-OUTPUT_MAX);
      });
      child.on('error', (error) => ended(127, `\n${error.message}`));
      child.on('close', (code, signal) => ended(code ?? 1, signal === null ? '' : `\nended by ${signal}`));
    });
  }

  /**
   * Changes one place in one file; `restore` undoes it. Returns the file with its hashes before and after.
   * @throws Error when the text is not there exactly once
   */
  edit({ file, from, to }: SourceEdit): string {
    const path = join(this.root, file);
    const text = readFileSync(path, 'utf8');
    const times = text.split(from).length - 1;
    if (times !== 1) throw new Error(`${file} holds the text to edit ${times} times, not once`);
    const before = hashOf(path);
    if (!this.#originals.has(file)) this.#originals.set(file, text);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
    return `${file} (sha256 ${before} -> ${hashOf(path)})`;
  }

  restore(): void {
    for (const [file, text] of this.#originals) writeFileSync(join(this.root, file), text);
    this.#originals.clear();
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
