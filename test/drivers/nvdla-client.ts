// A machine with the recorder in it, and clients that make buffers and tasks through the uAPI only.
// Not a runtime: descriptors are given layer by layer.
import { drm, nvdla as abi } from '../../src/abi/index.js';
import { TestClock } from '../../src/base/clock.js';
import { DisposableStack } from '../../src/base/disposable.js';
import { PAGE_SIZE, type SystemMemory } from '../../src/base/memory.js';
import { RangeAllocator } from '../../src/base/range-allocator.js';
import { AccelError } from '../../src/base/errors.js';
import { sharedMemory } from '../../src/base/wasm.js';
import { Core, Process, type AccelDevice, type AccelFile } from '../../src/core/index.js';
import { probe, type NvdlaDevice } from '../../src/drivers/nvdla/index.js';
import {
  BdmaSurfaceDesc,
  CdpOpDesc,
  CommonOpDesc,
  configs,
  ConvOpDesc,
  ConvSurfaceDesc,
  DataCube,
  LUT_BYTES,
  LutParam,
  NetworkDesc,
  OP_TYPES,
  OPERATION_BYTES,
  OpType,
  PairSurfaceDesc,
  PdpOpDesc,
  RubikOpDesc,
  SdpOpDesc,
  SdpSurfaceDesc,
  SURFACE_BYTES,
  type ConfigName,
} from '../../src/hw/nvdla/index.js';
import { Recorder } from './nvdla-recorder.js';

/** DRAM of a few megabytes. */
function memory(): SystemMemory {
  const size = 8 << 20;
  const shared = sharedMemory(size);
  const pages = new RangeAllocator(PAGE_SIZE, size - PAGE_SIZE);
  const bytes = new Uint8Array(shared.buffer);
  return {
    memory: shared,
    bytes,
    words: new Uint32Array(shared.buffer),
    view: new DataView(shared.buffer),
    size,
    get used() {
      return pages.used;
    },
    allocate(length) {
      const at = pages.allocate(length, PAGE_SIZE);
      if (at === undefined) throw new AccelError('ENOMEM');
      bytes.fill(0, at, at + length);
      return at;
    },
    free(at) {
      pages.free(at);
    },
  };
}

export interface System {
  readonly clock: TestClock;
  readonly memory: SystemMemory;
  readonly core: Core;
  readonly device: Recorder;
  readonly accel: AccelDevice<NvdlaDevice>;
  client(): Promise<Client>;
}

export function system(name: ConfigName = 'nv_full'): System {
  const clock = new TestClock();
  const dram = memory();
  const core = new Core({ clock, memory: dram });
  const device = new Recorder(configs[name], clock);
  const accel = probe(device, core);
  device.take();
  return {
    clock,
    memory: dram,
    core,
    device,
    accel,
    client: () => Client.open(core, accel),
  };
}

/** A consumer or fused parent: layer and the event it waits for. */
export type Edge = readonly [index: number, event: number];

export interface LayerSpec {
  readonly type: number;
  readonly op: Uint8Array;
  readonly surface: Uint8Array;
  /** dependency_count. */
  readonly waits?: number;
  readonly consumers?: Readonly<Record<number, Edge>>;
  readonly parent?: Edge;
}

export interface TaskSpec {
  readonly layers: readonly LayerSpec[];
  readonly heads?: Readonly<Record<number, number>>;
  readonly luts?: readonly Uint8Array[];
  readonly network?: Partial<ReturnType<typeof NetworkDesc.zero>>;
  readonly timeout?: number;
  /** Changes the address list before it is submitted: pairs of descriptor and offset. */
  readonly addresses?: (list: { handle: number; offset: bigint }[]) => void;
}

/** Address list indices that every task here has. */
export const DATA = 5;
export const OUT = 6;
/** Bytes of the two data buffers. */
export const DATA_BYTES = 64 * 1024;

const firstOf = (layers: readonly LayerSpec[], type: number): number =>
  layers.findIndex((layer) => layer.type === type);

export class Client {
  readonly file: AccelFile;
  readonly process: Process;
  #data: number[] = [];
  readonly #mappings = new DisposableStack();

  private constructor(file: AccelFile, process: Process) {
    this.file = file;
    this.process = process;
  }

  static async open(core: Core, device: AccelDevice<NvdlaDevice>): Promise<Client> {
    const process = new Process();
    const client = new Client(core.open(device.name, process), process);
    client.#data = [(await client.buffer(DATA_BYTES)).fd, (await client.buffer(DATA_BYTES)).fd];
    return client;
  }

  async buffer(bytes: number): Promise<{ handle: number; fd: number; bytes: Uint8Array }> {
    const create = abi.NvdlaGemCreateArgs.bytes({ size: BigInt(bytes) });
    await this.file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_CREATE.request, create);
    const { handle } = abi.NvdlaGemCreateArgs.from(create);
    const map = abi.NvdlaGemMapOffsetArgs.bytes({ handle });
    await this.file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_MMAP.request, map);
    const { offset } = abi.NvdlaGemMapOffsetArgs.from(map);
    const { bytes: view } = this.#mappings.use(await this.file.mmap(offset, bytes));
    const prime = drm.DrmPrimeHandle.bytes({ handle });
    await this.file.ioctl(drm.DRM_IOCTL_PRIME_HANDLE_TO_FD.request, prime);
    return { handle, fd: drm.DrmPrimeHandle.from(prime).fd, bytes: view };
  }

  /** SIGKILL: mappings go with the process. */
  kill(): void {
    this.#mappings.dispose();
    this.process.kill();
  }

  /** Writes a task's descriptors into a new buffer; returns it and a function that submits the task. */
  async task(spec: TaskSpec): Promise<{ descriptors: Uint8Array; submit: () => Promise<void> }> {
    const { layers, luts = [] } = spec;
    const operations = 256;
    const surfaces = operations + layers.length * OPERATION_BYTES;
    const graph = surfaces + layers.length * SURFACE_BYTES;
    const tables = graph + layers.length * CommonOpDesc.size;
    const { fd, bytes } = await this.buffer(Math.max(1, tables + luts.length * LUT_BYTES));
    NetworkDesc.put(bytes, {
      operation_desc_index: 1,
      surface_desc_index: 2,
      dependency_graph_index: 3,
      lut_data_index: 4,
      roi_array_index: -1,
      surface_index: -1,
      stat_list_index: -1,
      op_head: Array.from({ length: OP_TYPES }, (_, type) => spec.heads?.[type] ?? firstOf(layers, type)),
      num_rois: 1,
      num_operations: layers.length,
      num_luts: luts.length,
      input_layer: -1,
      ...spec.network,
    });
    layers.forEach((layer, i) => {
      bytes.set(layer.op, operations + i * OPERATION_BYTES);
      bytes.set(layer.surface, surfaces + i * SURFACE_BYTES);
      const edge = ([index, event]: Edge = [-1, 0]) => ({ index, event, res: 0 });
      CommonOpDesc.put(
        bytes,
        {
          index: i,
          op_type: layer.type,
          dependency_count: layer.waits ?? 0,
          consumers: Array.from({ length: OP_TYPES }, (_, type) => edge(layer.consumers?.[type])),
          fused_parent: edge(layer.parent),
        },
        graph + i * CommonOpDesc.size,
      );
    });
    luts.forEach((lut, i) => bytes.set(lut, tables + i * LUT_BYTES));

    const list = [0, operations, surfaces, graph, tables].map((offset) => ({
      handle: fd,
      offset: BigInt(offset),
    }));
    for (const data of this.#data) list.push({ handle: data, offset: 0n });
    spec.addresses?.(list);
    return { descriptors: bytes, submit: () => this.submit(list, spec.timeout) };
  }

  async run(spec: TaskSpec): Promise<void> {
    const { submit } = await this.task(spec);
    await submit();
  }

  async submit(list: readonly { handle: number; offset: bigint }[], timeout = 0): Promise<void> {
    const { user } = this.file;
    const handles = new Uint8Array(list.length * abi.NvdlaMemHandle.size);
    list.forEach((entry, i) => abi.NvdlaMemHandle.put(handles, entry, i * abi.NvdlaMemHandle.size));
    using addresses = user.place(handles);
    using task = user.place(
      abi.NvdlaTask.bytes({ num_addresses: list.length, timeout, address_list: addresses.pointer }),
    );
    await this.file.ioctl(
      abi.DRM_IOCTL_NVDLA_SUBMIT.request,
      abi.NvdlaSubmitArgs.bytes({ tasks: task.pointer, num_tasks: 1 }),
    );
  }
}

type Fields<S> = S extends { bytes(value: infer V): Uint8Array } ? V : never;
type Cube = Fields<typeof DataCube>;

/** An 8x8x32 int8 cube in buffer `address`. */
export function cube(address: number, fields: Cube = {}): ReturnType<typeof DataCube.zero> {
  return {
    ...DataCube.zero(),
    address,
    size: 2048,
    width: 8,
    height: 8,
    channel: 32,
    line_stride: 256,
    surf_stride: 2048,
    ...fields,
  };
}

/** On the fly: no address. */
export const flying = (fields: Cube = {}): ReturnType<typeof DataCube.zero> =>
  cube(-1, { type: 2, size: 0, ...fields });

const noCvt = { scale: 1, truncate: 0, enable: 0, offset: 0 };

export function sdpLayer(
  op: Fields<typeof SdpOpDesc> = {},
  surface: Fields<typeof SdpSurfaceDesc> = {},
  edges: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    type: OpType.SDP,
    op: SdpOpDesc.bytes({ lut_index: -1, batch_num: 1, out_cvt: noCvt, ...op }),
    surface: SdpSurfaceDesc.bytes({ src_data: cube(DATA), dst_data: cube(OUT), ...surface }),
    ...edges,
  };
}

export function convLayer(
  op: Fields<typeof ConvOpDesc> = {},
  surface: Fields<typeof ConvSurfaceDesc> = {},
  edges: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    type: OpType.CONV,
    op: ConvOpDesc.bytes({
      data_format: 36,
      entry_per_slice: 2,
      fetch_grain: 1,
      batch: 1,
      data_bank: 1,
      weight_bank: 1,
      release: 8,
      input_width_csc: 8,
      input_height_csc: 8,
      input_channel_csc: 32,
      kernel_width_csc: 1,
      kernel_height_csc: 1,
      kernel_channel_csc: 32,
      input_width_cmac: 8,
      input_height_cmac: 8,
      bytes_per_kernel: 32,
      conv_stride_x: 1,
      conv_stride_y: 1,
      dilation_x: 1,
      dilation_y: 1,
      out_cvt: noCvt,
      ...op,
    }),
    surface: ConvSurfaceDesc.bytes({
      weight_data: cube(DATA, { offset: 4096, size: 1024 }),
      wmb_data: flying(),
      wgs_data: flying(),
      src_data: cube(DATA),
      dst_data: flying(),
      ...surface,
    }),
    ...edges,
  };
}

export function pdpLayer(
  op: Fields<typeof PdpOpDesc> = {},
  surface: Fields<typeof PairSurfaceDesc> = {},
  edges: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    type: OpType.PDP,
    op: PdpOpDesc.bytes({ split_num: 1, stride_x: 1, stride_y: 1, pool_mode: 1, ...op }),
    surface: PairSurfaceDesc.bytes({ src_data: cube(DATA), dst_data: cube(OUT), ...surface }),
    ...edges,
  };
}

export function cdpLayer(
  op: Fields<typeof CdpOpDesc> = {},
  surface: Fields<typeof PairSurfaceDesc> = {},
  edges: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    type: OpType.CDP,
    op: CdpOpDesc.bytes({ lut_index: -1, local_size: 3, in_cvt: noCvt, out_cvt: noCvt, ...op }),
    surface: PairSurfaceDesc.bytes({ src_data: cube(DATA), dst_data: cube(OUT), ...surface }),
    ...edges,
  };
}

export function rubikLayer(op: Fields<typeof RubikOpDesc> = {}, edges: Partial<LayerSpec> = {}): LayerSpec {
  return {
    type: OpType.RUBIK,
    op: RubikOpDesc.bytes({ stride_x: 1, stride_y: 1, ...op }),
    surface: PairSurfaceDesc.bytes({
      src_data: cube(DATA, { plane_stride: 2048 }),
      dst_data: cube(OUT, { plane_stride: 2048 }),
    }),
    ...edges,
  };
}

const copy = {
  source_address: DATA,
  destination_address: OUT,
  line_size: 256,
  line_repeat: 8,
  source_line: 256,
  destination_line: 256,
  surface_repeat: 1,
  source_surface: 2048,
  destination_surface: 2048,
};

export function bdmaLayer(
  transfers = 1,
  change: Partial<typeof copy> = {},
  edges: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    type: OpType.BDMA,
    op: new Uint8Array(4),
    surface: BdmaSurfaceDesc.bytes({
      num_transfers: transfers,
      transfers: Array.from({ length: Math.min(20, transfers) }, () => ({ ...copy, ...change })),
    }),
    ...edges,
  };
}

export const lut = (fields: Fields<typeof LutParam> = {}): Uint8Array => LutParam.bytes(fields);
