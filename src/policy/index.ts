// The rules for drivers and the staging area.
// Not the conformance suite: that judges behaviour, and its results are evidence here.
export * from './evidence.js';
export * from './rules.js';
export * from './staging.js';
export * from './verdict.js';
