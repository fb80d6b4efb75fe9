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
  canonicalRuntime: true,
  firmware: { kind: 'none' },
  documentation: ['docs/architecture.md', 'docs/devices.md', 'src/abi/nvdla.ts'],
};
