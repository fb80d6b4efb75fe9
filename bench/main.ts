// Runs the benchmarks; each prints a ratio against a named peer in the same run. `npm run bench -- job` runs one.
// `-- gna --peer FILE` and `-- conv --peer FILE` compare with the figures of another program (bench/figures.ts), `--out FILE` leaves ours for another run.
// Not a test: no time is asserted.
import { parseArgs } from 'node:util';
import { connect } from './connect.js';
import { conv } from './conv.js';
import { gna } from './gna.js';
import { job } from './job.js';
import { layers } from './layers.js';
import { mmio } from './mmio.js';
import { models } from './models.js';
import { scale } from './scale.js';
import { wire } from './wire.js';

const { values: options, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: { peer: { type: 'string' }, out: { type: 'string' } },
});
const benchmarks: Readonly<Record<string, () => Promise<void>>> = {
  mmio,
  job,
  scale,
  conv: () => conv(options),
  models,
  layers,
  wire,
  connect,
  gna: () => gna(options),
};

const unknown = asked.filter((name) => benchmarks[name] === undefined);
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}: there are ${Object.keys(benchmarks).join(', ')}`);
  process.exit(2);
}
for (const name of asked.length > 0 ? asked : Object.keys(benchmarks)) await benchmarks[name]!();
