// The core's side of an open file: client id, handle tables, events.
// Not the client's side: that is accel-file.ts.
import type { AccelDevice } from './device.js';

export interface ClientFile<Hw, Own> {
  readonly device: AccelDevice<Hw>;
  readonly own: Own;
}
