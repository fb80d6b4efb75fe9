// Transpiles src/ to dist/src, file by file and without checking types: what `npm start` needs, in a second.
// Not the build: `npm run build` checks types and writes the same files.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src');
const target = join(root, 'dist/src');

const isStale = (name) => {
  const made = statSync(join(target, name.replace(/\.ts$/, '.js')), { throwIfNoEntry: false });
  return made === undefined || made.mtimeMs < statSync(join(source, name)).mtimeMs;
};
const stale = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  .filter(isStale);

if (stale.length > 0)
  await build({
    entryPoints: stale.map((name) => join(source, name)),
    outbase: source,
    outdir: target,
    format: 'esm',
    // Node 20 has no `using`.
    target: 'es2022',
    sourcemap: true,
    logLevel: 'warning',
  });
