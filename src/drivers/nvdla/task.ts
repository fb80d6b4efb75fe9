// A task: its network descriptor, its graph and the register writes of all its layers, checked before any of it runs.
// Not a job: who waits for it and how long is the scheduler's business.
import { AccelError } from '../../base/errors.js';
import {
  CommonOpDesc,
  LUT_BYTES,
  NetworkDesc,
  OPERATION_BYTES,
  OP_TYPES,
  STAT_BYTES,
  SURFACE_BYTES,
} from '../../hw/nvdla/index.js';
import type { Addresses } from './addresses.js';
import { Encodings } from './encodings.js';
import { Graph } from './graph.js';
import type { Hardware } from './hardware.js';
import { Layer, type RoiInput } from './layer.js';
import type { Processor } from './processor.js';
import { RegisterProgram } from './program.js';

/** Layers times regions of interest of a task: what an s16 can number. */
const MAX_NODES = 32767;
const ROI_HEADER = 8;
const ROI_BYTES = 16;

const layerNames = ['bdma', 'conv', 'sdp', 'pdp', 'cdp', 'rubik'] as const;
const at = NetworkDesc.offsets;

/** What a task's descriptors come to. Read only once it is made, but for the counts of the graph. */
export interface Encoding {
  readonly graph: Graph;
  readonly program: RegisterProgram;
  /** Per layer: its part of the program [starts[n], starts[n + 1]). */
  readonly starts: Uint32Array;
  readonly rdma: Uint8Array;
  /** Lookup table index, -1 for none. */
  readonly luts: Int16Array;
  /** BDMA commands. */
  readonly slots: Uint8Array;
}

export class Task implements Disposable {
  readonly addresses: Addresses;
  readonly heads = new Int16Array(OP_TYPES);
  /** Undefined for a task without layers. */
  encoding: Encoding | undefined;
  /** DRAM offset of the statistics records, -1 when the client wants none. */
  statistics = -1;

  constructor(addresses: Addresses) {
    this.addresses = addresses;
  }

  /** Unmaps the task's buffers. Once; the hardware must be done with it. */
  [Symbol.dispose](): void {
    this.addresses[Symbol.dispose]();
  }
}

/**
 * Reads and checks tasks of one device. A program submits the same descriptors again and again, so what they came to
 * is kept, beside a copy of them: compared word for word it takes a fraction of encoding them.
 */
export class TaskReader {
  readonly #view: DataView;
  readonly #processors: readonly Processor[];
  readonly #layer: Layer;
  readonly #kept: Encodings<Encoding>;

  /** `processors` by op_type. */
  constructor(hardware: Hardware, processors: readonly Processor[]) {
    this.#view = hardware.memory.view;
    this.#kept = new Encodings(hardware.memory.words);
    this.#processors = processors;
    this.#layer = new Layer(hardware.config, this.#view);
  }

  /**
   * Makes a task from the descriptors that entry 0 of its address list leads to. The task owns `addresses`.
   * @throws AccelError EINVAL with the field at fault, EBADF for an entry that is no dma-buf, ENOSPC
   */
  read(addresses: Addresses): Task {
    const task = new Task(addresses);
    try {
      this.#read(task);
    } catch (error) {
      task[Symbol.dispose]();
      throw error;
    }
    return task;
  }

  #read(task: Task): void {
    const view = this.#view;
    const { addresses } = task;
    const network = addresses.records('address_list[0]', 0, 1, NetworkDesc.size);
    const s16 = (offset: number): number => view.getInt16(network + offset, true);
    const u16 = (offset: number): number => view.getUint16(network + offset, true);

    const layers = u16(at.num_operations);
    if (layers === 0) return;
    for (let type = 0; type < OP_TYPES; type++) task.heads[type] = s16(at.op_head + 2 * type);

    let rois = u16(at.num_rois);
    let input: RoiInput | undefined;
    if (view.getUint8(network + at.dynamic_roi) !== 0) {
      const index = s16(at.roi_array_index);
      const found = view.getUint32(addresses.records('roi_array_index', index, 1, ROI_HEADER), true);
      if (found > rois)
        throw new AccelError('EINVAL', { field: 'num_rois', reason: `${found} regions, at most ${rois}` });
      rois = found;
      const array = addresses.records('roi_array_index', index, 1, ROI_HEADER + rois * ROI_BYTES);
      input = { layer: s16(at.input_layer), surface: s16(at.surface_index), records: array + ROI_HEADER };
    }
    const nodes = layers * rois;
    if (nodes === 0 || nodes > MAX_NODES) {
      throw new AccelError('EINVAL', { field: 'num_rois', reason: `${rois} regions of ${layers} layers` });
    }

    const operations = addresses.records(
      'operation_desc_index',
      s16(at.operation_desc_index),
      nodes,
      OPERATION_BYTES,
    );
    const surfaces = addresses.records(
      'surface_desc_index',
      s16(at.surface_desc_index),
      nodes,
      SURFACE_BYTES,
    );
    const edges = addresses.records(
      'dependency_graph_index',
      s16(at.dependency_graph_index),
      nodes,
      CommonOpDesc.size,
    );
    const lutCount = u16(at.num_luts);
    const luts =
      lutCount === 0 ? 0 : addresses.records('lut_data_index', s16(at.lut_data_index), lutCount, LUT_BYTES);
    const statistics = s16(at.stat_list_index);
    if (statistics !== -1) {
      task.statistics = addresses.records('stat_list_index', statistics, nodes, STAT_BYTES);
      addresses.hold(statistics);
    }

    const records = [
      { at: network, bytes: NetworkDesc.size },
      { at: operations, bytes: nodes * OPERATION_BYTES },
      { at: surfaces, bytes: nodes * SURFACE_BYTES },
      { at: edges, bytes: nodes * CommonOpDesc.size },
      { at: luts, bytes: lutCount * LUT_BYTES },
    ];
    // Regions of interest are the client's to change, and are not among the records.
    const keep = input === undefined;
    task.encoding = keep ? this.#kept.find(records, addresses) : undefined;
    if (task.encoding !== undefined) return;

    const layer = this.#layer;
    layer.addresses = addresses;
    layer.roiInput = input;
    layer.luts = luts;
    layer.lutCount = lutCount;
    addresses.record = keep ? [] : undefined;
    const graph = new Graph(view, edges, layers, rois, task.heads);
    task.encoding = this.#encode(graph, operations, surfaces);
    if (addresses.record !== undefined) this.#kept.keep(records, addresses.record, task.encoding);
    addresses.record = undefined;
  }

  #encode(graph: Graph, operations: number, surfaces: number): Encoding {
    const { layers } = graph;
    const nodes = graph.types.length;
    const program = new RegisterProgram();
    const starts = new Uint32Array(nodes + 1);
    const rdma = new Uint8Array(nodes);
    const luts = new Int16Array(nodes);
    const slots = new Uint8Array(nodes);
    const layer = this.#layer;
    for (let node = 0; node < nodes; node++) {
      const type = graph.types[node]!;
      layer.name = layerNames[type]!;
      layer.index = node % layers;
      layer.roi = (node - layer.index) / layers;
      layer.op = operations + node * OPERATION_BYTES;
      layer.surface = surfaces + node * SURFACE_BYTES;
      layer.rdma = false;
      layer.lut = -1;
      layer.slots = 0;
      this.#processors[type]!.encode(layer, program);
      starts[node + 1] = program.length;
      rdma[node] = layer.rdma ? 1 : 0;
      luts[node] = layer.lut;
      slots[node] = layer.slots;
    }
    return { graph, program, starts, rdma, luts, slots };
  }
}
