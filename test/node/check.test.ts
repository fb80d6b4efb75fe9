// accel check: subjects, evidence from runs, builds and edits in a copy. Not the rules: test/policy. Not NVDLA's whole check: check.slow.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { ChangeTest, Manifest } from '../../src/core/index.js';
import { manifest as gnaManifest } from '../../src/drivers/gna/manifest.js';
import { manifest as nullManifest } from '../../src/drivers/null/manifest.js';
import { manifest as nvdlaManifest } from '../../src/drivers/nvdla/manifest.js';
import { builds } from '../../src/node/check/builds.js';
import { conformance } from '../../src/node/check/conformance.js';
import { subjectOf } from '../../src/node/check/index.js';
import { cli } from '../../src/node/cli/cli.js';
import type { RuleResult, Verdict } from '../../src/policy/index.js';
import { nullAdapter } from '../../src/testing/index.js';
import { root } from '../support/shared.js';
import { collected } from '../testing/io.js';

async function check(...args: string[]) {
  const io = collected();
  const code = await cli(['check', ...args], io);
  return { code, text: io.stdout, error: io.stderr };
}

const rule = (verdict: Verdict, id: string): RuleResult => verdict.rules.find((one) => one.id === id)!;

describe('accel check', () => {
  it('finds the null device in staging: runs the suite, skips builds with --quick and says so', async () => {
    const { code, text } = await check('null', '--quick', '--json');
    const verdict = JSON.parse(text) as Verdict;
    assert.equal(verdict.class, 'staging');
    assert.equal(code, 0);
    for (const id of ['N4', 'A1', 'R1', 'R2', 'U4', 'U5']) assert.ok(rule(verdict, id).passed, id);
    assert.match(rule(verdict, 'N4').evidence, /isolation.*on null, engines inline: \d+ passed, 0 failed/);
    assert.match(rule(verdict, 'R2').evidence, /engines ring; a hang ended with ETIME and counted 1 hangs/);
    assert.match(rule(verdict, 'U1').evidence, /not run: --quick/);
    assert.equal(rule(verdict, 'U3').evidence, 'not run: --quick');
  });

  for (const [name, where, id] of [
    ['display-controller', 'gpu', 'P1'],
    ['video-codec', 'media', 'P2'],
    ['gpu-compute-front', 'gpu', 'P4'],
    ['bare-char-device', 'refuse', 'P3'],
  ] as const) {
    it(`sends ${name} to ${where} for ${id}, with exit code 1 and every rule printed`, async () => {
      const { code, text } = await check(join(root, `examples/manifests/${name}.json`));
      assert.equal(code, 1);
      assert.match(text, new RegExp(`belongs to: ${where}\\n${id}: `));
      for (const every of ['P1', 'N4', 'U3', 'A2', 'R2', 'S1'])
        assert.match(text, new RegExp(`^${every} `, 'm'));
      assert.match(text, /not run: a manifest alone/);
    });
  }

  it('says what is wrong with a subject: unknown, no manifest, no driver package', async () => {
    assert.match((await check('nothing-like-this')).error, /no driver \(null, .*nvdla.*\), no manifest/);
    assert.match((await check(join(root, 'package.json'))).error, /is no manifest: driver is missing/);
    assert.match((await check(join(root, 'src'))).error, /package\.json/);
    assert.equal((await check('nothing-like-this')).code, 1);
  });

  it('counts only calls that jobs and buffers make, not the sweep over all numbers', async () => {
    const [board] = (await subjectOf('null')).boards;
    // A driver with one more call, which nobody makes.
    const [entry] = (await import('../../src/machine/index.js')).drivers;
    const unused = {
      ...entry!,
      probe: (...args: Parameters<typeof entry.probe>) => {
        const accel = (entry!.probe as (...all: unknown[]) => ReturnType<typeof entry.probe>)(...args);
        const [first] = accel.driver.ioctls;
        const extra = { ...first!, def: { ...first!.def, nr: 0x60, name: 'DRM_IOCTL_UNUSED' } };
        const driver = { ...accel.driver, ioctls: [...accel.driver.ioctls, extra] };
        Object.defineProperty(accel, 'driver', { value: driver });
        return accel;
      },
    } as typeof entry;
    const found = await conformance(
      [{ ...board!, adapter: nullAdapter, drivers: [unused!] }],
      () => undefined,
    );
    assert.equal(found.uapiCoverage!.passed, false);
    assert.match(found.uapiCoverage!.evidence, /3 of 4 calls .*; not DRM_IOCTL_UNUSED/);
  });
});

describe('the manifests of our drivers', () => {
  for (const manifest of [nullManifest, nvdlaManifest, gnaManifest]) {
    it(`${manifest.driver}: its documents exist, its edits fit the sources`, () => {
      for (const document of manifest.documentation) assert.ok(existsSync(join(root, document)), document);
      for (const edit of [manifest.changeTest?.harmless, manifest.changeTest?.wrong]) {
        if (edit === undefined) continue;
        const text = readFileSync(join(root, edit.file), 'utf8');
        assert.equal(text.split(edit.from).length, 2, `${edit.file}: ${edit.from}`);
      }
    });
  }
});

describe('the change test', () => {
  const folder = mkdtempSync(join(tmpdir(), 'accel-check-test-'));
  mkdirSync(join(folder, 'node_modules'));
  writeFileSync(join(folder, 'tiling.txt'), 'lines=4 order=up');
  // "Compiles" by copying, "runs" by looking: order is the result, lines the number of layers.
  writeFileSync(
    join(folder, 'build.mjs'),
    `import { copyFileSync } from 'node:fs'; copyFileSync('tiling.txt', 'program.txt');`,
  );
  writeFileSync(
    join(folder, 'verify.mjs'),
    `import { readFileSync } from 'node:fs';
const text = readFileSync('program.txt', 'utf8');
console.log(JSON.stringify({ results: [{ layers: Number(/lines=(\\d)/.exec(text)[1]) }] }));
process.exitCode = text.includes('order=up') ? 0 : 1;`,
  );
  after(() => rmSync(folder, { recursive: true }));

  const edit = (from: string, to: string) => ({ file: 'tiling.txt', what: 'a test', from, to });
  const run = async (change: Partial<ChangeTest>) => {
    const manifest: Manifest = {
      ...nvdlaManifest,
      runtime: { source: '.', licence: 'MIT', build: 'node build.mjs' },
      compiler: { source: '.', licence: 'MIT', build: 'node nothing.mjs' },
      changeTest: {
        harmless: edit('lines=4', 'lines=2'),
        wrong: edit('order=up', 'order=down'),
        build: 'node build.mjs',
        verify: 'node verify.mjs',
        ...change,
      },
    };
    return builds(manifest, { root: folder, unbuilt: [] }, () => undefined);
  };

  it('passes when the harmless edit changes the program but not the result, and the wrong one is noticed', async () => {
    const { changeTest, runtimeBuild, compilerBuild } = await run({});
    assert.equal(changeTest?.passed, true, changeTest?.evidence);
    assert.match(
      changeTest!.evidence,
      /tiling\.txt \(sha256 [0-9a-f]{12} -> [0-9a-f]{12}\).*4 layers became 2/,
    );
    assert.equal(runtimeBuild?.passed, true);
    assert.equal(compilerBuild?.passed, false);
    assert.match(compilerBuild!.evidence, /nothing\.mjs ended with 1/);
  });

  it('leaves the sources as they were', () => {
    assert.equal(readFileSync(join(folder, 'tiling.txt'), 'utf8'), 'lines=4 order=up');
    assert.ok(!existsSync(join(folder, 'program.txt')));
  });

  it('fails when the harmless edit changes nothing, is not harmless, or does not fit', async () => {
    const nothing = await run({ harmless: edit('order=up', 'order=up ') });
    assert.match(nothing.changeTest!.evidence, /changes nothing: 4 layers before and after/);
    const harmful = await run({ harmless: edit('order=up', 'order=down') });
    assert.match(harmful.changeTest!.evidence, /goldens fail/);
    const lost = await run({ harmless: edit('rows=4', 'rows=2') });
    assert.match(lost.changeTest!.evidence, /0 times, not once/);
    for (const { changeTest } of [nothing, harmful, lost]) assert.equal(changeTest?.passed, false);
  });

  it('fails when the goldens do not notice the wrong edit, or fail by themselves', async () => {
    const blind = await run({ wrong: edit('lines=4', 'lines=3') });
    assert.match(blind.changeTest!.evidence, /the goldens still pass/);
    const broken = await run({ verify: 'node nothing.mjs' });
    assert.match(broken.changeTest!.evidence, /the goldens fail without an edit/);
    for (const { changeTest } of [blind, broken]) assert.equal(changeTest?.passed, false);
  });
});
