// The compile report: estimates of a program's layers, and a picture of them.
// Not compiling.
export * from './picture.js';
export * from './report.js';
export * from './timeline.js';
