// A client of the fuzzer: one open file of the core, and what it was given so far.
// Not well-behaved.
import { Process, type LocalFile, type Mapping } from '../../core/index.js';
import type { SuiteJob, SuiteSystem } from '../../testing/index.js';
import { FuzzState } from './state.js';

export class FuzzClient extends FuzzState {
  readonly process: Process;
  readonly file: LocalFile;
  readonly mappings: Mapping[] = [];
  readonly jobs: SuiteJob[] = [];

  constructor(system: SuiteSystem, process = new Process()) {
    super();
    this.process = process;
    this.file = system.core.open(system.accel, process);
    this.pointer = Number(this.file.user.place(this.arena).pointer);
  }
}
