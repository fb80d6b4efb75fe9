// Plays the recorded GNA submissions on the model, registers to memory.
// Not the driver's path: seam B only.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRight, playGna } from '../../src/machine/vectors/gna.js';
import { generations, gnaVectors, GnaRig } from '../support/gna-rig.js';
import { needsShared } from '../support/shared.js';

const ways = [
  { title: 'in place', engines: 'inline', scattered: false },
  { title: 'with scattered pages', engines: 'inline', scattered: true },
  { title: 'with the engine in a worker', engines: 'worker', scattered: false },
] as const;

describe('GNA vectors', needsShared('vectors/gna'), () => {
  for (const { title, engines, scattered } of ways) {
    for (const { name, load } of gnaVectors()) {
      it(`gives the recorded outputs and saturation flag for ${name}, ${title}`, async () => {
        const cases = load();
        const rig = new GnaRig(generations[cases[0]!.deviceType]!, engines);
        const wrong: string[] = [];
        for (const vector of cases) {
          const result = await playGna(vector, rig.target, { scattered });
          if (isRight(vector, result)) continue;
          const status = `STS 0x${result.status.toString(16)}, saturated ${vector.expect.saturated}`;
          wrong.push(`${vector.name}: ${status} ${JSON.stringify(result.differences)}`);
        }
        const said = [...rig.device.guestErrors];
        rig[Symbol.dispose]();
        assert.deepEqual([...wrong, ...said], []);
      });
    }
  }
});
