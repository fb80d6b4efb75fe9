// What the NVDLA driver declares about itself, for the rules.
// Not a verdict.
import type { Manifest } from '../../core/index.js';

export const manifest: Manifest = {
  driver: 'nvdla',
  hardware: 'NVIDIA Deep Learning Accelerator, all configurations of the open hardware release',
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
      file: 'src/compiler/targets/nvdla/cbuf.ts',
      what: 'tiles of at most 9 lines instead of as many as fit',
      from: 'Math.floor((free * entriesPerBank) / entries)',
      to: 'Math.min(9, Math.floor((free * entriesPerBank) / entries))',
    },
    wrong: {
      file: 'src/compiler/targets/nvdla/weights.ts',
      what: 'channels of a block of weights in reverse order',
      from: 'const value = data[from + c * plane]!',
      to: 'const value = data[from + (c0 + c1 - 1 - c) * plane]!',
    },
    build: 'tsc -b src/node',
    verify: 'node dist/src/node/cli/main.js verify models/golden/models.json --device nvdla:nv_small --json',
  },
  canonicalRuntime: true,
  firmware: { kind: 'none' },
  documentation: ['docs/architecture.md', 'docs/findings.md', 'src/abi/nvdla.ts'],
};
