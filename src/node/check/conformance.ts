// Evidence from the conformance suite: the whole result, the groups that rules name, and which calls its jobs use.
// Not the suite: testing/ has the cases.
import { TraceStep } from '../../core/trace.js';
import type { Evidence, Finding } from '../../policy/index.js';
import { conformanceCases, runCases, type CaseResult } from '../../testing/index.js';
import { suiteSystem } from '../suite-system.js';
import type { CheckBoard } from './subject.js';

/** Its cases call every number with zeros: that a call was reached there does not mean that somebody uses it. */
const SWEEP = 'dispatch';

interface BoardResult {
  readonly board: string;
  readonly cases: readonly CaseResult[];
}

/** Runs the suite on each board, engines inline. `step` hears of every case. */
export async function conformance(
  boards: readonly CheckBoard[],
  step: (what: string) => void,
): Promise<Pick<Evidence, 'conformance' | 'isolation' | 'timeouts' | 'faults' | 'hygiene' | 'uapiCoverage'>> {
  const results: BoardResult[] = [];
  const used = new Set<string>();
  const known = new Set<string>();
  for (const { board, adapter, lacks, drivers } of boards) {
    let group = '';
    const cases = conformanceCases({
      name: board.name,
      adapter,
      lacks,
      engines: ['inline'],
      system: (engines) => {
        const system = suiteSystem({ board, drivers, engines });
        for (const { def } of system.accel.driver.ioctls) known.add(def.name);
        // Ends with the system.
        system.core.trace.subscribe(({ step: traced, name }) => {
          if (traced === TraceStep.dispatch && group !== SWEEP) used.add(name!);
        });
        return system;
      },
    });
    const done: CaseResult[] = [];
    for (const one of cases) {
      group = one.group;
      step(`suite on ${board.name}: ${one.group}, ${done.length + 1} of ${cases.length}`);
      done.push(...(await runCases([one])));
    }
    results.push({ board: board.name, cases: done });
  }
  const unused = [...known].filter((name) => !used.has(name));
  return {
    conformance: judged(results),
    isolation: judged(results, 'isolation'),
    timeouts: judged(results, 'timeouts and reset'),
    faults: judged(results, 'faults'),
    hygiene: judged(results, SWEEP),
    uapiCoverage: {
      passed: known.size > 0 && unused.length === 0,
      evidence:
        `${known.size - unused.length} of ${known.size} calls of the driver are made by jobs and buffers of the suite` +
        (unused.length === 0 ? `: ${[...known].join(', ')}` : `; not ${unused.join(', ')}`),
    },
  };
}

/** Passed when nothing failed and something was run; skips with a reason are told, not counted against. */
function judged(results: readonly BoardResult[], group?: string): Finding {
  const cases = results.flatMap(({ board, cases: all }) =>
    all.filter((one) => group === undefined || one.group === group).map((one) => ({ board, ...one })),
  );
  const count = (outcome: CaseResult['outcome']): number =>
    cases.filter((one) => one.outcome === outcome).length;
  const failed = cases.find(({ outcome }) => outcome === 'failed');
  const what = group === undefined ? 'conformance suite' : `group "${group}" of the suite`;
  const names = results.map(({ board }) => board);
  const where = group === undefined || names.length < 3 ? names.join(', ') : `${names.length} boards`;
  const numbers = `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
  const first =
    failed === undefined
      ? ''
      : `; first: ${failed.board} ${failed.group}: ${failed.name}: ${failed.reason!.split('\n')[0]}`;
  return {
    passed: failed === undefined && count('passed') > 0,
    evidence: `${what} on ${where}, engines inline: ${numbers}${first}`,
  };
}
