// The conformance suite, for driver authors: accel/testing.
// Not a test runner: node:test, the command line or another one runs the cases.
export * from './adapter.js';
export * from './adapters/index.js';
export { Bench, Interrupt } from './bench.js';
export * from './calls.js';
export * from './check.js';
export * from './groups/group.js';
export { endsOf, faultEnds } from './groups/faults.js';
export * from './suite.js';
export * from './system.js';
