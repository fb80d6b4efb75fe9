// Reads `nvdla-layer-trace/1` vectors: single layers with the outputs of the vendor's C model.
// Not a player: see play.ts.
import { AccelError } from '../../base/errors.js';
import { crc32 } from './crc32.js';
import type { Expectation, MemoryRegion, Space, Step, Vector } from './vector.js';

interface CmodFile {
  readonly format: string;
  readonly config: string;
  readonly name: string;
  readonly unit: string;
  readonly memory: readonly {
    readonly space: Space;
    readonly addr: string;
    readonly bytes: number;
    readonly file?: string;
    readonly fill?: number;
  }[];
  readonly steps: readonly (readonly string[])[];
  readonly outputs: readonly {
    readonly space: Space;
    readonly addr: string;
    readonly bytes: number;
    readonly file: string;
    readonly crc32: string;
  }[];
  /** Registers read at the end: address, value, name. */
  readonly readback?: readonly (readonly [string, string, string])[];
}

/**
 * @param json the parsed file
 * @param readFile unpacked bytes of a file named in it
 * @throws AccelError EINVAL another format, or a file of another size than stated
 */
export function parseCmod(json: unknown, readFile: (name: string) => Uint8Array): Vector {
  const file = json as CmodFile;
  if (file.format !== 'nvdla-layer-trace/1') {
    throw new AccelError('EINVAL', { field: 'format', reason: `${file.format}, not nvdla-layer-trace/1` });
  }
  const contentsOf = (name: string, bytes: number): Uint8Array => {
    const contents = readFile(name);
    if (contents.length !== bytes) {
      throw new AccelError('EINVAL', { field: name, reason: `${contents.length} bytes, should be ${bytes}` });
    }
    return contents;
  };
  const memory = file.memory.map((region): MemoryRegion => {
    const { space, bytes } = region;
    const contents = region.file === undefined ? (region.fill ?? 0) : contentsOf(region.file, bytes);
    return { space, address: Number(region.addr), bytes, contents };
  });
  const steps = file.steps.map(step);
  for (const output of file.outputs) {
    const contents = contentsOf(output.file, output.bytes);
    const stated = Number.parseInt(output.crc32, 16);
    if (crc32(contents) !== stated) {
      throw new AccelError('EINVAL', { field: output.file, reason: 'its CRC is not the one stated' });
    }
    const { space, bytes } = output;
    const expected: Expectation = { space, address: Number(output.addr), bytes, crc32: stated, contents };
    steps.push({ kind: 'check', expected });
  }
  for (const [offset, value, name] of file.readback ?? []) {
    // Of these only the comparison's result means the same everywhere: the C model's counters count padding too.
    if (name !== 'SDP_D_STATUS') continue;
    steps.push({ kind: 'poll', offset: Number(offset), mask: 1, value: Number(value), name });
  }
  return { name: file.name, config: file.config, unit: file.unit, memory, steps };
}

function step(words: readonly string[]): Step {
  const [kind, a, b, c, d] = words;
  switch (kind) {
    case 'w':
      return { kind: 'write', offset: Number(a), value: Number(b), name: c ?? '' };
    case 'poll':
      return { kind: 'poll', offset: Number(a), mask: Number(b), value: Number(c), name: d ?? '' };
    case 'irq':
      return { kind: 'interrupt', mask: Number(a) };
    default:
      throw new AccelError('EINVAL', { field: 'steps', reason: `unknown step ${kind}` });
  }
}
