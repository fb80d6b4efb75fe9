// Compiles every kernels/<name>/index.ts (AssemblyScript) to dist/kernels/<name>.wasm, when its sources changed.
// Not a bundler: a kernel module imports the shared memory and nothing else.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'kernels');
const target = join(root, 'dist/kernels');
const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
mkdirSync(target, { recursive: true });

const newest = (folder) =>
  Math.max(
    ...readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs),
  );
const common = existsSync(join(source, 'lib')) ? newest(join(source, 'lib')) : 0;

for (const name of existsSync(source) ? readdirSync(source) : []) {
  const entry = join(source, name, 'index.ts');
  if (!existsSync(entry)) continue;
  const out = join(target, `${name}.wasm`);
  const changed = Math.max(
    newest(join(source, name)),
    common,
    statSync(fileURLToPath(import.meta.url)).mtimeMs,
  );
  if (existsSync(out) && statSync(out).mtimeMs > changed) continue;
  const flags = [
    '-O3',
    '--noAssert',
    ...['--runtime', 'stub'],
    ...['--enable', 'simd,threads,bulk-memory'],
    ...['--importMemory', '--sharedMemory'],
    // The memory belongs to the machine: bytes below 1 MiB are not DRAM, kernels keep no statics there.
    ...['--initialMemory', '16', '--maximumMemory', '65536'],
    ...['--outFile', out],
  ];
  execFileSync(process.execPath, [asc, resolve(entry), ...flags], { cwd: root, stdio: 'inherit' });
}
