// What needs Node: systems with real clocks and threads. One place to import it from outside.
// Not a place for behaviour of devices or drivers.
export * from './clock.js';
export * from './kernels.js';
export type { DriverPackage } from './check/index.js';
export * from './suite-system.js';
export * from './system.js';
export * from './worker-engines.js';
