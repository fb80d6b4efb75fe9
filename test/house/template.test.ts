// The driver template as an outsider has it: an empty folder, the packed package, only public exports.
// Not the suite itself: the template's own tests run it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { root } from '../support/shared.js';

const folder = mkdtempSync(join(tmpdir(), 'accel-template-'));
const template = join(folder, 'adder');

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: withoutRunner(),
  });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

/** node --test inside a test would report to the outer runner instead of printing. */
function withoutRunner(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return env;
}

/** The packed package with what it depends on beside it: what npm install does, without a registry. */
function install(): void {
  run('npm', ['pack', '--silent', '--pack-destination', folder], root);
  const packed = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
  const modules = join(template, 'node_modules');
  mkdirSync(modules, { recursive: true });
  run('tar', ['-xzf', join(folder, packed), '-C', modules], folder);
  cpSync(join(modules, 'package'), join(modules, 'accel'), { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types', 'typescript']) {
    const target = join(root, 'node_modules', name);
    if (!existsSync(target)) continue;
    mkdirSync(join(modules, name, '..'), { recursive: true });
    symlinkSync(target, join(modules, name));
  }
}

describe('the driver template, from an empty folder with the packed package', () => {
  after(() => rmSync(folder, { recursive: true }));

  it('imports only what the package exports', () => {
    const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object };
    const source = join(root, 'examples/driver-template');
    for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.includes('node_modules')) continue;
      for (const [, target] of readFileSync(join(source, name), 'utf8').matchAll(/from '(accel[^']*)'/g))
        assert.ok(`.${target!.slice('accel'.length)}` in exports, `${name} imports ${target}`);
    }
  });

  it('builds, and its driver passes the conformance suite inline and in threads', () => {
    cpSync(join(root, 'examples/driver-template'), template, {
      recursive: true,
      filter: (path) => !path.includes('node_modules') && !path.endsWith('dist'),
    });
    install();
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], template);
    const report = run(process.execPath, ['--test', '--test-reporter=tap', 'dist/test/'], template);
    assert.match(report, /# fail 0/);
    assert.ok(Number(/# pass (\d+)/.exec(report)?.[1]) > 150, report.slice(-400));
  });

  it('is judged by accel check: staging, for what it says it lacks', () => {
    const cli = join(template, 'node_modules/accel/dist/src/node/cli/main.js');
    const verdict = JSON.parse(run(process.execPath, [cli, 'check', '.', '--quick', '--json'], template)) as {
      class: string;
      rules: { id: string; passed: boolean; evidence: string }[];
    };
    assert.equal(verdict.class, 'staging', JSON.stringify(verdict.rules.filter(({ passed }) => !passed)));
    const open = verdict.rules.filter(({ passed }) => !passed).map(({ id }) => id);
    assert.ok(
      ['N4', 'A1', 'A2', 'R1', 'R2', 'U4'].every((id) => !open.includes(id)),
      open.join(),
    );
  });
});
