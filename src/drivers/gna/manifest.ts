// What the GNA driver declares about itself, for the rules.
// Not a verdict.
import type { Manifest } from '../../core/index.js';

export const manifest: Manifest = {
  driver: 'gna',
  hardware: 'Intel Gaussian & Neural Accelerator, generations 0.9 to 3.5',
  kind: 'compute',
  display: false,
  render: false,
  commands: 'descriptors',
  completions: true,
  nodes: ['accel'],
  own: [],
  contexts: 'any',
  runtime: { source: 'src/testing', licence: 'MIT', build: 'tsc -b src/testing' },
  // Descriptors are written by hand or come from recorded requests; nothing compiles a model to them here yet.
  canonicalRuntime: false,
  firmware: { kind: 'none' },
  documentation: ['docs/gna.md', 'src/abi/gna.ts', 'src/hw/gna/index.ts'],
  staging: {
    owner: 'the accel authors',
    since: '2026-11-25',
    until: '2027-11-25',
    failing: ['U2', 'U3', 'U5'],
  },
};
