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
  changeTest: {
    harmless: {
      file: 'src/compiler/targets/gna/limits.ts',
      what: 'filters of at most 512 weights instead of 768: lines are interleaved first',
      from: 'FILTER_SIZE_MAX = 768',
      to: 'FILTER_SIZE_MAX = 512',
    },
    wrong: {
      file: 'src/compiler/targets/gna/windows.ts',
      what: 'weights of a window in reverse order',
      from: 'const wanted = weights[f * inner + i]! * factor + rest',
      to: 'const wanted = weights[f * inner + inner - 1 - i]! * factor + rest',
    },
    build: 'tsc -b src/node',
    // A generation without fused 2D convolutions: there the limit of filters counts.
    verify:
      'node dist/src/node/cli/main.js verify models/golden/models.json --models mnist-8 --device gna:2.0 --snr 60 --json',
  },
  canonicalRuntime: true,
  firmware: { kind: 'none' },
  documentation: ['docs/gna.md', 'docs/compiler-gna.md', 'src/abi/gna.ts', 'src/hw/gna/index.ts'],
};
