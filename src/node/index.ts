// What needs Node: systems with real clocks and threads. One place to import it from outside.
// Not a place for behaviour of devices or drivers.
export * from './clock.js';
export * from './kernels.js';
export * from './system.js';
export * from './worker-engines.js';
