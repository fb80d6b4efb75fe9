// What tools for driver authors say before they load a driver in staging: they need no --staging, but do not hide it.
// Not the rule: policy/ admits drivers.
import { boardByName, driverOf } from '../../machine/index.js';
import type { CommandIo } from './io.js';

/** One line on standard error when the driver of this board is in staging. */
export function noteStaging(board: string, io: CommandIo): void {
  for (const device of boardByName(board)?.devices ?? []) {
    const staging = driverOf(device)?.manifest.staging;
    if (staging === undefined) continue;
    io.err(
      `${board}: its driver is in staging until ${staging.until}, open rules ${staging.failing.join(', ')}\n`,
    );
  }
}
