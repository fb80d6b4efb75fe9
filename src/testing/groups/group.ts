// What a group of cases is.
// Not the cases: each group has its file.
import type { Bench } from '../bench.js';

/** What a driver may lack with a reason. */
export type Feature = 'syncobj' | 'timeline' | 'job fences' | 'second device';

export interface CaseBody {
  /** A sentence about behaviour. */
  readonly name: string;
  readonly needs?: Feature;
  /** False: the case leaves something behind on purpose. */
  readonly verify?: false;
  /** `another` makes a further fresh system; the case disposes it. */
  run(bench: Bench, another: () => Bench): Promise<void>;
}

export interface Group {
  readonly name: string;
  readonly cases: readonly CaseBody[];
}
