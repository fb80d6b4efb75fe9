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
  runtime: { source: 'src/runtime', licence: 'MIT', build: 'tsc -b src/runtime' },
  compiler: { source: 'src/compiler', licence: 'MIT', build: 'tsc -b src/compiler' },
  canonicalRuntime: true,
  firmware: { kind: 'none' },
  documentation: ['docs/gna.md', 'docs/compiler-gna.md', 'src/abi/gna.ts', 'src/hw/gna/index.ts'],
  staging: {
    owner: 'the accel authors',
    since: '2026-11-25',
    until: '2027-11-25',
    // No goldens of compiled models come with the package to try an edit of the compiler on.
    failing: ['U3'],
  },
};
