// The layers of a loadable's tasks, from the descriptors in its blobs.
// Source: fact sheet sections 5 and 8. Not a check of the layers: the driver makes that.
import { AccelError } from '../../base/errors.js';
import { CommonOpDesc, NetworkDesc, OPERATION_BYTES, OP_TYPES, SURFACE_BYTES } from '../../hw/nvdla/index.js';
import type { Content, Contents } from './contents.js';
import { EMU_BUFFER_BYTES, EMU_BUFFERS_PER_OP, EmuNetworkDesc } from './emu.js';
import type { TaskListEntry } from './loadable.js';

/** Records one after the other, and nothing behind them. */
export interface DlaTask {
  readonly network: Content;
  /** op_type of each record. */
  readonly types: readonly number[];
  readonly graph: Content;
  readonly operations: Content;
  readonly surfaces: Content;
}

/** @throws AccelError EINVAL */
export function dlaTask(contents: Contents, task: TaskListEntry): DlaTask {
  const network = contents.behind(task, 0, NetworkDesc.size, 'address_list[0]');
  const fields = NetworkDesc.from(network.bytes);
  const records = fields.num_operations * Math.max(fields.num_rois, 1);
  const list = (
    field: 'operation_desc_index' | 'surface_desc_index' | 'dependency_graph_index',
    bytes: number,
  ): Content => {
    const found = contents.behind(task, fields[field], records * bytes, field);
    return { ...found, bytes: found.bytes.subarray(0, records * bytes) };
  };
  if (records === 0) return { network, types: [], graph: network, operations: network, surfaces: network };
  const graph = list('dependency_graph_index', CommonOpDesc.size);
  const types = Array.from({ length: records }, (_, i) => {
    const { op_type } = CommonOpDesc.from(graph.bytes, i * CommonOpDesc.size);
    if (op_type >= OP_TYPES) {
      const reason = `${op_type}, there are ${OP_TYPES}`;
      throw new AccelError('EINVAL', { field: `task_list[${task.id}]: layer ${i}: op_type`, reason });
    }
    return op_type;
  });
  return {
    network,
    types,
    graph,
    operations: list('operation_desc_index', OPERATION_BYTES),
    surfaces: list('surface_desc_index', SURFACE_BYTES),
  };
}

export interface EmuTask {
  readonly count: number;
  readonly operations: Content;
  readonly buffers: Content;
}

/** A record of `operations` is at least `operationBytes` long. @throws AccelError EINVAL */
export function emuTask(contents: Contents, task: TaskListEntry, operationBytes: number): EmuTask {
  const network = contents.behind(task, 0, EmuNetworkDesc.size, 'address_list[0]');
  const fields = EmuNetworkDesc.from(network.bytes);
  const count = fields.num_operations;
  if (count === 0) return { count, operations: network, buffers: network };
  return {
    count,
    operations: contents.behind(
      task,
      fields.operation_desc_index,
      count * operationBytes,
      'operation_desc_index',
    ),
    buffers: contents.behind(
      task,
      fields.operation_buffer_desc_index,
      count * EMU_BUFFERS_PER_OP * EMU_BUFFER_BYTES,
      'operation_buffer_desc_index',
    ),
  };
}
