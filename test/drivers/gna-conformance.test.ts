// The conformance suite on the GNA driver, engines inline and in threads: one generation of each descriptor format.
// Not its own tests: calls, errors and vectors are beside.
import { describe, it } from 'node:test';
import { suiteSystem } from '../../src/node/suite-system.js';
import { adapterFor, driverSuite } from '../../src/testing/index.js';

for (const board of ['gna:2.0', 'gna:3.0'] as const) {
  driverSuite(
    { name: board, ...adapterFor(board), system: (engines) => suiteSystem({ board, engines }) },
    { describe, it },
  );
}
