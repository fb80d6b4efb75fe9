// The conformance suite on the NVDLA driver, engines inline and in threads: one small and one large configuration.
// Not its own tests: layers and descriptors are beside.
import { describe, it } from 'node:test';
import { suiteSystem } from '../../src/node/suite-system.js';
import { adapterFor, driverSuite } from '../../src/testing/index.js';

for (const board of ['nvdla:nv_small', 'nvdla:nv_large'] as const) {
  driverSuite(
    { name: board, ...adapterFor(board), system: (engines) => suiteSystem({ board, engines }) },
    { describe, it },
  );
}
