// Where drivers belong: the rules on our own drivers and on invented ones. Not the runs that give the evidence.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Manifest } from '../../src/core/manifest.js';
import { manifest as gnaManifest } from '../../src/drivers/gna/manifest.js';
import { manifest as nullManifest } from '../../src/drivers/null/manifest.js';
import { manifest as nvdlaManifest } from '../../src/drivers/nvdla/manifest.js';
import { admit, judge, rules, type Evidence, type Finding } from '../../src/policy/index.js';
import { root } from '../support/shared.js';

const today = '2026-11-25';
const fine: Finding = { passed: true, evidence: 'ran' };
const all: Evidence = {
  conformance: fine,
  isolation: fine,
  timeouts: fine,
  faults: fine,
  health: fine,
  hygiene: fine,
  uapiCoverage: fine,
  changeTest: fine,
  compilerBuild: fine,
  runtimeBuild: fine,
  firmware: fine,
};
const verdict = (manifest: Manifest, evidence = all, date = today) =>
  judge({ manifest, evidence, today: date });

function invented(name: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'examples/manifests', `${name}.json`), 'utf8')) as Manifest;
}

describe('the verdict', () => {
  for (const manifest of [nvdlaManifest, gnaManifest]) {
    it(`is accel for ${manifest.driver} when every run passed`, () => {
      const result = verdict(manifest);
      assert.equal(result.class, 'accel');
      assert.equal(result.rules.length, rules.length);
      assert.ok(result.rules.every(({ evidence, citation }) => evidence !== '' && citation !== ''));
    });

    it(`is staging for ${manifest.driver} when a run is missing or fails, and names the rule`, () => {
      const { changeTest: _, ...rest } = all;
      assert.deepEqual(verdict(manifest, rest).reason, 'open rules: U3');
      const failing = { ...all, timeouts: { passed: false, evidence: 'a client was lost' } };
      assert.match(verdict(manifest, failing).reason, /R1/);
    });
  }

  it('is refuse when the memory of a file can be reached from another', () => {
    const leaking = { ...all, isolation: { passed: false, evidence: 'read 4 bytes' } };
    assert.equal(verdict(nvdlaManifest, leaking).class, 'refuse');
  });

  it('is staging for the null device: nobody compiles for it', () => {
    const { compilerBuild: _, changeTest: __, ...rest } = all;
    const result = verdict(nullManifest, rest);
    assert.equal(result.class, 'staging');
    assert.deepEqual(
      result.rules.filter(({ passed }) => !passed).map(({ id }) => id),
      nullManifest.staging?.failing,
    );
  });

  for (const [name, where, rule] of [
    ['display-controller', 'gpu', 'P1'],
    ['video-codec', 'media', 'P2'],
    ['gpu-compute-front', 'gpu', 'P4'],
    ['bare-char-device', 'refuse', 'P3'],
  ] as const) {
    it(`sends ${name} to ${where}, for ${rule}`, () => {
      const result = verdict(invented(name), {});
      assert.equal(result.class, where);
      assert.ok(result.reason.startsWith(`${rule}: `), result.reason);
    });
  }

  it('is refuse without any open user space, and for a date in staging that has passed', () => {
    const { runtime: _, compiler: __, ...closed } = nvdlaManifest;
    assert.equal(verdict(closed).class, 'refuse');
    assert.equal(verdict(nullManifest, all, '2028-01-01').class, 'refuse');
  });

  it('asks firmware binaries for a licence that allows handing on and for versions', () => {
    const firmware = {
      kind: 'binary',
      file: 'fw.bin',
      licence: 'MIT',
      redistributable: true,
      versions: ['1.2'],
    } as const;
    assert.equal(verdict({ ...nvdlaManifest, firmware }).class, 'accel');
    assert.match(verdict({ ...nvdlaManifest, firmware: { ...firmware, versions: [] } }).reason, /U6/);
  });
});

describe('the staging area', () => {
  it('loads a driver only when asked for, and says what it lacks', () => {
    assert.throws(() => admit(nullManifest, { staging: false, today }), {
      code: 'EPERM',
      reason: /--staging/,
    });
    assert.deepEqual(admit(nullManifest, { staging: true, today })?.failing, ['U2', 'U3']);
    assert.equal(admit(nvdlaManifest, { staging: false, today }), undefined);
  });

  it('refuses a driver past its date, asked for or not', () => {
    assert.throws(() => admit(nullManifest, { staging: true, today: '2028-01-01' }), {
      code: 'EPERM',
      reason: /ended/,
    });
  });
});
