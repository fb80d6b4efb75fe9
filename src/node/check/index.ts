// accel check, as functions: a subject, its evidence, the verdict.
// Not the command: cli/check.ts prints.
export * from './evidence.js';
export { subjectOf, type CheckBoard, type CheckSubject, type DriverPackage } from './subject.js';
