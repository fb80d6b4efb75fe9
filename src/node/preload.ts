// The preload library: built from native/ with the system's C compiler when it is first needed, kept by the hash of its sources.
// Not shipped as a binary: it belongs to the libc it is loaded beside.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { AccelError } from '../base/errors.js';

const run = promisify(execFile);
const FLAGS = [
  ...['-std=gnu11', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-Wall', '-Wextra'],
  // Programs pass null where the headers say that nobody does.
  ...['-fno-delete-null-pointer-checks', '-Wno-nonnull-compare'],
];
const LIBRARIES = ['-ldl', '-lpthread'];

/** Where the sources are: native/ of this package. */
export const nativeSources = fileURLToPath(new URL('../../../native/', import.meta.url));

/** The compiler that builds it: $CC, else cc. */
export const compiler = (): string => process.env['CC'] ?? 'cc';

function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'accel');
}

/**
 * The path of the built library. Building takes a second, once.
 * @throws AccelError ENOENT without a compiler, EIO when it fails
 */
export async function preloadLibrary(): Promise<string> {
  const names = readdirSync(nativeSources).filter((name) => /\.[ch]$/.test(name));
  const hash = createHash('sha256').update([compiler(), ...FLAGS, process.arch].join(' '));
  for (const name of names.sort()) hash.update(name).update(readFileSync(join(nativeSources, name)));
  const folder = cacheFolder();
  const library = join(folder, `preload-${hash.digest('hex').slice(0, 16)}.so`);
  if (existsSync(library)) return library;
  mkdirSync(folder, { recursive: true });
  // Two that build at once must not see each other's half.
  const part = `${library}.${randomBytes(4).toString('hex')}`;
  const sources = names.filter((name) => name.endsWith('.c')).map((name) => join(nativeSources, name));
  try {
    await run(compiler(), [...FLAGS, '-o', part, ...sources, ...LIBRARIES]);
    renameSync(part, library);
  } catch (error) {
    rmSync(part, { force: true });
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') {
      const reason = `a C compiler is needed to build the preload library, and there is no ${compiler()}`;
      throw new AccelError('ENOENT', { reason, cause: error });
    }
    const first = stderr?.split('\n').find((line) => line.includes('error')) ?? stderr ?? '';
    throw new AccelError('EIO', { reason: `${compiler()} failed: ${first.trim()}`, cause: error });
  }
  return library;
}
