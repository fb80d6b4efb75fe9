// The smallest NVDLA job through the uAPI: one SDP layer that copies a cube of bytes, with a value added to each.
// Not the compiler: descriptors are written by hand, so that no network is needed to have a job.
import { DRM_IOCTL_PRIME_HANDLE_TO_FD } from '../../abi/drm.js';
import * as abi from '../../abi/nvdla.js';
import type { AbortSignalLike, AccelFile, Mapping } from '../../core/index.js';
import * as hw from '../../hw/nvdla/index.js';

const PAGE = 4096;
/** Offsets in the job's one buffer. */
const NETWORK = 0;
const GRAPH = 0x100;
const OPERATIONS = 0x200;
const SURFACES = 0x400;
const SOURCE = PAGE;
/** Entry of the address list. */
const SOURCE_ENTRY = 4;

export interface SdpJobOptions {
  /** Bytes of an atom of the configuration. */
  readonly atom: number;
  /** Width of the cube, one atom high. Default 8. */
  readonly width?: number;
  /** Added to every byte (saturating). Default 0. */
  readonly add?: number;
  /** Milliseconds; default none: the driver's own. */
  readonly timeout?: number;
  /** What the address list says of the source instead of this job's own buffer and offset. */
  readonly from?: { readonly fd?: number; readonly offset?: bigint };
}

/** A prepared job: fill `source`, submit, read `result`. Closing the file releases all of it. */
export interface SdpJob {
  readonly source: Uint8Array;
  readonly result: Uint8Array;
  readonly buffer: Mapping;
  readonly handle: number;
  /** The dma-buf descriptor in the address list. */
  readonly fd: number;
  submit(signal?: AbortSignalLike): Promise<number>;
  /** Gives back mapping, descriptor, handle and places in user memory. */
  release(): Promise<void>;
}

/** Creates a buffer of `size` bytes; returns handle, mapping and dma-buf descriptor. */
export async function createBuffer(
  file: AccelFile,
  size: number,
): Promise<{ handle: number; mapping: Mapping; fd: number }> {
  const create = abi.NvdlaGemCreateArgs.bytes({ size: BigInt(size) });
  await file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_CREATE.request, create);
  const { handle } = abi.NvdlaGemCreateArgs.from(create);
  const map = abi.NvdlaGemMapOffsetArgs.bytes({ handle });
  await file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_MMAP.request, map);
  const mapping = await file.mmap(abi.NvdlaGemMapOffsetArgs.from(map).offset, size);
  const layout = DRM_IOCTL_PRIME_HANDLE_TO_FD.layout!;
  const prime = layout.bytes({ handle, flags: 2 });
  await file.ioctl(DRM_IOCTL_PRIME_HANDLE_TO_FD.request, prime);
  return { handle, mapping, fd: layout.from(prime).fd };
}

export async function sdpJob(file: AccelFile, options: SdpJobOptions): Promise<SdpJob> {
  const { atom, width = 8, add = 0, timeout = abi.NVDLA_NO_TIMEOUT, from = {} } = options;
  const bytes = atom * width;
  const { handle, mapping, fd } = await createBuffer(file, SOURCE + 2 * bytes);
  const memory = mapping.bytes;
  const list = [NETWORK, GRAPH, OPERATIONS, SURFACES, SOURCE, SOURCE + bytes];

  hw.NetworkDesc.put(
    memory,
    {
      operation_desc_index: 2,
      surface_desc_index: 3,
      dependency_graph_index: 1,
      lut_data_index: -1,
      roi_array_index: -1,
      surface_index: -1,
      stat_list_index: -1,
      op_head: [-1, -1, 0, -1, -1, -1],
      num_rois: 1,
      num_operations: 1,
      num_luts: 0,
      num_addresses: list.length,
      input_layer: 0,
    },
    NETWORK,
  );
  const nobody = { index: -1, event: 0, res: 0 };
  hw.CommonOpDesc.put(
    memory,
    {
      index: 0,
      roi_index: 0,
      op_type: hw.OpType.SDP,
      dependency_count: 0,
      consumers: Array.from({ length: hw.OP_TYPES }, () => nobody),
      fused_parent: nobody,
    },
    GRAPH,
  );
  const off = hw.SdpOp.zero();
  hw.SdpOpDesc.put(
    memory,
    {
      src_precision: hw.Precision.INT8,
      dst_precision: hw.Precision.INT8,
      lut_index: -1,
      out_cvt: { scale: 1, truncate: 0, enable: 1, offset: 0 },
      batch_num: 1,
      x1_op: {
        ...off,
        enable: 1,
        alu_type: hw.SdpAlu.SUM,
        type: hw.SdpType.ADD,
        mode: hw.SdpMode.PER_LAYER,
        alu_operand: add,
      },
      x2_op: off,
      y_op: off,
    },
    OPERATIONS,
  );
  const cube = {
    type: hw.MemType.MC,
    offset: 0,
    size: bytes,
    width,
    height: 1,
    channel: atom,
    reserved0: 0,
    line_stride: bytes,
    surf_stride: bytes,
    plane_stride: 0,
  };
  const none = { ...hw.DataCube.zero(), type: hw.MemType.HW, address: -1 };
  hw.SdpSurfaceDesc.put(
    memory,
    {
      src_data: { ...cube, address: SOURCE_ENTRY },
      x1_data: none,
      x2_data: none,
      y_data: none,
      dst_data: { ...cube, address: 5 },
    },
    SURFACES,
  );

  const addresses = new Uint8Array(list.length * abi.NvdlaMemHandle.size);
  list.forEach((offset, i) =>
    abi.NvdlaMemHandle.put(addresses, { handle: fd, offset: BigInt(offset) }, i * abi.NvdlaMemHandle.size),
  );
  const source = { handle: from.fd ?? fd, offset: from.offset ?? BigInt(SOURCE) };
  abi.NvdlaMemHandle.put(addresses, source, SOURCE_ENTRY * abi.NvdlaMemHandle.size);
  const addressList = file.user.place(addresses);
  const tasks = file.user.place(
    abi.NvdlaTask.bytes({ num_addresses: list.length, timeout, address_list: addressList.pointer }),
  );
  const submit = abi.NvdlaSubmitArgs.bytes({ tasks: tasks.pointer, num_tasks: 1 });
  return {
    source: memory.subarray(SOURCE, SOURCE + bytes),
    result: memory.subarray(SOURCE + bytes, SOURCE + 2 * bytes),
    buffer: mapping,
    handle,
    fd,
    submit: (signal) => file.ioctl(abi.DRM_IOCTL_NVDLA_SUBMIT.request, submit.slice(), signal),
    async release() {
      mapping[Symbol.dispose]();
      addressList[Symbol.dispose]();
      tasks[Symbol.dispose]();
      await file.closeFd(fd);
      await file.ioctl(abi.DRM_IOCTL_NVDLA_GEM_DESTROY.request, abi.NvdlaGemDestroyArgs.bytes({ handle }));
    },
  };
}
