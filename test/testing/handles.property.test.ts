// Property: whatever sequence of buffer calls two files make, handles, errno, shared bytes and DRAM are a small model's.
// Not the byte-level fuzzer: every call here is well-formed, and its exact answer is known.
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { suiteSystem } from '../../src/node/suite-system.js';
import {
  adapterFor,
  Bench,
  closeGem,
  exportGem,
  importGem,
  map,
  outcomeOf,
  same,
  type SuiteBuffer,
} from '../../src/testing/index.js';

const PAGE = 4096;

/** A buffer as the model sees it. */
interface Thing {
  readonly pages: number;
  readonly offset: bigint;
  /** Byte written last, to know it again. */
  mark: number;
  holders: number;
}

interface ModelFile {
  readonly handles: Map<number, Thing>;
  readonly fds: Map<number, Thing>;
}

type Step =
  | { readonly op: 'create'; readonly file: number; readonly pages: number }
  | { readonly op: 'close' | 'export' | 'mark'; readonly file: number; readonly handle: number }
  | { readonly op: 'import' | 'closeFd'; readonly file: number; readonly fd: number }
  | { readonly op: 'pass'; readonly file: number; readonly fd: number };

const file = fc.integer({ min: 0, max: 1 });
const handle = fc.integer({ min: 0, max: 6 });
const fd = fc.integer({ min: 2, max: 8 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op: fc.constant('create' as const), file, pages: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ op: fc.constantFrom('close' as const, 'export' as const, 'mark' as const), file, handle }),
  fc.record({ op: fc.constantFrom('import' as const, 'closeFd' as const, 'pass' as const), file, fd }),
);

function free(taken: ReadonlyMap<number, unknown>, first: number): number {
  let number = first;
  while (taken.has(number)) number++;
  return number;
}

async function follows(board: string, steps: readonly Step[]): Promise<void> {
  const bench = new Bench(
    suiteSystem({ board, engines: 'inline', count: 1 }),
    adapterFor(board).adapter,
    'inline',
  );
  const files = [bench.open(), bench.open()];
  const model: ModelFile[] = files.map(() => ({ handles: new Map(), fds: new Map() }));
  const base = bench.used;
  const things = new Set<Thing>();
  const drop = (thing: Thing): void => {
    if (--thing.holders === 0) things.delete(thing);
  };
  let mark = 0;
  for (const one of steps) {
    const real = files[one.file]!;
    const { handles, fds } = model[one.file]!;
    switch (one.op) {
      case 'create': {
        const buffer: SuiteBuffer = await bench.adapter.createBuffer(real, one.pages * PAGE);
        const thing: Thing = { pages: one.pages, offset: buffer.offset, mark: 0, holders: 1 };
        same(buffer.handle, free(handles, 1), 'handle');
        handles.set(buffer.handle, thing);
        things.add(thing);
        break;
      }
      case 'close': {
        const thing = handles.get(one.handle);
        same(await outcomeOf(closeGem(real, one.handle)), thing === undefined ? 'EINVAL' : 'ok', 'close');
        if (thing === undefined) break;
        handles.delete(one.handle);
        drop(thing);
        break;
      }
      case 'export': {
        const thing = handles.get(one.handle);
        if (thing === undefined) {
          same(await outcomeOf(exportGem(real, one.handle)), 'ENOENT', 'export');
          break;
        }
        const made = await exportGem(real, one.handle);
        same(made, free(fds, 3), 'descriptor');
        fds.set(made, thing);
        thing.holders++;
        break;
      }
      case 'import': {
        const thing = fds.get(one.fd);
        if (thing === undefined) {
          same(await outcomeOf(importGem(real, one.fd)), 'EBADF', 'import');
          break;
        }
        const known = [...handles].find(([, other]) => other === thing)?.[0];
        const expected = known ?? free(handles, 1);
        same(await importGem(real, one.fd), expected, 'handle of an import');
        if (known !== undefined) break;
        handles.set(expected, thing);
        thing.holders++;
        break;
      }
      case 'closeFd': {
        const thing = fds.get(one.fd);
        same(
          await outcomeOf(real.closeFd(one.fd)),
          thing === undefined ? 'EBADF' : 'ok',
          'close of a descriptor',
        );
        if (thing === undefined) break;
        fds.delete(one.fd);
        drop(thing);
        break;
      }
      case 'pass': {
        const thing = fds.get(one.fd);
        if (thing === undefined) break;
        const there = model[1 - one.file]!;
        const { fds: table } = files[1 - one.file]!.client.process;
        const made = table.install(real.client.process.fds.get(one.fd));
        same(made, free(there.fds, 3), 'descriptor passed');
        there.fds.set(made, thing);
        thing.holders++;
        break;
      }
      case 'mark': {
        const thing = handles.get(one.handle);
        const offset = thing?.offset ?? [...things][0]?.offset;
        if (offset === undefined) break;
        if (thing === undefined) {
          const mine = [...handles.values()].some((other) => other.offset === offset);
          const opened = real.mmap(offset, PAGE);
          same(await outcomeOf(opened), mine ? 'ok' : 'EACCES', 'mmap');
          if (mine) (await opened)[Symbol.dispose]();
          break;
        }
        using mapping = await map(real, { offset, size: thing.pages * PAGE });
        same(mapping.bytes[0], thing.mark, 'the byte written last, by whichever file');
        thing.mark = ++mark & 0xff;
        mapping.bytes[0] = thing.mark;
        break;
      }
    }
    const pages = [...things].reduce((sum, thing) => sum + thing.pages, 0);
    same(bench.used - base, pages * PAGE, 'DRAM in use');
  }
  await bench.verify();
  bench.dispose();
}

describe('buffer calls in any order', () => {
  for (const board of ['null', 'nvdla:nv_small']) {
    it(`give the model's handles and errno, and hold nothing at the end: ${board}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), (steps) => follows(board, steps)),
        { numRuns: 100, seed: 20261125 },
      );
    });
  }
});
