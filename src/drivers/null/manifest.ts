// What the null driver declares about itself, for the rules.
// Not a verdict.
import type { Manifest } from '../../core/index.js';

export const manifest: Manifest = {
  driver: 'null',
  hardware: 'the null device: copies, fills and waits; our own contract, no silicon',
  kind: 'compute',
  display: false,
  render: false,
  commands: 'queues',
  completions: true,
  nodes: ['accel'],
  own: [],
  contexts: 'any',
  runtime: { source: 'src/testing', licence: 'MIT', build: 'tsc -b src/testing' },
  // Its commands are written by hand; there is nothing to compile a model to.
  canonicalRuntime: true,
  firmware: { kind: 'none' },
  documentation: ['docs/rules.md', 'src/abi/null.ts', 'src/hw/null/index.ts'],
  staging: {
    owner: 'the accel authors',
    since: '2026-11-25',
    until: '2027-11-25',
    failing: ['U2', 'U3'],
  },
};
