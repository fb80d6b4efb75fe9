// Runs the built tests with node:test: the quick set, or with --all the *.slow.test.js files too.
// Not a test runner of its own: arguments after the flags are passed to node --test; a path filters files.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const args = process.argv.slice(2);
const all = args.includes('--all');
const filters = args.filter((arg) => !arg.startsWith('--'));
const flags = args.filter((arg) => arg.startsWith('--') && arg !== '--all');

// dist may hold tests whose source is gone: a test runs only while its .ts file exists.
const files = readdirSync(join(root, 'dist/test'), { recursive: true })
  .filter((name) => name.endsWith('.test.js') && (all || !name.endsWith('.slow.test.js')))
  .filter((name) => existsSync(join(root, 'test', name.replace(/\.js$/, '.ts'))))
  .filter((name) => filters.length === 0 || filters.some((part) => name.includes(part)))
  .map((name) => join('dist/test', name))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${filters.join(' ')}`);
  process.exit(1);
}
const run = spawnSync(
  process.execPath,
  ['--enable-source-maps', '--test', '--test-concurrency=2', '--test-reporter=spec', ...flags, ...files],
  { cwd: root, stdio: 'inherit' },
);
process.exit(run.status ?? 1);
