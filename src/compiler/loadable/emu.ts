// Descriptors of what the user-mode runtime computes itself (the vendor's "emulator"): emu_interface.h. Data only.
// Source: fact sheet section 8. Addresses are indices into the task's address list.
import { f32, s16, struct, u16, u32, u8 } from '../../base/struct.js';

export const EmuOpType = { POWER: 0, SOFTMAX: 1 } as const;

/** format of a buffer. Elements of INT8_8 lie in atoms of 8 bytes, the others' in atoms of 32. */
export const EmuFormat = { INT8: 0, INT8_8: 1, INT16: 2, FF16: 3, UINT8: 4, UINT16: 5 } as const;

/** Formats of the old layout by number: int8, int16, fp16. */
export const oldEmuFormats = [EmuFormat.INT8, EmuFormat.INT16, EmuFormat.FF16] as const;

/** Records in memory are this far apart whatever they need. An operation has two buffers: source, destination. */
export const EMU_BUFFER_BYTES = 256;
export const EMU_BUFFERS_PER_OP = 2;

const pack = 4;

export const EmuNetworkDesc = struct(
  'emu_network_desc',
  { operation_desc_index: s16, operation_buffer_desc_index: s16, num_operations: u16 },
  { bytes: 6 },
);

/** The union of operations: softmax has its axis, a byte, where power's exponent begins. */
export const EmuOpDesc = struct(
  'emu_operation_container',
  { op_type: u8, input_scale_factor: f32, output_scale_factor: f32, power: f32, scale: f32, shift: f32 },
  { bytes: 24, pack },
);
export const EMU_SOFTMAX_AXIS = EmuOpDesc.offsets.power;

export const EmuBufferDesc = struct(
  'emu_buffer_desc',
  {
    addressIndex: s16,
    addressIndexOffset: u32,
    size: u32,
    format: u16,
    width: u16,
    height: u16,
    channel: u16,
    line_stride: u32,
    surf_stride: u32,
  },
  { bytes: 26, pack: 1 },
);

/** Operation of old loadables: no scale factors. The record is 16 bytes. */
export const EmuOpDescV0 = struct(
  'emu_operation_container (old)',
  { op_type: u8, power: f32, scale: f32, shift: f32 },
  { bytes: 13, pack: 1 },
);
export const OLD_EMU_OP_BYTES = 16;

/** Buffer of old loadables: no offset. */
export const EmuBufferDescV0 = struct(
  'emu_buffer_desc (old)',
  {
    addressIndex: s16,
    size: u32,
    format: u16,
    width: u16,
    height: u16,
    channel: u16,
    line_stride: u32,
    surf_stride: u32,
  },
  { bytes: 22, pack: 1 },
);
