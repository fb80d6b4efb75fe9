// What the package is to accel: a driver, a board with a device for it, an adapter for the conformance suite.
// Not a program.
import type { AccelDevice, Manifest } from 'accel/core';
import type { Board, DriverEntry } from 'accel/machine';
import { compatible, probe } from './driver.js';
import { model } from './model.js';

export { adapter } from './adapter.js';

const manifest: Manifest = {
  driver: 'adder',
  hardware: 'the adder, an invented device',
  kind: 'compute',
  display: false,
  render: false,
  commands: 'register-program',
  completions: true,
  nodes: ['accel'],
  own: [],
  contexts: 'any',
  runtime: { source: 'src/adapter.ts', licence: 'MIT', build: 'tsc -p .' },
  firmware: { kind: 'none' },
  documentation: ['README.md'],
  staging: {
    owner: 'whoever copies this',
    since: '2026-11-25',
    until: '2027-11-25',
    failing: ['U2', 'U3', 'U5'],
  },
};

export const driver: DriverEntry = {
  name: 'adder',
  bus: 'platform',
  compatible,
  manifest,
  probe: (device, core) => probe(device, core) as AccelDevice<unknown>,
};

export const boards: readonly Board[] = [
  {
    name: 'adder',
    summary: 'adds a value to bytes',
    devices: [{ model, options: {}, bus: 'platform', busName: '20000000.adder', compatible, irqs: 1 }],
  },
];

export const lacks = {
  syncobj: 'RUN returns when it is done: the uAPI has no fences',
  timeline: 'RUN returns when it is done: the uAPI has no fences',
  'job fences': 'RUN returns when it is done: the uAPI has no fences',
};
