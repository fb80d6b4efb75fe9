// A task's dependency graph, read and checked: which layers there are, what each waits for, whom each tells.
// Not the client's copy: counts are run down here, the client's descriptors are left as they are.
import { AccelError } from '../../base/errors.js';
import { CommonOpDesc, Consumer, OpEvent, OP_TYPES } from '../../hw/nvdla/index.js';

/** Consumers of a layer, one per op_type, and its fused parent. */
export const EDGES = OP_TYPES + 1;
export const FUSED_PARENT = OP_TYPES;

const at = CommonOpDesc.offsets;
const FIRST_HEAD_NONE = -1;

/**
 * Layers are numbered roi * layers + index: with several regions of interest every layer exists once per region.
 * Indices in edges are numbers of layers in the same region, -1 for none.
 */
export class Graph {
  /** Layers of one region, and regions. */
  readonly layers: number;
  readonly rois: number;
  readonly types: Uint8Array;
  /** Events a layer still waits for. */
  readonly counts: Int16Array;
  readonly #initial: Int16Array;
  /** EDGES per layer. */
  readonly targets: Int16Array;
  readonly events: Uint8Array;
  /** Whether some layer waits for a fetch of the convolution's weights or data. */
  readonly usesFetchEvents: boolean;

  /**
   * Reads `layers * rois` dla_common_op_desc at DRAM offset `from`.
   * @throws AccelError EINVAL for an edge to a layer that does not exist or is of another type, and for a graph in
   * which some layer is never taken up or waits for more than anyone tells it
   */
  constructor(view: DataView, from: number, layers: number, rois: number, heads: Int16Array) {
    const all = layers * rois;
    this.layers = layers;
    this.rois = rois;
    this.types = new Uint8Array(all);
    this.counts = new Int16Array(all);
    this.targets = new Int16Array(all * EDGES);
    this.events = new Uint8Array(all * EDGES);
    for (let node = 0; node < all; node++) this.#read(view, from + node * CommonOpDesc.size, node);
    this.#initial = this.counts.slice();
    let fetches = false;
    for (let roi = 0; roi < rois; roi++) {
      fetches = this.#checkEdges(roi * layers) || fetches;
      this.#checkOrder(roi * layers, heads);
    }
    this.usesFetchEvents = fetches;
  }

  /** All counts as the client gave them: the task starts (again). */
  rewind(): void {
    this.counts.set(this.#initial);
  }

  #read(view: DataView, desc: number, node: number): void {
    const type = view.getUint8(desc + at.op_type);
    if (type >= OP_TYPES) this.#reject(node, 'op_type', `${type}, must be 0 to ${OP_TYPES - 1}`);
    this.types[node] = type;
    this.counts[node] = view.getUint8(desc + at.dependency_count);
    for (let edge = 0; edge < EDGES; edge++) {
      const consumer = desc + (edge === FUSED_PARENT ? at.fused_parent : at.consumers + edge * Consumer.size);
      this.targets[node * EDGES + edge] = view.getInt16(consumer + Consumer.offsets.index, true);
      this.events[node * EDGES + edge] = view.getUint8(consumer + Consumer.offsets.event);
    }
  }

  /** Checks the edges of one region against each other; true when one waits for a fetch event. */
  #checkEdges(first: number): boolean {
    let fetches = false;
    const told = new Int16Array(this.layers);
    for (let i = 0; i < this.layers; i++) {
      for (let edge = 0; edge < EDGES; edge++) {
        const slot = (first + i) * EDGES + edge;
        const target = this.targets[slot]!;
        if (target === -1) continue;
        const field = edge === FUSED_PARENT ? 'fused_parent' : `consumers[${edge}]`;
        if (target < 0 || target >= this.layers) {
          this.#reject(first + i, `${field}.index`, `${target}, the task has ${this.layers} layers`);
        }
        const expected = edge === FUSED_PARENT ? this.types[first + i]! - 1 : edge;
        const type = this.types[first + target]!;
        if (type !== expected) {
          this.#reject(first + i, `${field}.index`, `layer ${target} is of type ${type}, not ${expected}`);
        }
        const event = this.events[slot]!;
        if (event >= OpEvent.CDMA_WT_DONE) fetches = true;
        if (event !== 0) told[target]!++;
      }
    }
    for (let i = 0; i < this.layers; i++) {
      const count = this.counts[first + i]!;
      if (count > told[i]!) {
        this.#reject(first + i, 'dependency_count', `${count}, but only ${told[i]!} events name this layer`);
      }
    }
    return fetches;
  }

  /** Every layer is taken up once: from the head of its type along the consumers of its own type. */
  #checkOrder(first: number, heads: Int16Array): void {
    const seen = new Uint8Array(this.layers);
    let count = 0;
    for (let type = 0; type < OP_TYPES; type++) {
      let index = heads[type]!;
      while (index !== FIRST_HEAD_NONE) {
        if (index < 0 || index >= this.layers) {
          throw new AccelError('EINVAL', {
            field: `op_head[${type}]`,
            reason: `${index}, the task has ${this.layers} layers`,
          });
        }
        if (this.types[first + index] !== type) {
          throw new AccelError('EINVAL', {
            field: `op_head[${type}]`,
            reason: `layer ${index} is of type ${this.types[first + index]!}`,
          });
        }
        if (seen[index] === 1)
          this.#reject(first + index, `consumers[${type}]`, 'layers follow each other in a circle');
        seen[index] = 1;
        count++;
        index = this.targets[(first + index) * EDGES + type]!;
      }
    }
    if (count !== this.layers) {
      const missing = seen.indexOf(0);
      this.#reject(first + missing, 'index', 'no head and no layer of its type leads to this layer');
    }
  }

  #reject(node: number, field: string, reason: string): never {
    throw new AccelError('EINVAL', { field: `dependency_graph[${node}].${field}`, reason });
  }
}
