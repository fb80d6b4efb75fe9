// BDMA: copies of lines and surfaces between memories. A queue of 20 commands, launched in batches.
// Not a unit with register groups: both "groups" share the registers, so one layer's commands must be launched before
// the next one's are written.
import { BdmaSurfaceDesc, BdmaTransferDesc, interruptBit, MemType } from '../../hw/nvdla/index.js';
import type { Hardware } from './hardware.js';
import { high32, low32, ramType, type Layer } from './layer.js';
import type { Processor, Statistics } from './processor.js';
import type { RegisterProgram } from './program.js';

const MAX_TRANSFERS = 20;
const MAX_REPEAT = 8192;
/** Line sizes are counted in units of 32 bytes. */
const LINE_UNIT = 32;

export function bdma(hardware: Hardware): Processor {
  const { config, memory } = hardware;
  const unit = hardware.unit('BDMA');
  const { r } = unit;
  const transfer = BdmaTransferDesc.view(memory.view);

  function encode(layer: Layer, out: RegisterProgram): void {
    if (!config.bdma) layer.reject('op_type', `${config.name} has no BDMA`);
    const surface = BdmaSurfaceDesc.offsets;
    const sourceType = memoryType(layer, 'source_type', surface.source_type);
    const destinationType = memoryType(layer, 'destination_type', surface.destination_type);
    const count = layer.view.getUint16(layer.surface + surface.num_transfers, true);
    layer.between('num_transfers', count, 0, MAX_TRANSFERS);
    layer.slots = count;
    layer.rdma = false;
    for (let i = 0; i < count; i++) {
      transfer.at = layer.surface + surface.transfers + i * BdmaTransferDesc.size;
      const field = `transfers[${i}]`;
      check(layer, field);
      const sourceBytes = bytes(transfer.source_line, transfer.source_surface);
      const destinationBytes = bytes(transfer.destination_line, transfer.destination_surface);
      const { addresses } = layer;
      const source = addresses.iova(transfer.source_address, 0, sourceBytes, layer, `${field}.source`);
      const destination = addresses.iova(
        transfer.destination_address,
        0,
        destinationBytes,
        layer,
        `${field}.destination`,
      );
      out.put(
        unit,
        r.CFG_SRC_ADDR_LOW,
        layer.fits(`${field}.source_address`, low32(source), r.CFG_SRC_ADDR_LOW),
      );
      out.put(unit, r.CFG_SRC_ADDR_HIGH, high32(source));
      out.put(
        unit,
        r.CFG_DST_ADDR_LOW,
        layer.fits(`${field}.destination_address`, low32(destination), r.CFG_DST_ADDR_LOW),
      );
      out.put(unit, r.CFG_DST_ADDR_HIGH, high32(destination));
      out.put(unit, r.CFG_LINE, transfer.line_size / LINE_UNIT - 1);
      out.put(
        unit,
        r.CFG_CMD,
        r.CFG_CMD.f.SRC_RAM_TYPE.of(ramType(sourceType)) |
          r.CFG_CMD.f.DST_RAM_TYPE.of(ramType(destinationType)),
      );
      out.put(unit, r.CFG_LINE_REPEAT, transfer.line_repeat - 1);
      out.put(unit, r.CFG_SRC_LINE, layer.fits(`${field}.source_line`, transfer.source_line, r.CFG_SRC_LINE));
      out.put(
        unit,
        r.CFG_DST_LINE,
        layer.fits(`${field}.destination_line`, transfer.destination_line, r.CFG_DST_LINE),
      );
      out.put(unit, r.CFG_SURF_REPEAT, transfer.surface_repeat - 1);
      out.put(
        unit,
        r.CFG_SRC_SURF,
        layer.fits(`${field}.source_surface`, transfer.source_surface, r.CFG_SRC_SURF),
      );
      out.put(
        unit,
        r.CFG_DST_SURF,
        layer.fits(`${field}.destination_surface`, transfer.destination_surface, r.CFG_DST_SURF),
      );
      out.put(unit, r.CFG_OP, r.CFG_OP.f.EN.of(1));
    }
  }

  /** From the first byte of a transfer to one past its last. */
  function bytes(line: number, surface: number): number {
    return (transfer.surface_repeat - 1) * surface + (transfer.line_repeat - 1) * line + transfer.line_size;
  }

  function memoryType(layer: Layer, field: string, offset: number): number {
    const type = layer.view.getUint8(layer.surface + offset);
    return layer.between(field, type, 0, config.cvsram ? MemType.CV : MemType.MC);
  }

  function check(layer: Layer, field: string): void {
    const size = layer.between(`${field}.line_size`, transfer.line_size, LINE_UNIT, 8192 * LINE_UNIT);
    if (size % LINE_UNIT !== 0) layer.reject(`${field}.line_size`, `${size}, not a multiple of ${LINE_UNIT}`);
    const lines = layer.between(`${field}.line_repeat`, transfer.line_repeat, 1, MAX_REPEAT);
    layer.between(`${field}.surface_repeat`, transfer.surface_repeat, 1, MAX_REPEAT);
    const most = 0xffffffff;
    layer.between(`${field}.source_line`, transfer.source_line, size, most);
    layer.between(`${field}.destination_line`, transfer.destination_line, size, most);
    layer.between(`${field}.source_surface`, transfer.source_surface, transfer.source_line * lines, most);
    layer.between(
      `${field}.destination_surface`,
      transfer.destination_surface,
      transfer.destination_line * lines,
      most,
    );
  }

  const statistics = (
    read: typeof r.STATUS_GRP0_READ_STALL,
    write: typeof r.STATUS_GRP0_WRITE_STALL,
  ): Statistics => ({
    enable: { unit, register: r.CFG_STATUS },
    counters: [
      { unit, register: read, at: 0 },
      { unit, register: write, at: 4 },
    ],
    runtime: 8,
  });
  const groupStatistics = [
    statistics(r.STATUS_GRP0_READ_STALL, r.STATUS_GRP0_WRITE_STALL),
    statistics(r.STATUS_GRP1_READ_STALL, r.STATUS_GRP1_WRITE_STALL),
  ];

  return {
    engine: 'bdma',
    doneBit: interruptBit.BDMA,
    encode,
    consumer: () => r.STATUS.f.GRP0_BUSY.get(hardware.read(unit, r.STATUS)),
    rdmaConsumer: () => 0,
    select() {
      // The launch register names the group.
    },
    idle: () => true,
    freeSlots: () => r.STATUS.f.FREE_SLOT.get(hardware.read(unit, r.STATUS)),
    enable(group) {
      hardware.write(unit, group === 0 ? r.CFG_LAUNCH0 : r.CFG_LAUNCH1, 1);
      return true;
    },
    statistics: (group) => groupStatistics[group]!,
  };
}
