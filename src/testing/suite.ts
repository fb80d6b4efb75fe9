// The conformance suite: the cases of a driver, with its features and gaps, for any runner.
// Not a runner: node:test and the command line each have a few lines around it.
import type { DriverAdapter } from './adapter.js';
import { Bench } from './bench.js';
import { ConformanceError } from './check.js';
import { clients } from './groups/clients.js';
import { dispatch } from './groups/dispatch.js';
import { faults } from './groups/faults.js';
import { gem } from './groups/gem.js';
import type { CaseBody, Feature, Group } from './groups/group.js';
import { isolation } from './groups/isolation.js';
import { leaks } from './groups/leaks.js';
import { node } from './groups/node.js';
import { prime } from './groups/prime.js';
import { replay } from './groups/replay.js';
import { syncobj } from './groups/syncobj.js';
import { timeouts } from './groups/timeouts.js';
import { unplug } from './groups/unplug.js';
import type { EngineKind, SuiteSystem } from './system.js';

export const groups: readonly Group[] = [
  node,
  dispatch,
  gem,
  isolation,
  prime,
  syncobj,
  clients,
  timeouts,
  faults,
  unplug,
  leaks,
  replay,
];

export interface SuiteOptions {
  /** What is tested: `null`, `nvdla:nv_small`. */
  readonly name: string;
  readonly adapter: DriverAdapter;
  /** A fresh system; called once or more per case. */
  system(engines: EngineKind): SuiteSystem;
  /** Default both. */
  readonly engines?: readonly EngineKind[];
  /** What the driver does not have, and why. A feature it lacks without a reason fails its cases. */
  readonly lacks?: Partial<Record<Feature, string>>;
}

export interface ConformanceCase {
  readonly engines: EngineKind;
  readonly group: string;
  /** A sentence about behaviour. */
  readonly name: string;
  /** Resolves to a reason when the case does not apply. @throws ConformanceError the finding */
  run(): Promise<string | undefined>;
}

/** All cases of a driver, in order. */
export function conformanceCases(options: SuiteOptions): ConformanceCase[] {
  const { engines = ['inline', 'worker'] } = options;
  return engines.flatMap((kind) =>
    groups.flatMap((group) =>
      group.cases.map((body) => ({
        engines: kind,
        group: group.name,
        name: body.name,
        run: () => runCase(options, kind, body),
      })),
    ),
  );
}

async function runCase(
  options: SuiteOptions,
  engines: EngineKind,
  body: CaseBody,
): Promise<string | undefined> {
  const { adapter, lacks = {} } = options;
  const makes = (): Bench => new Bench(options.system(engines), adapter, engines);
  const bench = makes();
  try {
    if (body.needs !== undefined && !has(body.needs, bench)) {
      const reason = lacks[body.needs];
      if (reason === undefined)
        throw new ConformanceError(`the driver has no ${body.needs} and gives no reason in lacks`);
      return `${body.needs}: ${reason}`;
    }
    await body.run(bench, makes);
    if (body.verify !== false) await bench.verify();
    return undefined;
  } finally {
    bench.dispose();
  }
}

function has(feature: Feature, { accel, adapter, system }: Bench): boolean {
  const { features } = accel.driver;
  switch (feature) {
    case 'syncobj':
      return features.syncobj;
    case 'timeline':
      return features.syncobjTimeline;
    case 'job fences':
      return features.syncobj && adapter.fencedJob !== undefined;
    case 'second device':
      return system.other !== undefined;
  }
}

export interface CaseResult {
  readonly engines: EngineKind;
  readonly group: string;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped, or the finding. */
  readonly reason?: string;
}

/** Runs cases one after the other; `onResult` hears of each. */
export async function runCases(
  cases: readonly ConformanceCase[],
  onResult?: (result: CaseResult) => void,
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const { engines, group, name, run } of cases) {
    let result: CaseResult;
    try {
      const reason = await run();
      result =
        reason === undefined
          ? { engines, group, name, outcome: 'passed' }
          : { engines, group, name, outcome: 'skipped', reason };
    } catch (error) {
      const reason =
        error instanceof ConformanceError
          ? error.message
          : `${String(error)}${error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : ''}`;
      result = { engines, group, name, outcome: 'failed', reason };
    }
    results.push(result);
    onResult?.(result);
  }
  return results;
}

/** The parts of a runner that driverSuite needs: node:test's, or one with the same shape. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: (context: { skip(reason?: string): void }) => Promise<void>): unknown;
}

/** Registers the cases with a runner: `driverSuite({ ... }, { describe, it })`. */
export function driverSuite(options: SuiteOptions, { describe, it }: TestRunner): void {
  const cases = conformanceCases(options);
  for (const engines of options.engines ?? (['inline', 'worker'] as const)) {
    describe(`${options.name}, engines ${engines}`, () => {
      for (const group of groups) {
        describe(group.name, () => {
          for (const one of cases) {
            if (one.engines !== engines || one.group !== group.name) continue;
            it(one.name, async (context) => {
              const reason = await one.run();
              if (reason !== undefined) context.skip(reason);
            });
          }
        });
      }
    });
  }
}
