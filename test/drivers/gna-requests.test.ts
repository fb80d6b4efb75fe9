// The recorded submissions of Intel's library through the driver: ioctl, page tables, device, and the bytes that come back.
// Not the device alone: test/devices plays the same at the registers.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GnaCase } from '../../src/machine/vectors/index.js';
import { RequestPlayer } from '../../src/node/cli/request-player.js';
import { generations, gnaVectors } from '../support/gna-rig.js';
import { needsShared } from '../support/shared.js';

const boardOf = ({ deviceType }: GnaCase): string => `gna:${generations[deviceType]}`;

describe('GNA submissions', needsShared('vectors/gna'), () => {
  for (const engines of ['inline', 'worker'] as const) {
    for (const { name, load } of gnaVectors()) {
      it(`give the recorded outputs and saturation flag for ${name}, engines ${engines}`, async () => {
        const cases = load();
        using player = new RequestPlayer(boardOf(cases[0]!), engines);
        for (const vector of cases) {
          assert.deepEqual(await player.play(vector), { verdict: 'passed' }, vector.name);
        }
      });
    }
  }

  it('fail when one byte or the flag should be another', async () => {
    const cases = gnaVectors()
      .find(({ name }) => name === 'gna20-affine')!
      .load();
    const vector = cases.find(({ expect }) => expect.saturated)!;
    using player = new RequestPlayer(boardOf(vector));
    const expect = { ...vector.expect, saturated: false };
    assert.equal((await player.play({ ...vector, expect })).verdict, 'failed');
    const outputs = vector.expect.outputs.map((output) => {
      const contents = Uint8Array.from(output.contents);
      contents[3]! ^= 1;
      return { ...output, contents };
    });
    const result = await player.play({ ...vector, expect: { ...vector.expect, outputs } });
    assert.match((result as { reason: string }).reason, /byte 3 of output is \d+, \d+ is right/);
    assert.equal((await player.play(vector)).verdict, 'passed');
  });
});
