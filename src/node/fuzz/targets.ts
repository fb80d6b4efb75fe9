// What a plausible submit of each driver points to, so that some of it reaches the hardware.
// Not valid jobs: those come from the conformance adapters.
import * as nullAbi from '../../abi/null.js';
import * as nvdlaAbi from '../../abi/nvdla.js';
import type { Ioctl } from '../../abi/ioctl.js';
import { ARENA, type FuzzClient } from './client.js';
import type { Random } from './random.js';

export interface FuzzTarget {
  /** Calls of the driver that may block: they are interrupted now and then. */
  readonly blocking: ReadonlySet<number>;
  /** Fills memory that `argument` points to, and corrects the pointer. */
  prepare(def: Ioctl, argument: Uint8Array, client: FuzzClient, random: Random): void;
}

/** Any words of the client's: handles, points, counts. */
export function scribble(client: FuzzClient, random: Random, at: number, words: number): void {
  for (let i = 0; i < words && at + 4 * i + 4 <= ARENA; i++) {
    const value = random.once(2) ? client.handle(random) : client.syncobj(random);
    client.view.setUint32(at + 4 * i, value, true);
  }
}

function point(argument: Uint8Array, at: number, address: number): void {
  new DataView(argument.buffer, argument.byteOffset).setBigUint64(at, BigInt(address), true);
}

const Command = nullAbi.NullCommand.offsets;
const Submit = nullAbi.NullSubmit.offsets;

const nullTarget: FuzzTarget = {
  blocking: new Set([nullAbi.DRM_IOCTL_NULL_WAIT.nr]),
  prepare(def, argument, client, random) {
    if (def !== (nullAbi.DRM_IOCTL_NULL_SUBMIT as Ioctl) || random.once(16)) return;
    const { view, pointer } = client;
    const count = 1 + random.below(4);
    const start = 8 * random.below(64);
    for (let i = 0; i < count; i++) {
      const at = start + i * nullAbi.NullCommand.size;
      // WAIT would mostly wait for its job's limit: it comes rarely.
      const op = random.once(64) ? nullAbi.NULL_OP_WAIT : random.pick([0, 1, 1, 2, 2, 4, random.word()])!;
      view.setUint32(at + Command.op, op, true);
      view.setUint32(at + Command.value, random.once(4) ? random.word() : 0, true);
      view.setUint32(at + Command.src_handle, client.handle(random), true);
      view.setUint32(at + Command.dst_handle, client.handle(random), true);
      for (const field of [Command.src_offset, Command.dst_offset, Command.bytes]) {
        view.setUint32(at + field, random.once(16) ? random.word() : 4 * random.below(512), true);
        view.setUint32(at + field + 4, random.once(64) ? random.word() : 0, true);
      }
    }
    const words = new DataView(argument.buffer);
    point(argument, Submit.commands, pointer + start);
    words.setUint32(Submit.command_count, random.once(32) ? random.word() : count, true);
  },
};

const Task = nvdlaAbi.NvdlaTask.offsets;
const Memory = nvdlaAbi.NvdlaMemHandle.offsets;

const nvdlaTarget: FuzzTarget = {
  blocking: new Set([nvdlaAbi.DRM_IOCTL_NVDLA_SUBMIT.nr]),
  prepare(def, argument, client, random) {
    if (def !== (nvdlaAbi.DRM_IOCTL_NVDLA_SUBMIT as Ioctl) || random.once(16)) return;
    const { view, pointer } = client;
    const count = 1 + random.below(8);
    const list = 64 + 8 * random.below(32);
    for (let i = 0; i < count; i++) {
      const at = list + i * nvdlaAbi.NvdlaMemHandle.size;
      view.setUint32(at + Memory.handle, client.fd(random), true);
      view.setUint32(at + Memory.offset, random.once(8) ? random.word() : 64 * random.below(64), true);
      view.setUint32(at + Memory.offset + 4, random.once(32) ? random.word() : 0, true);
    }
    view.setUint32(Task.num_addresses, random.once(16) ? random.word() : count, true);
    view.setUint32(Task.timeout, 1 + random.below(20), true);
    view.setBigUint64(Task.address_list, BigInt(pointer + list), true);
    point(argument, nvdlaAbi.NvdlaSubmitArgs.offsets.tasks, pointer);
    new DataView(argument.buffer).setUint16(nvdlaAbi.NvdlaSubmitArgs.offsets.num_tasks, 1, true);
  },
};

const targets: Readonly<Record<string, FuzzTarget>> = { null: nullTarget, nvdla: nvdlaTarget };

/** For a driver without a target every struct is only plausible by its fields. */
export function targetFor(driver: string): FuzzTarget {
  return targets[driver] ?? { blocking: new Set(), prepare: () => undefined };
}
