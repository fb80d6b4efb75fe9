// What the driver keeps per open file: its queue and its requests that nobody has waited for yet.
// Not its handles: those are the core's.
import type { AccelDevice, ClientFile, Entity, GemObject } from '../../core/index.js';
import type { GnaHw } from './device.js';
import type { Request } from './request.js';

export type GnaFile = ClientFile<GnaHw, GnaClient>;

export class GnaClient {
  readonly entity: Entity<Request>;
  /** By id. */
  readonly requests = new Map<number, Request>();
  readonly #hw: GnaHw;

  constructor(device: AccelDevice<GnaHw>, file: GnaFile) {
    this.#hw = device.hw;
    this.entity = device.hw.scheduler.entity({ file });
  }

  /** Ends this file's requests that use `gem`; only this file's, whatever handles others have. */
  cancelUsersOf(gem: GemObject): void {
    for (const request of [...this.requests.values()]) if (request.gems.includes(gem)) this.#cancel(request);
  }

  /** The file is gone: all of its requests end, the one on the hardware too. */
  close(): void {
    for (const request of [...this.requests.values()]) this.#cancel(request);
  }

  #cancel(request: Request): void {
    this.requests.delete(request.id);
    this.#hw.cancel(request);
  }
}
