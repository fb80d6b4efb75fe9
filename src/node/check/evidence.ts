// Gathers what the rules ask for, by running it: suite, health, documents, builds, change test.
// Not the rules: policy/ weighs what is found here.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Evidence, Finding } from '../../policy/index.js';
import { builds } from './builds.js';
import { conformance } from './conformance.js';
import { health } from './health.js';
import type { CheckSubject, Sources } from './subject.js';

export interface GatherOptions {
  /** One board instead of all, no builds, no change test. */
  readonly quick: boolean;
  /** Hears what is being done. */
  step(what: string): void;
}

export async function gather(subject: CheckSubject, { quick, step }: GatherOptions): Promise<Evidence> {
  const { manifest, boards, sources, notRun } = subject;
  const [first] = boards;
  const ran =
    first === undefined
      ? {}
      : { ...(await conformance(quick ? [first] : boards, step)), health: await health(first) };
  const documents = sources === undefined ? undefined : documentsOf(manifest.documentation, sources);
  return {
    ...ran,
    ...(documents === undefined ? {} : { documents }),
    ...(await builtEvidence(subject, quick, step)),
    ...(notRun === undefined ? {} : { notRun }),
  };
}

async function builtEvidence(
  { manifest, sources, notRun }: CheckSubject,
  quick: boolean,
  step: (what: string) => void,
): Promise<Partial<Evidence>> {
  const none = (reason: string): Partial<Evidence> => {
    const finding = { passed: false, evidence: `not run: ${reason}` };
    return { runtimeBuild: finding, compilerBuild: finding, changeTest: finding };
  };
  if (notRun !== undefined) return {};
  if (quick) return none('--quick');
  if (sources === undefined) return none('no sources here, this is an installed package');
  if (!existsSync(join(sources.root, 'node_modules')))
    return none(`no node_modules in ${sources.root}: install its dependencies first`);
  return builds(manifest, sources, step);
}

/** Paths must exist; addresses are only named. */
function documentsOf(names: readonly string[], { root }: Sources): Finding {
  const missing = names.filter((name) => !/^https?:/.test(name) && !existsSync(join(root, name)));
  return missing.length === 0
    ? { passed: true, evidence: 'all there' }
    : { passed: false, evidence: `missing: ${missing.join(', ')}` };
}
