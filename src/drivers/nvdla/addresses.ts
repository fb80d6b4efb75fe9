// A task's address list: indices in descriptors become device addresses and places in DRAM.
// Not an address space: it holds mappings of the client's space while its job lives.
import { AccelError } from '../../base/errors.js';
import { NvdlaMemHandle } from '../../abi/nvdla.js';
import type { AddressSpace, GemObject } from '../../core/index.js';
import type { Layer } from './layer.js';

const HANDLE = NvdlaMemHandle.offsets.handle;
const OFFSET = NvdlaMemHandle.offsets.offset;

/** Numbers of a request as `Addresses.record` appends them: entry, offset, bytes, the device address it came to. */
const REQUEST = 4;

export class Addresses implements Disposable {
  readonly count: number;
  /** When set, requests for device addresses are appended to it. */
  record: number[] | undefined;
  readonly #list: DataView;
  readonly #lookup: (fd: number) => GemObject;
  readonly #space: AddressSpace;
  readonly #mapped: ((iova: number, bytes: number) => void) | undefined;
  readonly #gems: (GemObject | undefined)[];
  /** Device address of each buffer's first byte, -1 while it is not mapped. */
  readonly #iovas: Float64Array;
  /** Entries whose buffer this list keeps a reference to. */
  readonly #held: GemObject[] = [];

  /**
   * `list` is the client's array of nvdla_mem_handle; `lookup` finds the buffer behind a dma-buf descriptor; `mapped`
   * is told, for traces, about each buffer mapped.
   */
  constructor(
    list: Uint8Array,
    space: AddressSpace,
    lookup: (fd: number) => GemObject,
    mapped?: (iova: number, bytes: number) => void,
  ) {
    this.count = list.length / NvdlaMemHandle.size;
    this.#list = new DataView(list.buffer, list.byteOffset, list.byteLength);
    this.#space = space;
    this.#lookup = lookup;
    this.#mapped = mapped;
    this.#gems = new Array<GemObject | undefined>(this.count);
    this.#iovas = new Float64Array(this.count).fill(-1);
  }

  /**
   * The device address of `bytes` at `offset` of entry `index`, mapped for the device until dispose.
   * @throws AccelError EINVAL index or range, EBADF descriptor, ENOSPC no room in the address space
   */
  iova(index: number, offset: number, bytes: number, layer: Layer, field: string): number {
    if (index < 0 || index >= this.count) {
      layer.reject(`${field}.address`, `${index}, the list has ${this.count}`);
    }
    const gem = this.#gem(index);
    const start = this.#start(index) + offset;
    if (start + bytes > gem.size || start >= gem.size) {
      layer.reject(`${field}.size`, `${start} + ${bytes} bytes of a buffer of ${gem.size}`);
    }
    const iova = this.#map(index, gem);
    this.record?.push(index, offset, bytes, iova + start);
    return iova + start;
  }

  /**
   * Makes recorded requests again, on this list. False when one is refused or comes to another device address.
   * @throws AccelError EBADF descriptor, ENOSPC no room in the address space
   */
  repeat(requests: Float64Array): boolean {
    for (let i = 0; i < requests.length; i += REQUEST) {
      const index = requests[i]!;
      if (index >= this.count) return false;
      const gem = this.#gem(index);
      const start = this.#start(index) + requests[i + 1]!;
      if (start + requests[i + 2]! > gem.size || start >= gem.size) return false;
      if (this.#map(index, gem) + start !== requests[i + 3]!) return false;
    }
    return true;
  }

  /**
   * The DRAM offset of `count` records of `size` bytes at entry `index`, for the processor.
   * @throws AccelError EINVAL, EBADF
   */
  records(field: string, index: number, count: number, size: number): number {
    if (index < 0 || index >= this.count) {
      throw new AccelError('EINVAL', { field, reason: `${index}, the list has ${this.count}` });
    }
    const gem = this.#gem(index);
    const start = this.#start(index);
    if (start + count * size > gem.size) {
      const reason = `${count} records of ${size} bytes at ${start} of a buffer of ${gem.size}`;
      throw new AccelError('EINVAL', { field, reason });
    }
    return gem.address + start;
  }

  /** Keeps entry `index`'s buffer alive until dispose although the device does not use it. */
  hold(index: number): void {
    this.#held.push(this.#gem(index).get());
  }

  /** Unmaps all. */
  [Symbol.dispose](): void {
    for (let i = 0; i < this.count; i++) {
      if (this.#iovas[i]! < 0) continue;
      this.#iovas[i] = -1;
      this.#space.unmap(this.#gems[i]!);
    }
    for (const gem of this.#held.splice(0)) gem.put();
  }

  #map(index: number, gem: GemObject): number {
    let iova = this.#iovas[index]!;
    if (iova < 0) {
      iova = this.#space.map(gem, 'read-write');
      this.#iovas[index] = iova;
      this.#mapped?.(iova, gem.size);
    }
    return iova;
  }

  /** Descriptors that no layer names are never looked at, as in the kernel. */
  #gem(index: number): GemObject {
    return (this.#gems[index] ??= this.#lookup(
      this.#list.getInt32(index * NvdlaMemHandle.size + HANDLE, true),
    ));
  }

  #start(index: number): number {
    const at = index * NvdlaMemHandle.size + OFFSET;
    return this.#list.getUint32(at, true) + this.#list.getUint32(at + 4, true) * 0x100000000;
  }
}
