// The rules: what belongs in this framework and what a driver must bring. Each with its check, verdict and citation.
// Not the decision: verdict.ts weighs them.
import type { Manifest } from '../core/manifest.js';
import type { Evidence, Finding } from './evidence.js';

/** Where a driver that breaks a rule belongs. */
export type Destination = 'gpu' | 'media' | 'refuse' | 'staging';

export interface Rule {
  /** As in docs/rules.md: P1, U3 ... */
  readonly id: string;
  readonly question: string;
  readonly failing: Destination;
  /** Where the demand comes from. */
  readonly citation: string;
  check(subject: Subject): Finding;
}

export interface Subject {
  readonly manifest: Manifest;
  readonly evidence: Evidence;
  /** The date of the check, ISO. */
  readonly today: string;
}

const debate = 'kernel-list debate "New subsystem for acceleration devices", August 2022';
const uapi = 'Linux Documentation/gpu/drm-uapi.rst, open-source user-space requirements';
const accelDoc = 'Linux Documentation/accel/introduction.rst';

const holds = (passed: boolean, evidence: string): Finding => ({ passed, evidence });

/** A rule whose answer is a thing that was run; not run counts as not shown. */
function shown(evidence: Evidence, key: Exclude<keyof Evidence, 'notRun'>, what: string): Finding {
  const why = evidence.notRun === undefined ? '' : `: ${evidence.notRun}`;
  return evidence[key] ?? holds(false, `${what}: not run${why}`);
}

function open({ manifest, evidence }: Subject, what: 'runtime' | 'compiler'): Finding {
  const source = manifest[what];
  if (source === undefined) return holds(false, `no ${what} is named`);
  const built = shown(evidence, `${what}Build`, 'its build');
  return { ...built, evidence: `${source.source}, ${source.licence}; ${built.evidence}` };
}

export const rules: readonly Rule[] = [
  {
    id: 'P1',
    question: 'No display, no mode setting, no graphics API',
    failing: 'gpu',
    citation: `${debate}: O. Gabbay's rule of thumb, 2022-08-07; ${accelDoc}`,
    check: ({ manifest: { display, render, nodes } }) => {
      const wrong = [
        display && 'display',
        render && 'graphics API',
        nodes.includes('card') && 'card node',
      ].filter(Boolean);
      return holds(
        wrong.length === 0,
        wrong.length === 0 ? 'manifest: neither display nor render' : `has ${wrong.join(', ')}`,
      );
    },
  },
  {
    id: 'P2',
    question: 'Not a codec or camera stage whose whole interface is frame in, frame out',
    failing: 'media',
    citation: `${debate}: D. Airlie on single-user one-shot devices, 2022-08-03`,
    check: ({ manifest: { kind, commands } }) =>
      holds(
        kind !== 'codec' && kind !== 'camera' && commands !== 'frames',
        `kind ${kind}, work arrives as ${commands}`,
      ),
  },
  {
    id: 'P3',
    question: 'Takes commands with buffers and returns completions',
    failing: 'refuse',
    citation: `${debate}: D. Airlie, "commands to firmware or queues"; O. Johansson 2019-01-25`,
    check: ({ manifest: { commands, completions } }) =>
      holds(
        commands !== 'none' && completions,
        `commands: ${commands}; completions: ${completions ? 'yes' : 'no'}`,
      ),
  },
  {
    id: 'P4',
    question: 'Not a compute-only front for a GPU that has a driver elsewhere',
    failing: 'gpu',
    citation: `${debate}: D. Airlie's question; October 2022: a second driver on the auxiliary bus`,
    check: ({ manifest: { partOf, kind } }) =>
      holds(
        partOf === undefined && kind !== 'gpu',
        partOf === undefined ? 'stands alone' : `part of what ${partOf} drives`,
      ),
  },
  {
    id: 'N1',
    question: 'Only /dev/accel/accelN nodes',
    failing: 'refuse',
    citation: `${accelDoc}: own major, feature excludes render and modeset`,
    check: ({ manifest: { nodes } }) =>
      holds(
        nodes.every((node) => node === 'accel') && nodes.length > 0,
        `nodes: ${nodes.join(', ') || 'none'}`,
      ),
  },
  {
    id: 'N2',
    question: 'Uses the core for files, buffers, fences, events, scheduling',
    failing: 'staging',
    citation: `${debate}: T. Ursulin on shared code, 2022-08-04; A. Bergmann, 2022-08-09`,
    check: ({ manifest: { own } }) =>
      holds(own.length === 0, own.length === 0 ? 'nothing of its own' : `has its own ${own.join(', ')}`),
  },
  {
    id: 'N3',
    question: 'One open file is one isolated context; more opens than contexts fail',
    failing: 'staging',
    citation: `${debate}: J. Gunthorpe, 2022-08-08; G. Kroah-Hartman, 2022-08-09`,
    check: ({ manifest: { contexts }, evidence }) => {
      const suite = shown(evidence, 'conformance', 'conformance suite');
      return { passed: suite.passed, evidence: `contexts: ${contexts}; ${suite.evidence}` };
    },
  },
  {
    id: 'N4',
    question: 'Memory of one file cannot be reached from another',
    failing: 'refuse',
    citation: `${debate}: J. Gunthorpe, one open file = one isolated context`,
    check: ({ evidence }) => shown(evidence, 'isolation', 'isolation group of the conformance suite'),
  },
  {
    id: 'U1',
    question: 'Open runtime with a known licence that builds from source',
    failing: 'staging',
    citation: `${uapi}, points 1 and 2`,
    check: (subject) => open(subject, 'runtime'),
  },
  {
    id: 'U2',
    question: 'Open compiler, from model to device program, built from source',
    failing: 'staging',
    citation: `D. Vetter, 2021-07-06: the compiler holds all that matters; J. Hugo, 2023-05-17 on the APU`,
    check: (subject) => open(subject, 'compiler'),
  },
  {
    id: 'U3',
    question: 'Change test: a harmless edit of the compiler builds and passes the goldens, a wrong one fails',
    failing: 'staging',
    citation: `O. Johansson, 2019-01-25: somebody who changes the driver can exercise it; ${uapi}`,
    check: ({ evidence }) => shown(evidence, 'changeTest', 'change test'),
  },
  {
    id: 'U4',
    question: 'Every ioctl is used by that user space or its tests',
    failing: 'staging',
    citation: `maintainers summit topic, September 2021; ${uapi}, point 2`,
    check: ({ evidence }) => shown(evidence, 'uapiCoverage', 'uAPI coverage'),
  },
  {
    id: 'U5',
    question: 'User space is the canonical one, and handles errors',
    failing: 'staging',
    citation: `${uapi}, points 2 and 4`,
    check: ({ manifest, evidence }) => {
      const run = shown(evidence, 'faults', 'fault injection');
      const canonical = manifest.canonicalRuntime === true;
      return {
        passed: run.passed && canonical,
        evidence: `${canonical ? 'canonical runtime' : 'not declared canonical'}; ${run.evidence}`,
      };
    },
  },
  {
    id: 'U6',
    question: 'Firmware in source, or a redistributable binary with a version check',
    failing: 'staging',
    citation: 'practice of ivpu, qaic, habanalabs, amdxdna',
    check: ({ manifest: { firmware }, evidence }) => {
      if (firmware.kind === 'none') return holds(true, 'no firmware');
      if (firmware.kind === 'source') return holds(true, `source: ${firmware.source}, ${firmware.licence}`);
      const named = `${firmware.file}, ${firmware.licence}, versions ${firmware.versions.join(', ') || 'none named'}`;
      const check = shown(evidence, 'firmware', 'refusal of an unknown version');
      const passed = firmware.redistributable && firmware.versions.length > 0 && check.passed;
      return { passed, evidence: `${named}; ${check.evidence}` };
    },
  },
  {
    id: 'A1',
    question: 'uAPI hygiene: pads checked, unknown flags EINVAL, sizes extensible',
    failing: 'staging',
    citation: 'Linux Documentation/process/botching-up-ioctls.rst',
    check: ({ evidence }) => shown(evidence, 'hygiene', 'dispatch sweep of the conformance suite'),
  },
  {
    id: 'A2',
    question: 'Generic and own tests pass; device and uAPI are documented',
    failing: 'staging',
    citation: `${uapi}, point 3; J. Hugo, 2023-05-17: please document`,
    check: ({ manifest: { documentation }, evidence }) => {
      const suite = shown(evidence, 'conformance', 'conformance suite');
      const named = documentation.length > 0 ? `documents: ${documentation.join(', ')}` : 'no documents';
      const found = evidence.documents;
      return {
        passed: suite.passed && documentation.length > 0 && found?.passed !== false,
        evidence: [named, found?.evidence, suite.evidence].filter(Boolean).join('; '),
      };
    },
  },
  {
    id: 'R1',
    question: 'Timeout and reset leave other clients alive; fences carry errors',
    failing: 'staging',
    citation: `${debate}: what DRM's scheduler offers, D. Airlie, 2022-08-04`,
    check: ({ evidence }) => shown(evidence, 'timeouts', 'timeout and reset group of the conformance suite'),
  },
  {
    id: 'R2',
    question: 'Usage and health through the common interface',
    failing: 'staging',
    citation:
      'Linux Plumbers BoF, September 2022: RAS should be common; Documentation/gpu/drm-usage-stats.rst',
    check: ({ evidence }) => shown(evidence, 'health', 'fdinfo and health counters'),
  },
  {
    id: 'S1',
    question: 'Staging is not for ever: owner, date and failing rules are named, and the date is ahead',
    failing: 'refuse',
    citation: `${debate}: D. Airlie's offer of a staging area; the date is our rule`,
    check: ({ manifest: { staging }, today }) => {
      if (staging === undefined) return holds(true, 'not in staging');
      const named = `owner ${staging.owner}, since ${staging.since}, until ${staging.until}`;
      return holds(
        staging.owner !== '' && staging.until >= today,
        today > staging.until ? `${named}: past its date` : named,
      );
    },
  },
];
