// Evidence for R2: a client's usage in fdinfo after a job, and health counters that move after an injected hang.
// Not the values' meaning: the core's tests hold those.
import type { Finding } from '../../policy/index.js';
import { Bench } from '../../testing/index.js';
import { suiteSystem } from '../suite-system.js';
import type { CheckBoard } from './subject.js';
import { errorText } from './text.js';

/** Runs a job and a hang on the board. */
export async function health({ board, adapter, drivers }: CheckBoard): Promise<Finding> {
  const bench = new Bench(suiteSystem({ board, drivers, engines: 'inline', count: 1 }), adapter, 'inline');
  const { system, accel } = bench;
  try {
    const file = bench.open();
    await bench.done(await bench.job(file, { seed: 1 }));
    const text = await file.fdinfo();
    const missing = [
      /^drm-driver:/m,
      /^drm-client-id:/m,
      /^drm-engine-[^:]+:\t\d+ ns$/m,
      /^drm-total-memory:/m,
    ].filter((line) => !line.test(text));
    if (missing.length > 0)
      return { passed: false, evidence: `fdinfo lacks ${missing.map(String).join(', ')}` };
    const engines = [...text.matchAll(/^drm-engine-(?!capacity)([^:]+):/gm)].map((match) => match[1]);
    system.faults.arm('hang');
    const ended = await bench.outcome((await bench.job(file, { seed: 2 })).run());
    const { hangs, resets } = accel.health;
    const told = system.core.snapshot().devices[0]!.health;
    const passed = hangs === 1 && resets >= 1 && told.hangs === hangs && told.resets === resets;
    return {
      passed,
      evidence:
        `${board.name}: fdinfo after a job names driver, client, memory and engines ${engines.join(', ')}; ` +
        `a hang ended with ${ended} and counted ${hangs} hangs, ${resets} resets`,
    };
  } catch (error) {
    return { passed: false, evidence: `${board.name}: ${errorText(error)}` };
  } finally {
    bench.dispose();
  }
}
