// A loadable: what NVDLA's compilers hand to its runtimes. The schema's tables as plain objects, and its numbers.
// Source: fact sheet section 7 (loadable.fbs 0.7.0). Not the file (read.ts, write.ts) and not a run of it (runtime/loadable).

/** The schema that we read and write; every file known has it. */
export const LOADABLE_VERSION = { major: 0, minor: 7, sub_minor: 0 } as const;

/** Of files that the vendor's own writer made, at byte 4. Those of its regression tests have none. */
export const FILE_IDENTIFIER = 'NVDA';

export const Interface = { NONE: 0, DLA1: 1, EMU1: 2 } as const;

/** sub_interface of a blob or relocation. EMU1 has ADDR0, OPS and SURFS. */
export const SubInterface = { NONE: 0, ADDR0: 1, DEPS: 2, OPS: 3, SURFS: 4, LUTS: 5 } as const;

export const MemoryDomain = { SYSTEM: 0, SRAM: 1 } as const;

export const MemoryFlags = { ALLOC: 1, SET: 2, INPUT: 4, OUTPUT: 8 } as const;

export const EventOp = { WAIT: 0, SIGNAL: 1 } as const;

/** Which stride a relocation writes. */
export const RelocType = { LINE: 1, SURF: 2 } as const;

export const TensorDataFormat = { UNKNOWN: 0, NCHW: 1, NHWC: 2 } as const;
export const TensorDataType = { UNKNOWN: 0, FLOAT: 1, HALF: 2, INT16: 3, INT8: 4 } as const;
export const TensorCategory = { IMAGE: 0, WEIGHT: 1, FEATURE: 2, PLANAR: 3, BIAS: 4 } as const;

/** pixel_format of a tensor. 0 to 35 are the hardware's (fact sheet section 3.5); a feature cube has atoms of 32 or of 8 bytes. */
export const PixelFormat = { R8: 0, A16B16G16R16_F: 8, A8B8G8R8: 12, FEATURE: 36, FEATURE_X8: 37 } as const;

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly sub_minor: number;
}

/** Names of fields are the schema's. Ids are positions in their list. */
export interface TaskListEntry {
  readonly id: number;
  readonly interface: number;
  /** -1: any. */
  readonly instance: number;
  /** Address ids. Descriptors name addresses by position in this list. */
  readonly address_list: readonly number[];
  /** Event ids. */
  readonly pre_actions: readonly number[];
  readonly post_actions: readonly number[];
}

export interface MemoryListEntry {
  readonly id: number;
  readonly domain: number;
  readonly flags: number;
  /** Bytes. */
  readonly size: number;
  readonly alignment: number;
  /** Names of blobs, and where in the memory each goes. */
  readonly contents: readonly string[];
  readonly offsets: readonly number[];
  readonly bind_id: number;
  readonly tensor_desc_id: number;
}

export interface AddressListEntry {
  readonly id: number;
  readonly mem_id: number;
  readonly offset: number;
  /** 0: to the end of the memory. */
  readonly size: number;
}

export interface EventListEntry {
  readonly id: number;
  readonly type: number;
  readonly target: number;
  readonly val: number;
  readonly op: number;
}

export interface Blob {
  readonly name: string;
  readonly interface: number;
  readonly sub_interface: number;
  readonly version: Version;
  /** A view of the file. */
  readonly data: Uint8Array;
}

export interface TensorDescListEntry {
  readonly name: string;
  readonly id: number;
  readonly mem_id: number;
  /** Bytes. */
  readonly size: number;
  readonly offset: number;
  readonly data_format: number;
  readonly data_type: number;
  readonly data_category: number;
  readonly pixel_format: number;
  readonly pixel_mapping: number;
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  /** Eight. Bytes from an element, a line, a surface to the next. */
  readonly strides: readonly number[];
}

/** Where descriptors hold a stride of the memory behind `address_id`. */
export interface RelocListEntry {
  readonly address_id: number;
  /** Memory that is written to. */
  readonly write_id: number;
  /** In bytes. */
  readonly offset: number;
  readonly interface: number;
  readonly sub_interface: number;
  readonly reloc_type: number;
}

export interface SubmitListEntry {
  readonly id: number;
  /** Tasks that may run at the same time. */
  readonly task_id: readonly number[];
}

export interface Loadable {
  readonly task_list: readonly TaskListEntry[];
  readonly memory_list: readonly MemoryListEntry[];
  readonly address_list: readonly AddressListEntry[];
  readonly event_list: readonly EventListEntry[];
  readonly blobs: readonly Blob[];
  readonly tensor_desc_list: readonly TensorDescListEntry[];
  readonly reloc_list: readonly RelocListEntry[];
  readonly submit_list: readonly SubmitListEntry[];
}
