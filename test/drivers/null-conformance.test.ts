// The conformance suite on the null driver, engines inline and in threads.
// Not its own tests: what is particular to it is beside.
import { describe, it } from 'node:test';
import { suiteSystem } from '../../src/node/suite-system.js';
import { adapterFor, driverSuite } from '../../src/testing/index.js';

driverSuite(
  { name: 'null', ...adapterFor('null'), system: (engines) => suiteSystem({ board: 'null', engines }) },
  { describe, it },
);
