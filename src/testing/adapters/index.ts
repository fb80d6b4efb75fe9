// The adapters of the drivers in this package, by board.
// Not for outside drivers: those hand their own to driverSuite.
import { AccelError } from '../../base/errors.js';
import { boardByName } from '../../machine/index.js';
import type { DriverAdapter } from '../adapter.js';
import type { SuiteOptions } from '../suite.js';
import { gnaAdapter } from './gna.js';
import { nullAdapter } from './null.js';
import { nvdlaAdapter } from './nvdla.js';

export * from './gna.js';
export * from './null.js';
export * from './nvdla.js';
export * from './nvdla-job.js';

export interface BoardAdapter {
  readonly adapter: DriverAdapter;
  readonly lacks: NonNullable<SuiteOptions['lacks']>;
}

/** By board or device name. @throws AccelError ENODEV for a board without an adapter */
export function adapterFor(name: string): BoardAdapter {
  const board = boardByName(name)?.name ?? name;
  if (board === 'null') return { adapter: nullAdapter, lacks: {} };
  if (board.startsWith('nvdla:')) {
    const why = 'the kernel driver’s SUBMIT returns when the task is done: its uAPI has no fences';
    return {
      adapter: nvdlaAdapter(board.slice('nvdla:'.length)),
      lacks: { syncobj: why, timeline: why, 'job fences': why },
    };
  }
  if (board.startsWith('gna:')) {
    const why = 'the kernel driver’s WAIT takes request ids: its uAPI has no fences';
    return {
      adapter: gnaAdapter(board.slice('gna:'.length)),
      lacks: { syncobj: why, timeline: why, 'job fences': why },
    };
  }
  throw new AccelError('ENODEV', { field: 'board', reason: `no conformance adapter for ${board}` });
}
