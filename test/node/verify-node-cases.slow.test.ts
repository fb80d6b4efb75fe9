// accel verify of ONNX's node tests on nv_full: every case accounted for, none wrong.
// Not the reference evaluator's own test.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { verify } from '../../src/node/cli/verify.js';
import { needsShared, shared } from '../support/shared.js';
import { collected } from '../testing/io.js';

describe('node tests on nv_full', needsShared('models/onnx-node/relevant-cases.txt'), () => {
  it('run on the device or on the host with a reason, or are refused with one; none is wrong', async () => {
    const io = collected();
    const path = shared('models/onnx-node')!;
    assert.equal(await verify(path, { device: 'nvdla:nv_full', json: true }, io), true);
    const { results } = JSON.parse(io.stdout) as { results: { verdict: string; reason: string }[] };
    assert.equal(results.length, 677);
    assert.ok(results.filter(({ verdict }) => verdict === 'device').length >= 60);
    assert.ok(results.every(({ verdict, reason }) => verdict === 'device' || reason !== ''));
  });
});
