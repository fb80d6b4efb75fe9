// The examples run as they stand, through the package's own exports.
// Not their contents in detail.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { root } from '../support/shared.js';

async function output(example: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(root, 'examples', example)], {
    cwd: root,
  });
  assert.equal(stderr, '');
  return stdout;
}

describe('the examples', () => {
  it('run-model.mjs finds the cat, all of it on the device', async () => {
    assert.equal(await output('run-model.mjs'), 'cat\n100 % of the multiply-accumulates on the device\n');
  });

  it('build-graph.mjs computes its layer on the device', async () => {
    const text = await output('build-graph.mjs');
    assert.match(text, /^Conv +nvdla /m);
    const sums = Array.from({ length: 16 }, (_, i) => Math.max(0, 3 * i - 12));
    const negated = Array.from({ length: 16 }, (_, i) => Math.max(0, 4 - i));
    assert.equal(text.trimEnd().split('\n').at(-1), [...sums, ...negated].join(' '));
  });
});
