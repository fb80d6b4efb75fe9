// What a plausible submit of each driver points to, so that some of it reaches the hardware.
// Not valid jobs: those come from the conformance adapters.
import * as gnaAbi from '../../abi/gna.js';
import * as nullAbi from '../../abi/null.js';
import * as nvdlaAbi from '../../abi/nvdla.js';
import type { Ioctl } from '../../abi/ioctl.js';
import { LAYER_DESCRIPTOR_BYTES, LayerDescriptor, LayerOp } from '../../hw/gna/index.js';
import { ARENA, FuzzState } from './state.js';
import type { Random } from './random.js';

export interface FuzzTarget {
  /** Calls of the driver that may block: they are interrupted now and then. */
  readonly blocking: ReadonlySet<number>;
  /** Fills memory that `argument` points to, and corrects the pointer. */
  prepare(def: Ioctl, argument: Uint8Array, client: FuzzState, random: Random): void;
  /** Remembers what a call that succeeded gave out. */
  harvest?(def: Ioctl, argument: Uint8Array, client: FuzzState): void;
}

/** Any words of the client's: handles, points, counts. */
export function scribble(client: FuzzState, random: Random, at: number, words: number): void {
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

const Compute = gnaAbi.GnaComputeCfg.offsets;
const WaitIn = gnaAbi.GnaWaitIn.offsets;
const GnaBuffer = gnaAbi.GnaBuffer.offsets;
const Patch = gnaAbi.GnaMemoryPatch.offsets;
const layerOps = Object.values(LayerOp);
/** Ids of requests by client. */
const requests = new WeakMap<FuzzState, number[]>();

/** A layer over the first pages, mostly: small shapes, addresses on a grid of 16 bytes. */
function layer(random: Random): Uint8Array {
  const va = (): number => (random.once(32) ? random.word() >>> 0 : 16 * random.below(1024));
  const few = (): number => (random.once(32) ? random.word() & 0xffff : 8 * random.below(12));
  return LayerDescriptor.bytes({
    op: random.once(32) ? random.below(256) : random.pick(layerOps)!,
    flags: random.pick([0, 0, 1, 4, 0x0a, 0x1a, 0x2a, 0x15, random.below(256)])!,
    inputs: few(),
    outputs: few(),
    groups: random.below(9),
    iterations: 1,
    elements_last: few(),
    fb_iterations: random.below(2),
    bias_flags: random.pick([0, 3, 3, random.below(256)])!,
    fb_elements_first: few(),
    fb_elements_last: few(),
    pwl_segments: random.below(10),
    list_length: few(),
    vector_index: random.below(4),
    input: va(),
    output: va(),
    sum: va(),
    feedback: va(),
    weights: va(),
    bias: va(),
    active_list: va(),
    pwl: va(),
  });
}

const gnaTarget: FuzzTarget = {
  blocking: new Set([gnaAbi.DRM_IOCTL_GNA_WAIT.nr]),
  prepare(def, argument, client, random) {
    const words = new DataView(argument.buffer);
    if (def === (gnaAbi.DRM_IOCTL_GNA_WAIT as Ioctl)) {
      if (random.once(8)) return;
      const id = random.pick(requests.get(client) ?? []) ?? random.below(100);
      words.setBigUint64(WaitIn.request_id, BigInt(id), true);
      words.setUint32(WaitIn.timeout, random.pick([0, 1, 10, 100_000])!, true);
    }
    if (def !== (gnaAbi.DRM_IOCTL_GNA_COMPUTE as Ioctl) || random.once(16)) return;
    const { view, pointer } = client;
    const patches = 1024 + 8 * random.below(64);
    const bytes = new DataView(layer(random).buffer);
    const count = LAYER_DESCRIPTOR_BYTES / 8;
    for (let i = 0; i < count; i++) {
      const at = patches + i * gnaAbi.GnaMemoryPatch.size;
      view.setBigUint64(at + Patch.offset, BigInt(random.once(512) ? random.word() >>> 0 : 8 * i), true);
      view.setBigUint64(at + Patch.size, BigInt(random.once(512) ? random.below(10) : 8), true);
      view.setBigUint64(at + Patch.value, bytes.getBigUint64(8 * i, true), true);
    }
    const buffers = 1 + random.below(3);
    for (let i = 0; i < buffers; i++) {
      const at = i * gnaAbi.GnaBuffer.size;
      const known = random.once(16) ? undefined : random.pick(client.buffers);
      view.setUint32(at + GnaBuffer.handle, known?.handle ?? client.handle(random), true);
      view.setBigUint64(at + GnaBuffer.offset, BigInt(random.once(32) ? random.word() >>> 0 : 0), true);
      view.setBigUint64(at + GnaBuffer.size, BigInt(known?.size ?? 4096), true);
      const patched = i === 0 && !random.once(16);
      view.setBigUint64(at + GnaBuffer.patch_count, BigInt(patched ? count : 0), true);
      view.setBigUint64(at + GnaBuffer.patches_ptr, BigInt(pointer + patches), true);
    }
    point(argument, Compute.buffers_ptr, pointer);
    words.setBigUint64(Compute.buffer_count, BigInt(random.once(32) ? random.word() >>> 0 : buffers), true);
    words.setUint32(Compute.layer_base, random.once(8) ? 16 * random.below(256) : 0, true);
    words.setUint32(Compute.layer_count, random.once(16) ? random.word() & 0x1fff : 1, true);
    words.setUint8(Compute.gna_mode, random.once(16) ? random.below(3) : gnaAbi.GNA_MODE_XNN);
    words.setUint8(Compute.flags, random.once(4) ? gnaAbi.GNA_FLAG_SCORE_QOS : 0);
  },
  harvest(def, argument, client) {
    if (def !== (gnaAbi.DRM_IOCTL_GNA_COMPUTE as Ioctl)) return;
    let ids = requests.get(client);
    if (ids === undefined) requests.set(client, (ids = []));
    FuzzState.keep(ids, Number(new DataView(argument.buffer).getBigUint64(0, true)));
  },
};

const targets: Readonly<Record<string, FuzzTarget>> = {
  null: nullTarget,
  nvdla: nvdlaTarget,
  gna: gnaTarget,
};

/** For a driver without a target every struct is only plausible by its fields. */
export function targetFor(driver: string): FuzzTarget {
  return targets[driver] ?? { blocking: new Set(), prepare: () => undefined };
}
