// EMU1 tasks: the operations that NVDLA's runtime computes itself, power and softmax, on the memory that the device uses.
// Source: fact sheet section 8 (Emulator.cpp); halves are rounded as its library does, ties away from zero. Not a device.
import { AccelError } from '../../base/errors.js';
import { floatToHalf, halfToFloat } from '../../compiler/ir/evaluate/half.js';
import {
  EMU_BUFFER_BYTES,
  EMU_BUFFERS_PER_OP,
  EmuBufferDesc,
  EmuFormat,
  EmuNetworkDesc,
  EmuOpDesc,
  EmuOpType,
} from '../../compiler/loadable/index.js';

type BufferDesc = ReturnType<(typeof EmuBufferDesc)['from']>;
type OpDesc = ReturnType<(typeof EmuOpDesc)['from']>;

const { fround } = Math;

/** Bytes of an atom and of an element, of the formats that the vendor's runtime computes with. */
const formats: ReadonlyMap<number, { readonly atom: number; readonly size: number }> = new Map([
  [EmuFormat.INT8, { atom: 32, size: 1 }],
  [EmuFormat.INT8_8, { atom: 8, size: 1 }],
  [EmuFormat.FF16, { atom: 32, size: 2 }],
]);

/** The memory behind each entry of a task's address list, from its offset to the end; undefined where there is none. */
export type EmuAddresses = readonly (Uint8Array | undefined)[];

/** Runs a task; entry 0 is its network descriptor. @throws AccelError EINVAL, EOPNOTSUPP with the operation and the field */
export function emulate(addresses: EmuAddresses): void {
  const network = EmuNetworkDesc.from(memory(addresses, 0, EmuNetworkDesc.size, 'address_list[0]'));
  const count = network.num_operations;
  if (count === 0) return;
  const operations = memory(
    addresses,
    network.operation_desc_index,
    count * EmuOpDesc.size,
    'operation_desc_index',
  );
  const buffers = memory(
    addresses,
    network.operation_buffer_desc_index,
    count * EMU_BUFFERS_PER_OP * EMU_BUFFER_BYTES,
    'operation_buffer_desc_index',
  );
  for (let i = 0; i < count; i++) {
    const operation = EmuOpDesc.from(operations, i * EmuOpDesc.size);
    const at = i * EMU_BUFFERS_PER_OP * EMU_BUFFER_BYTES;
    const name = `EMU operation ${i}`;
    const source = new Buffer(addresses, EmuBufferDesc.from(buffers, at), `${name}: src_data`);
    const target = new Buffer(
      addresses,
      EmuBufferDesc.from(buffers, at + EMU_BUFFER_BYTES),
      `${name}: dst_data`,
    );
    if (source.desc.format !== target.desc.format)
      throw new AccelError('EOPNOTSUPP', {
        field: `${name}: format`,
        reason: `from ${source.desc.format} to ${target.desc.format}: both must be the same`,
      });
    if (operation.op_type === EmuOpType.POWER) power(operation, source, target);
    else if (operation.op_type === EmuOpType.SOFTMAX) softmax(operation, source, target);
    else
      throw new AccelError('EOPNOTSUPP', {
        field: `${name}: op_type`,
        reason: `${operation.op_type}; there are power 0 and softmax 1`,
      });
  }
}

function memory(addresses: EmuAddresses, index: number, bytes: number, field: string): Uint8Array {
  const found = addresses[index];
  if (found === undefined)
    throw new AccelError('EINVAL', {
      field,
      reason: `${index} of a list of ${addresses.length} has no memory`,
    });
  if (found.length < bytes)
    throw new AccelError('EINVAL', { field, reason: `${bytes} bytes of a memory of ${found.length}` });
  return found;
}

/** A cube of one operation, its elements as reals. */
class Buffer {
  readonly desc: BufferDesc;
  readonly half: boolean;
  readonly #view: DataView;
  readonly #atom: number;
  readonly #size: number;
  readonly #field: string;

  constructor(addresses: EmuAddresses, desc: BufferDesc, field: string) {
    const format = formats.get(desc.format);
    if (format === undefined)
      throw new AccelError('EOPNOTSUPP', {
        field: `${field}.format`,
        reason: `${desc.format}; int8 0, int8 in atoms of 8 bytes 1, fp16 3 are computed with`,
      });
    const bytes = memory(addresses, desc.addressIndex, desc.addressIndexOffset, `${field}.addressIndex`);
    this.desc = desc;
    this.half = desc.format === EmuFormat.FF16;
    this.#view = new DataView(
      bytes.buffer,
      bytes.byteOffset + desc.addressIndexOffset,
      bytes.byteLength - desc.addressIndexOffset,
    );
    this.#atom = format.atom;
    this.#size = format.size;
    this.#field = field;
  }

  /** That a cube of this size lies in the memory, and no byte of it is meant more than the memory has bytes. */
  cube({ width, height, channel }: Pick<BufferDesc, 'width' | 'height' | 'channel'>): void {
    if (width === 0 || height === 0 || channel === 0) return;
    const lanes = this.#atom / this.#size;
    const last = Math.floor((channel - 1) / lanes);
    const inSurface = (height - 1) * this.desc.line_stride + (width - 1) * this.#atom;
    const end = last * this.desc.surf_stride + inSurface + Math.min(channel, lanes) * this.#size;
    this.#room(Math.max(end, width * height * channel * this.#size));
  }

  /** That `count` elements in a row lie in the memory. */
  row(count: number): void {
    this.#room(count * this.#size);
  }

  #room(bytes: number): void {
    if (bytes <= this.#view.byteLength) return;
    const reason = `${bytes} bytes of a memory of ${this.#view.byteLength}`;
    throw new AccelError('EINVAL', { field: `${this.#field}.size`, reason });
  }

  /** Byte offset of an element. */
  place(c: number, y: number, x: number): number {
    const lanes = this.#atom / this.#size;
    return (
      Math.floor(c / lanes) * this.desc.surf_stride +
      y * this.desc.line_stride +
      x * this.#atom +
      (c % lanes) * this.#size
    );
  }

  half16(at: number): number {
    return halfToFloat(this.#view.getUint16(at, true));
  }

  int8(at: number): number {
    return this.#view.getInt8(at);
  }

  setHalf(at: number, value: number): void {
    this.#view.setUint16(at, floatToHalf(value, 'away'), true);
  }

  /** Saturates, then cuts towards zero. NaN becomes 0, as on x86. */
  setInt8(at: number, value: number): void {
    this.#view.setInt8(at, Number.isNaN(value) ? 0 : Math.trunc(Math.max(-128, Math.min(127, value))));
  }
}

/** powf: C says 1 where JavaScript says NaN. */
function powf(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && !Number.isFinite(exponent) && !Number.isNaN(exponent))) return 1;
  return fround(base ** exponent);
}

/** Of each element: (shift + scale x) ^ power. The cube is the source's. */
function power(
  { input_scale_factor, output_scale_factor, power: exponent, scale, shift }: OpDesc,
  source: Buffer,
  target: Buffer,
): void {
  const { width, height, channel } = source.desc;
  source.cube(source.desc);
  target.cube(source.desc);
  for (let c = 0; c < channel; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const from = source.place(c, y, x);
        const to = target.place(c, y, x);
        const value = source.half ? source.half16(from) : fround(source.int8(from) * input_scale_factor);
        const made = powf(fround(shift + fround(scale * value)), exponent);
        if (source.half) target.setHalf(to, made);
        else target.setInt8(to, fround(made / output_scale_factor));
      }
}

/** Over `channel` elements in a row, whatever the strides say; in float, summed in order. */
function softmax({ input_scale_factor, output_scale_factor }: OpDesc, source: Buffer, target: Buffer): void {
  const { channel } = source.desc;
  source.row(channel);
  const results = source.half ? channel : target.desc.channel;
  if (results > channel)
    throw new AccelError('EINVAL', {
      field: 'EMU softmax: dst_data.channel',
      reason: `${results}, the source has ${channel}`,
    });
  target.row(results);
  const values = new Float32Array(channel);
  for (let i = 0; i < channel; i++)
    values[i] = source.half
      ? source.half16(2 * i)
      : halfToFloat(floatToHalf(fround(source.int8(i) * input_scale_factor), 'away'));
  let most = -Infinity;
  for (const value of values) if (value > most) most = value;
  let sum = 0;
  for (let i = 0; i < channel; i++) {
    values[i] = Math.exp(fround(values[i]! - most));
    sum = fround(sum + values[i]!);
  }
  for (let i = 0; i < results; i++) {
    const share = fround(values[i]! / sum);
    if (source.half) target.setHalf(2 * i, share);
    else target.setInt8(i, fround(halfToFloat(floatToHalf(share, 'away')) / output_scale_factor));
  }
}
