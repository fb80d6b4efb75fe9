// BDMA and RUBIK through the whole path: descriptors, ioctl, engine scheduler, registers, model, memory; their statistics too.
// Not register traces of them: test/devices.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as abi from '../../src/abi/nvdla.js';
import { TestClock } from '../../src/base/clock.js';
import * as hw from '../../src/hw/nvdla/index.js';
import { openSystem } from '../../src/node/system.js';
import { createBuffer } from '../../src/testing/adapters/nvdla-job.js';

const PAGE = 4096;
/** Entries of the address list, a page each. */
const entry = {
  network: 0,
  graph: 1,
  operations: 2,
  surfaces: 3,
  statistics: 4,
  source: 5,
  copy: 6,
  planes: 7,
};
const WIDTH = 20;
const HEIGHT = 3;
const CHANNELS = 40;
const ATOM = 32;
const LINE = WIDTH * ATOM;
const SURFACE = HEIGHT * LINE;
/** Lines of planes are whole atoms. */
const PLANE_LINE = 32;
const PLANE = HEIGHT * PLANE_LINE;

/** A task of two layers: BDMA copies a cube, RUBIK splits the copy into planes. */
async function run(): Promise<Uint8Array> {
  const clock = new TestClock(1e9);
  using system = openSystem({ devices: ['nvdla:nv_full'], clock });
  const file = system.open();
  const { mapping, fd } = await createBuffer(file, 10 * PAGE);
  const memory = mapping.bytes;
  const nobody = { index: -1, event: 0, res: 0 };
  const consumers = Array.from({ length: hw.OP_TYPES }, () => nobody);
  hw.NetworkDesc.put(memory, {
    operation_desc_index: entry.operations,
    surface_desc_index: entry.surfaces,
    dependency_graph_index: entry.graph,
    lut_data_index: -1,
    roi_array_index: -1,
    surface_index: -1,
    stat_list_index: entry.statistics,
    op_head: [0, -1, -1, -1, -1, 1],
    num_rois: 1,
    num_operations: 2,
    num_luts: 0,
    num_addresses: 8,
    input_layer: 0,
  });
  const common = { roi_index: 0, fused_parent: nobody };
  const copied = { index: 1, event: hw.OpEvent.COMPLETED, res: 0 };
  hw.CommonOpDesc.put(
    memory,
    {
      ...common,
      index: 0,
      op_type: hw.OpType.BDMA,
      dependency_count: 0,
      consumers: consumers.map((one, type) => (type === hw.OpType.RUBIK ? copied : one)),
    },
    entry.graph * PAGE,
  );
  hw.CommonOpDesc.put(
    memory,
    { ...common, index: 1, op_type: hw.OpType.RUBIK, dependency_count: 1, consumers },
    entry.graph * PAGE + hw.CommonOpDesc.size,
  );
  hw.RubikOpDesc.put(
    memory,
    { mode: 1, precision: hw.Precision.INT8, stride_x: 1, stride_y: 1 },
    entry.operations * PAGE + hw.OPERATION_BYTES,
  );
  const transfer = {
    source_address: entry.source,
    destination_address: entry.copy,
    line_size: LINE,
    line_repeat: HEIGHT,
    source_line: LINE,
    destination_line: LINE,
    surface_repeat: 2,
    source_surface: SURFACE,
    destination_surface: SURFACE,
  };
  const surface = hw.BdmaSurfaceDesc.zero();
  hw.BdmaSurfaceDesc.put(
    memory,
    {
      ...surface,
      source_type: hw.MemType.MC,
      destination_type: hw.MemType.CV,
      num_transfers: 1,
      transfers: surface.transfers.map((one, i) => (i === 0 ? transfer : one)),
    },
    entry.surfaces * PAGE,
  );
  const shape = { offset: 0, width: WIDTH, height: HEIGHT, channel: CHANNELS, reserved0: 0 };
  hw.PairSurfaceDesc.put(
    memory,
    {
      src_data: {
        ...shape,
        type: hw.MemType.CV,
        address: entry.copy,
        size: 2 * SURFACE,
        line_stride: LINE,
        surf_stride: SURFACE,
        plane_stride: 0,
      },
      dst_data: {
        ...shape,
        type: hw.MemType.MC,
        address: entry.planes,
        size: CHANNELS * PLANE,
        line_stride: PLANE_LINE,
        surf_stride: 0,
        plane_stride: PLANE,
      },
    },
    entry.surfaces * PAGE + hw.SURFACE_BYTES,
  );
  for (let i = 0; i < 2 * SURFACE; i++) memory[entry.source * PAGE + i] = (i * 2654435761) >>> 24;

  const list = new Uint8Array(8 * abi.NvdlaMemHandle.size);
  for (let i = 0; i < 8; i++)
    abi.NvdlaMemHandle.put(list, { handle: fd, offset: BigInt(i * PAGE) }, i * abi.NvdlaMemHandle.size);
  const addresses = file.user.place(list);
  const tasks = file.user.place(
    abi.NvdlaTask.bytes({
      num_addresses: 8,
      timeout: abi.NVDLA_NO_TIMEOUT,
      address_list: addresses.pointer,
    }),
  );
  const submit = abi.NvdlaSubmitArgs.bytes({ tasks: tasks.pointer, num_tasks: 1 });
  const done = file.ioctl(abi.DRM_IOCTL_NVDLA_SUBMIT.request, submit);
  await clock.settle(512);
  await done;
  const result = memory.slice();
  await file.close();
  return result;
}

describe('BDMA and RUBIK of a task', () => {
  it('copy a cube and split it into planes, one after the other', async () => {
    const memory = await run();
    const source = entry.source * PAGE;
    for (let c = 0; c < CHANNELS; c++)
      for (let y = 0; y < HEIGHT; y++)
        for (let x = 0; x < PLANE_LINE; x++) {
          const from = source + Math.floor(c / ATOM) * SURFACE + y * LINE + x * ATOM + (c % ATOM);
          const at = entry.planes * PAGE + c * PLANE + y * PLANE_LINE + x;
          assert.equal(memory[at], x < WIDTH ? memory[from] : 0, `${c}, ${y}, ${x}`);
        }
  });

  it('leave their stalls in the statistics list', async () => {
    const memory = await run();
    const view = new DataView(memory.buffer, memory.byteOffset + entry.statistics * PAGE);
    const word = (layer: number, at: number): number => view.getUint32(layer * hw.STAT_BYTES + at, true);
    const moved = 2 * SURFACE;
    const stalls = (rate: number): number => Math.ceil(moved / rate) - Math.ceil(moved / 64);
    // DRAM moves 10 bytes a cycle, CV-SRAM 25.
    assert.deepEqual([word(0, 0), word(0, 4)], [stalls(10), stalls(25)]);
    assert.deepEqual([word(1, 0), word(1, 4)], [stalls(25), stalls(10)]);
  });
});
