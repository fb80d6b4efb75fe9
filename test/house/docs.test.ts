// Every command in README and docs/ is run, and every path they name exists.
// Not a check of prose.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { root } from '../support/shared.js';

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));
/**
 * What a test of this suite cannot run inside itself: they install, build or run this suite. The whole check of a driver
 * takes a minute and has tests of its own (node/check, house/template).
 */
const outer =
  /^(npm (ci|start|test|run )|node scripts\/run-tests|\.ci\/run|cd |git |npx accel check (nvdla|gna|examples\/driver-template)$)/;

interface Command {
  readonly document: string;
  readonly text: string;
}

const commands: Command[] = documents.flatMap((document) =>
  [...readFileSync(join(root, document), 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    block!
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => ({ document, text: line.replace(/\s+#.*$/, '') })),
  ),
);

describe('the documents', () => {
  const folder = mkdtempSync(join(tmpdir(), 'accel-docs-'));
  after(() => rmSync(folder, { recursive: true }));

  it('have commands', () => assert.ok(commands.length > 10));

  for (const { document, text } of commands.filter((command) => !outer.test(command.text))) {
    const absent = /\.\.\/shared\/\S+/.exec(text)?.[0];
    const skip =
      absent !== undefined && !existsSync(join(root, absent)) ? `needs ${absent}, which is not here` : false;
    it(`${document}: ${text}`, { skip }, () => {
      // What commands write goes to the folder, and is read from there.
      const [npx, name, ...args] = text
        .split(' ')
        .map((word) => (/^(job\.json|layers\.svg|mnist\..+)$/.test(word) ? join(folder, word) : word));
      assert.deepEqual([npx, name], ['npx', 'accel'], 'a command this test knows how to run');
      const run = spawnSync(process.execPath, [join(root, 'dist/src/node/cli/main.js'), ...args], {
        cwd: root,
        encoding: 'utf8',
      });
      // A manifest that is redirected elsewhere is a result, not a failure.
      const allowed = args[0] === 'check' ? [0, 1] : [0];
      assert.ok(allowed.includes(run.status!), `${run.stderr}\n${run.stdout}`);
      assert.notEqual(run.stdout, '');
    });
  }

  for (const document of documents) {
    it(`${document} links only to what exists`, () => {
      const text = readFileSync(join(root, document), 'utf8');
      for (const [, target] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
        const base = document.startsWith('docs/') ? 'docs' : '.';
        assert.ok(existsSync(join(root, base, target!)), `${document} names ${target}`);
      }
    });
  }
});
