// Reads `gna-vectors-1`: what a user-space library handed to the kernel driver, and the memory it must find afterwards.
// Plays them at the device's registers. The reader serves whoever plays them at the driver's ioctls too.
import { AccelError } from '../../base/errors.js';
import { PAGE_SIZE, pageAlign, type SystemMemory } from '../../base/memory.js';
import type { RegisterIo } from '../../base/registers.js';
import {
  CONFIG_LAYERS,
  ConfigDescriptor,
  LAYER_DESCRIPTOR_BYTES,
  PAGE_DIRECTORY_ENTRIES,
  PAGE_TABLE_ENTRIES,
  PDE_INVALID,
  regs,
  STS_ERRORS,
} from '../../hw/gna/index.js';

export interface GnaPatch {
  /** In the buffer. */
  readonly offset: number;
  readonly bytes: number;
  readonly value: number;
}

export interface GnaBuffer {
  readonly handle: number;
  readonly size: number;
  /** Where the driver maps it: page-rounded sizes back to back from 0. */
  readonly va: number;
  readonly patches: readonly GnaPatch[];
}

export interface GnaRegion {
  readonly va: number;
  readonly contents: Uint8Array;
}

export interface GnaCase {
  readonly name: string;
  readonly kind: string;
  /** DEVICE_TYPE of the uAPI: 0x30 for 3.0. */
  readonly deviceType: number;
  readonly layerBase: number;
  readonly layerCount: number;
  /** 0 GMM, 1 xNN. */
  readonly mode: number;
  readonly activeList: boolean;
  readonly statistics: number;
  readonly flags: number;
  readonly buffers: readonly GnaBuffer[];
  /** Before patches; what is in no region is zero. */
  readonly memory: readonly GnaRegion[];
  readonly expect: {
    readonly saturated: boolean;
    readonly outputs: readonly (GnaRegion & { role: string })[];
  };
}

interface Stored {
  readonly va: number;
  readonly file_offset: number;
  readonly length: number;
}

interface GnaFile {
  readonly format: string;
  readonly device_type: number;
  readonly cases: readonly {
    readonly name: string;
    readonly kind: string;
    readonly submits: readonly {
      readonly layer_base: number;
      readonly layer_count: number;
      readonly active_list_on: number;
      readonly gna_mode: number;
      readonly hw_perf_encoding: number;
      readonly flags: number;
      readonly buffers: readonly {
        readonly handle: number;
        readonly size: number;
        readonly va: number;
        readonly patches: readonly (readonly [number, number, number])[];
      }[];
    }[];
    readonly memory: readonly Stored[];
    readonly expect: {
      readonly saturated: boolean;
      readonly outputs: readonly (Stored & { readonly role: string })[];
    };
  }[];
}

/**
 * @param json the parsed file
 * @param blob the bytes of the file it names
 * @throws AccelError EINVAL another format, or a range outside the blob
 */
export function parseGna(json: unknown, blob: Uint8Array): GnaCase[] {
  const file = json as GnaFile;
  if (file.format !== 'gna-vectors-1') {
    throw new AccelError('EINVAL', { field: 'format', reason: `${file.format}, not gna-vectors-1` });
  }
  const region = ({ va, file_offset: at, length }: Stored): GnaRegion => {
    if (at + length > blob.length) {
      throw new AccelError('EINVAL', { field: 'file_offset', reason: `${at}+${length} of ${blob.length}` });
    }
    return { va, contents: blob.subarray(at, at + length) };
  };
  return file.cases.map(({ name, kind, submits, memory, expect }): GnaCase => {
    const submit = submits[0];
    if (submit === undefined || submits.length !== 1) {
      throw new AccelError('EINVAL', { field: name, reason: `${submits.length} submits, not one` });
    }
    return {
      name,
      kind,
      deviceType: file.device_type,
      layerBase: submit.layer_base,
      layerCount: submit.layer_count,
      mode: submit.gna_mode,
      activeList: submit.active_list_on !== 0,
      statistics: submit.hw_perf_encoding,
      flags: submit.flags,
      buffers: submit.buffers.map(({ handle, size, va, patches }) => ({
        handle,
        size,
        va,
        patches: patches.map(([offset, bytes, value]) => ({ offset, bytes, value })),
      })),
      memory: memory.map(region),
      expect: {
        saturated: expect.saturated,
        outputs: expect.outputs.map((output) => ({ role: output.role, ...region(output) })),
      },
    };
  });
}

/** Copies what the regions hold of [va, va + target.length) to `target`; the rest of it stays. */
export function fillFrom(regions: readonly GnaRegion[], va: number, target: Uint8Array): void {
  for (const { va: start, contents } of regions) {
    const from = Math.max(va, start);
    const end = Math.min(va + target.length, start + contents.length);
    if (from < end) target.set(contents.subarray(from - start, end - start), from - va);
  }
}

/** Applies a buffer's patches, little-endian, as the driver does before a run. */
export function applyPatches(patches: readonly GnaPatch[], buffer: Uint8Array): void {
  for (const { offset, bytes, value } of patches) {
    let rest = value;
    for (let i = 0; i < bytes; i++) {
      buffer[offset + i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
  }
}

export interface GnaDifference {
  readonly role: string;
  /** Byte in the output. */
  readonly at: number;
  readonly actual: number;
  readonly wanted: number;
}

/** First differing byte of each output that differs. `read` gives the bytes behind a device address. */
export function compareOutputs(
  { expect }: GnaCase,
  read: (va: number, bytes: number) => Uint8Array,
): GnaDifference[] {
  const differences: GnaDifference[] = [];
  for (const { role, va, contents } of expect.outputs) {
    const actual = read(va, contents.length);
    const at = contents.findIndex((byte, index) => byte !== actual[index]);
    if (at >= 0) differences.push({ role, at, actual: actual[at]!, wanted: contents[at]! });
  }
  return differences;
}

/** The device and its memory, as the player needs them. */
export interface GnaTarget {
  readonly registers: RegisterIo;
  readonly memory: SystemMemory;
  /** Lets the device reach a range of DRAM at its physical address until disposed. */
  map(address: number, bytes: number): Disposable;
  /** Resolves at the next interrupt, or rejects when none comes. */
  interrupt(): Promise<void>;
}

export interface GnaResult {
  /** STS at the interrupt. */
  readonly status: number;
  readonly saturated: boolean;
  readonly differences: readonly GnaDifference[];
}

/** A result is right when no error bit is set, nothing differs and the saturation flag is the expected one. */
export function isRight({ expect }: GnaCase, { status, saturated, differences }: GnaResult): boolean {
  return (
    regs.STS.f.SCORE_COMPLETED.get(status) === 1 &&
    (status & STS_ERRORS) === 0 &&
    saturated === expect.saturated &&
    differences.length === 0
  );
}

/**
 * Plays a case at the registers as a driver would: buffers, page tables, configuration descriptor, start, interrupt, abort.
 * @param scattered lays the pages of the buffers in DRAM in reverse order
 */
export async function playGna(
  vector: GnaCase,
  target: GnaTarget,
  options: { readonly scattered?: boolean } = {},
): Promise<GnaResult> {
  const { memory, registers } = target;
  const bytes = vector.buffers.reduce((sum, { size }) => sum + pageAlign(size), 0);
  const pages = bytes / PAGE_SIZE;
  const tables = Math.ceil(pages / PAGE_TABLE_ENTRIES);
  const image = memory.allocate(bytes);
  const control = memory.allocate((1 + tables) * PAGE_SIZE);
  const pageAt = (page: number): number => image + (options.scattered ? pages - 1 - page : page) * PAGE_SIZE;
  const whole = new Uint8Array(bytes);
  fillFrom(vector.memory, 0, whole);
  for (const { va, size, patches } of vector.buffers) applyPatches(patches, whole.subarray(va, va + size));
  for (let page = 0; page < pages; page++) {
    memory.bytes.set(whole.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE), pageAt(page));
    memory.words[(control + PAGE_SIZE) / 4 + page] = pageAt(page) / PAGE_SIZE;
  }
  const directory = Array.from({ length: PAGE_DIRECTORY_ENTRIES }, (_, i) =>
    i < tables ? control / PAGE_SIZE + 1 + i : PDE_INVALID,
  );
  const { layerBase, layerCount } = vector;
  const layers = vector.mode === 1 ? { labase: layerBase, lacnt: layerCount } : {};
  const config = { ...layers, vamaxaddr: bytes - 1, page_directory: directory };
  ConfigDescriptor.put(memory.bytes, config, control);
  if (vector.mode === 0) {
    memory.bytes.set(whole.subarray(layerBase, layerBase + LAYER_DESCRIPTOR_BYTES), control + CONFIG_LAYERS);
  }
  const maps = [target.map(image, bytes), target.map(control, (1 + tables) * PAGE_SIZE)];
  try {
    const status = await run(vector, target, control);
    for (let page = 0; page < pages; page++) {
      whole.set(memory.bytes.subarray(pageAt(page), pageAt(page) + PAGE_SIZE), page * PAGE_SIZE);
    }
    const saturated = regs.STS.f.SATURATE.get(status) === 1;
    const differences = compareOutputs(vector, (va, length) => whole.subarray(va, va + length));
    return { status, saturated, differences };
  } finally {
    for (const map of maps) map[Symbol.dispose]();
    registers.write32(regs.DESBASE.at, 0);
    memory.free(image);
    memory.free(control);
  }
}

async function run(vector: GnaCase, { registers, interrupt }: GnaTarget, control: number): Promise<number> {
  regs.DESBASE.write(registers, { PAGE: control / PAGE_SIZE });
  const done = interrupt();
  regs.CTRL.write(registers, {
    START: 1,
    ACTIVE_LIST: vector.activeList ? 1 : 0,
    MODE: vector.mode,
    STATISTICS: vector.statistics,
    COMPLETION_INTERRUPT: 1,
    ERROR_INTERRUPT: 1,
  });
  await done;
  const status = registers.read32(regs.STS.at);
  regs.STS.write(registers, { SATURATE: regs.STS.f.SATURATE.get(status) });
  regs.CTRL.write(registers, { ABORT: 1 });
  return status;
}
