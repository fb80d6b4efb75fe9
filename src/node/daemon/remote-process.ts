// A process elsewhere, to the core: its memory and descriptors are those of whoever makes the call that now runs.
// Not the call: call.ts. A file opened by one process may be used by its child; pointers are the child's then.
import type { UserMemory } from '../../core/accel-file.js';
import { FdTable, O_CLOEXEC, O_RDWR, Process, type OpenFile, type ProcessOptions } from '../../core/index.js';
import { currentCall } from './call.js';

const memory: UserMemory = {
  read: (pointer, bytes) => currentCall().read(pointer, bytes),
  write: (pointer, bytes) => currentCall().write(pointer, bytes),
};

/** Numbers of descriptors of the caller. */
class RemoteFds extends FdTable {
  override install(file: OpenFile, flags = O_CLOEXEC | O_RDWR): number {
    return currentCall().place(file, flags);
  }

  override async fetch(fds: Iterable<number>): Promise<void> {
    return currentCall().fetch(fds);
  }

  override get(fd: number): OpenFile {
    return currentCall().get(fd);
  }

  override has(fd: number): boolean {
    return currentCall().has(fd);
  }
}

export function remoteProcess(
  options: Pick<ProcessOptions, 'pid' | 'uid' | 'admin' | 'name' | 'jobs'>,
): Process {
  return new Process({ ...options, user: memory, fds: new RemoteFds() });
}
