// Reads the vendor's trace-player transactions (`input.txn`): memory, register writes and read-backs, waits, memory dumps.
// Not a player: see play.ts.
import { AccelError } from '../../base/errors.js';
import { crc32 } from './crc32.js';
import type { MemoryRegion, Space, Step, Vector } from './vector.js';

/** Bytes of memory taken to be behind an address that a register is given. */
const RESERVE = 1 << 16;

export interface TxnSource {
  readonly name: string;
  readonly config: string;
  /** The transactions. */
  readonly text: string;
  /** Text of a memory image named in them. */
  readData(name: string): string;
}

/** Registers are numbered in words from here. */
const REGISTERS = 0xffff0000;
/** Where the recording system had its memories: CV-SRAM in the quarter of the map from here, DRAM above. */
const SRAM = { start: 0x50000000, end: 0x80000000 };

/** @throws AccelError EINVAL a transaction that is not known, or memory set up after the first access, with its line */
export function parseTxn(source: TxnSource): Vector {
  const memory: MemoryRegion[] = [];
  const steps: Step[] = [];
  const reserved: MemoryRegion[] = [];
  const lines = source.text.split('\n');
  let unit = '';
  for (const [number, raw] of lines.entries()) {
    const [line, note = ''] = split(raw);
    if (line === '') continue;
    const [kind, ...words] = line.split(/\s+/);
    const numbers = words.map(Number);
    const bad = (reason: string): AccelError =>
      new AccelError('EINVAL', { field: `${source.name} line ${number + 1}`, reason });
    const bytesOf = (): Uint8Array => {
      const bytes = parseDump(source.readData(words[2] ?? ''));
      // An image may be longer than what is loaded of it.
      if (bytes.length < numbers[1]) throw bad(`${words[2]} has ${bytes.length} bytes, not ${words[1]}`);
      return bytes.subarray(0, numbers[1]);
    };
    switch (kind) {
      case 'load_mem': {
        const contents = bytesOf();
        memory.push({ space: space(numbers[0]), address: numbers[0], bytes: contents.length, contents });
        break;
      }
      case 'dump_mem': {
        const contents = bytesOf();
        const where = { space: space(numbers[0]), address: numbers[0], bytes: contents.length };
        steps.push({ kind: 'check', expected: { ...where, crc32: crc32(contents), contents } });
        break;
      }
      case 'write_reg':
        steps.push({ kind: 'write', offset: register(numbers[0]), value: numbers[1] >>> 0, name: note });
        // Where results go that are not dumped there was memory too.
        if (note.includes('ADDR_LOW')) {
          const address = numbers[1] - (numbers[1] % RESERVE);
          reserved.push({ space: space(address), address, bytes: RESERVE, contents: 0 });
        }
        unit = /NVDLA_(\w+)\.D_OP_ENABLE|NVDLA_(BDMA)\./.exec(note)?.slice(1).find(Boolean) ?? unit;
        break;
      case 'read_reg':
        steps.push({
          kind: 'poll',
          offset: register(numbers[0]),
          mask: numbers[1],
          value: numbers[2],
          name: note,
        });
        break;
      case 'wait':
        steps.push({ kind: 'wait' });
        break;
      default:
        throw bad(`unknown transaction ${kind}`);
    }
    if (numbers.some(Number.isNaN) && !kind.endsWith('_mem')) throw bad(`no number: ${line}`);
  }
  return {
    name: source.name,
    config: source.config,
    unit: unit.toLowerCase(),
    memory: [...reserved, ...memory],
    steps,
  };
}

/** A line without its comment, and the comment. */
function split(raw: string): [string, string?] {
  const at = raw.indexOf('#');
  return at < 0 ? [raw.trim()] : [raw.slice(0, at).trim(), raw.slice(at + 1).trim()];
}

function register(address: number): number {
  return (address - REGISTERS) * 4;
}

function space(address: number): Space {
  return address >= SRAM.start && address < SRAM.end ? 'cvsram' : 'dbb';
}

/** A memory image: some lines that describe it, then its bytes as `0x00 0x1f ...`. */
export function parseDump(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const line of text.split('\n')) {
    if (!/^\s*0x[0-9a-f]{2}(\s|$)/i.test(line)) continue;
    for (const word of line.trim().split(/\s+/)) bytes.push(Number(word));
  }
  return Uint8Array.from(bytes);
}
