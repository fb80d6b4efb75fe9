// Reads the vendor's register traces: a script of memory set-up, register writes, interrupts and CRC checks.
// Not a player: see play.ts.
import { AccelError } from '../../base/errors.js';
import type { Space, Step, MemoryRegion, Vector } from './vector.js';

/** What a trace's names mean on its configuration. */
export interface TraceResolver {
  /** Byte offset of `NVDLA_SDP.D_STATUS_0`. */
  offset(name: string): number;
  /** Status bits of `SDP_0`. */
  interrupt(name: string): number;
}

export interface TraceSource {
  readonly name: string;
  readonly config: string;
  /** The script. */
  readonly text: string;
  readonly names: TraceResolver;
  /** Text of a memory image named in the script. */
  readData(name: string): string;
}

/** @throws AccelError EINVAL a statement or name that is not known, with its line */
export function parseTrace(source: TraceSource): Vector {
  const memory: MemoryRegion[] = [];
  const steps: Step[] = [];
  const lines = source.text.split('\n');
  for (const [number, raw] of lines.entries()) {
    const line = raw.replace(/\/\/.*$/, '').trim();
    if (line === '') continue;
    const match = /^(\w+)\s*\((.*)\)\s*;?$/.exec(line);
    const bad = (reason: string): AccelError =>
      new AccelError('EINVAL', { field: `${source.name} line ${number + 1}`, reason });
    if (match === null) throw bad(`no statement: ${line}`);
    const [, statement, list] = match;
    const args = list.split(',').map((word) => word.trim().replace(/^"|"$/g, ''));
    switch (statement) {
      case 'mem_init':
        if (args[3] !== 'ALL_ZERO') throw bad(`pattern ${args[3]}`);
        memory.push({
          space: space(args[0]),
          address: Number(args[1]),
          bytes: Number(args[2]),
          contents: 0,
        });
        break;
      case 'mem_load':
        for (const run of parseData(source.readData(args[2]))) {
          const address = Number(args[1]) + run.offset;
          memory.push({ space: space(args[0]), address, bytes: run.bytes.length, contents: run.bytes });
        }
        break;
      case 'reg_write':
        steps.push({
          kind: 'write',
          offset: source.names.offset(args[0]),
          value: Number(args[1]),
          name: args[0],
        });
        break;
      case 'poll_reg_equal': {
        const value = Number(args[1]);
        const offset = source.names.offset(args[0]);
        steps.push({ kind: 'poll', offset, mask: 0xffffffff, value, name: args[0] });
        break;
      }
      case 'intr_notify':
        steps.push({ kind: 'interrupt', mask: source.names.interrupt(args[0]) });
        break;
      case 'check_crc': {
        const expected = { space: space(args[1]), address: Number(args[2]), bytes: Number(args[3]) };
        steps.push({ kind: 'check', expected: { ...expected, crc32: Number(args[4]) >>> 0 } });
        break;
      }
      // Order between the script's threads: here all is one thread.
      case 'sync_notify':
      case 'sync_wait':
      case 'check_nothing':
        break;
      default:
        throw bad(`unknown statement ${statement}`);
    }
  }
  const unit = source.name.split('_')[0];
  return { name: source.name, config: source.config, unit, memory, steps };
}

function space(word: string): Space {
  if (word === 'pri_mem' || word === '1') return 'dbb';
  if (word === 'sec_mem') return 'cvsram';
  throw new AccelError('EINVAL', { field: word, reason: 'neither pri_mem nor sec_mem' });
}

/** A memory image: lines `{offset:0x20, size:4, payload:0x8c 0x16 0x5f 0xc6}`, as runs of consecutive bytes. */
export function parseData(text: string): { offset: number; bytes: Uint8Array }[] {
  const runs: { offset: number; bytes: number[] }[] = [];
  for (const match of text.matchAll(/\{\s*offset:\s*(\w+),\s*size:\s*(\w+),\s*payload:\s*([^}]*)\}/g)) {
    const offset = Number(match[1]);
    const bytes = match[3].trim().split(/\s+/).map(Number);
    if (bytes.length !== Number(match[2])) {
      throw new AccelError('EINVAL', {
        field: `offset ${match[1]}`,
        reason: `${bytes.length} bytes, says ${match[2]}`,
      });
    }
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.bytes.length === offset) {
      for (const byte of bytes) last.bytes.push(byte);
    } else {
      runs.push({ offset, bytes });
    }
  }
  return runs.map(({ offset, bytes }) => ({ offset, bytes: Uint8Array.from(bytes) }));
}
