// The conformance suite on the adder, engines inline and in threads.
// Not its own tests: put what is particular to your device beside this file.
import { describe, it } from 'node:test';
import { suiteSystem } from 'accel/node';
import { driverSuite } from 'accel/testing';
import { adapter, boards, driver, lacks } from '../src/index.js';

driverSuite(
  {
    name: 'adder',
    adapter,
    lacks,
    system: (engines) => suiteSystem({ board: boards[0]!, drivers: [driver], engines }),
  },
  { describe, it },
);
