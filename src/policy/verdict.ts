// The decision: runs every rule, weighs the failures, says where the driver belongs.
// Not a linter: the result names evidence and citation for each rule, passed or not.
import { rules, type Destination, type Subject } from './rules.js';

export type DriverClass = 'accel' | Destination;

export interface RuleResult {
  readonly id: string;
  readonly question: string;
  readonly passed: boolean;
  readonly evidence: string;
  readonly citation: string;
  /** Where this failure alone would send the driver. */
  readonly failing: Destination;
}

export interface Verdict {
  readonly driver: string;
  readonly class: DriverClass;
  /** One sentence: why this class. */
  readonly reason: string;
  readonly rules: readonly RuleResult[];
}

/** A redirection outweighs staging; being no accelerator at all outweighs a redirection. */
export function judge(subject: Subject): Verdict {
  const { driver, runtime, compiler } = subject.manifest;
  const results = rules.map(({ id, question, citation, failing, check }): RuleResult => {
    return { id, question, citation, failing, ...check(subject) };
  });
  const failed = results.filter((result) => !result.passed);
  const first = (...destinations: Destination[]): RuleResult | undefined =>
    failed.find((result) => destinations.includes(result.failing));
  const verdict = (to: DriverClass, reason: string): Verdict => ({
    driver,
    class: to,
    reason,
    rules: results,
  });

  // What the device is comes first: a display driver is told to go to the GPU drivers, not that its isolation was not tested.
  const elsewhere = results.find(
    (result) => !result.passed && (result.failing === 'gpu' || result.failing === 'media'),
  );
  const notOne = failed.find((result) => result.id === 'P3');
  if (notOne !== undefined) return verdict('refuse', `${notOne.id}: ${notOne.question}: ${notOne.evidence}`);
  if (elsewhere !== undefined)
    return verdict(elsewhere.failing, `${elsewhere.id}: ${elsewhere.question}: ${elsewhere.evidence}`);
  const refused = first('refuse');
  if (refused !== undefined)
    return verdict('refuse', `${refused.id}: ${refused.question}: ${refused.evidence}`);
  if (runtime === undefined && compiler === undefined) {
    return verdict('refuse', 'U1: neither an open runtime nor an open compiler is named');
  }
  if (failed.length > 0) {
    return verdict('staging', `open rules: ${failed.map(({ id }) => id).join(', ')}`);
  }
  return verdict('accel', 'every rule holds');
}
