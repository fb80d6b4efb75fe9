// What running things has shown about a driver: results of suites and checks that rules ask for.
// Not the runners: node/ runs them and hands the results in.

/** The outcome of one thing that was run. */
export interface Finding {
  readonly passed: boolean;
  /** What was run and what came out, for people: file, test, figure. */
  readonly evidence: string;
}

/** What could be run. An absent member was not run, and the rule that needs it says so. */
export interface Evidence {
  /** The conformance suite as a whole, and the groups that rules name. */
  readonly conformance?: Finding;
  readonly isolation?: Finding;
  readonly timeouts?: Finding;
  readonly faults?: Finding;
  readonly health?: Finding;
  readonly hygiene?: Finding;
  /** Which share of the driver's calls the tests use. */
  readonly uapiCoverage?: Finding;
  /** The edit of a tiling constant that must pass, and the wrong edit that must fail. */
  readonly changeTest?: Finding;
  /** Compiler built from source in this tree. */
  readonly compilerBuild?: Finding;
  readonly runtimeBuild?: Finding;
  readonly firmware?: Finding;
  /** Whether the documents that the manifest names exist. */
  readonly documents?: Finding;
  /** Why what is absent here was not run. */
  readonly notRun?: string;
}
