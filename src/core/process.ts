// The client process: credentials, memory, descriptors. One may open many device files.
// Not a thread of execution: it says who calls.
import type { ClientMemory, UserMemory } from './accel-file.js';
import { FdTable } from './fd-table.js';
import { PlacedMemory } from './user-memory.js';

export interface ProcessOptions {
  readonly pid?: number;
  readonly uid?: number;
  /** CAP_SYS_ADMIN: counts as authenticated and may call root-only ioctls. Default false. */
  readonly admin?: boolean;
  readonly name?: string;
  /** Default: buffers of this process. */
  readonly user?: ClientMemory | (UserMemory & Partial<ClientMemory>);
}

let pids = 1000;

export class Process {
  readonly pid: number;
  readonly uid: number;
  readonly admin: boolean;
  readonly name: string;
  readonly user: ClientMemory;
  readonly fds = new FdTable();
  readonly #onKill = new Set<() => void>();
  #killed = false;

  constructor({ pid, uid = 1000, admin = false, name = 'client', user }: ProcessOptions = {}) {
    this.pid = pid ?? ++pids;
    this.uid = uid;
    this.admin = admin;
    this.name = name;
    this.user = (user as ClientMemory | undefined) ?? new PlacedMemory();
  }

  /** True once it was killed: its files do not wait for their jobs when they close. */
  get killed(): boolean {
    return this.#killed;
  }

  /** SIGKILL: every open device file closes without waiting, queued jobs end with ESRCH, descriptors are closed. */
  kill(): void {
    if (this.#killed) return;
    this.#killed = true;
    for (const run of [...this.#onKill]) run();
    this.fds.closeAll();
  }

  /** Runs `run` on kill until disposed. */
  onKill(run: () => void): Disposable {
    this.#onKill.add(run);
    return { [Symbol.dispose]: () => void this.#onKill.delete(run) };
  }
}
