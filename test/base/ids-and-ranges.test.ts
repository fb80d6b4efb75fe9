// Ids and address ranges, against simple models of themselves. Not what they are used for.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { IdTable } from '../../src/base/id-table.js';
import { IntMap } from '../../src/base/int-map.js';
import { RangeAllocator } from '../../src/base/range-allocator.js';

describe('an id table', () => {
  it('gives the smallest free id, from 1', () => {
    const table = new IdTable<string>();
    assert.deepEqual([table.add('a'), table.add('b'), table.add('c')], [1, 2, 3]);
    table.remove(2);
    table.remove(1);
    assert.deepEqual([table.add('d'), table.add('e'), table.add('f')], [1, 2, 4]);
  });

  it('returns undefined past its limit and for ids not in use', () => {
    const table = new IdTable<string>({ first: 0, limit: 1 });
    assert.equal(table.add('a'), 0);
    assert.equal(table.add('b'), undefined);
    assert.equal(table.remove(5), undefined);
    assert.equal(table.get(-1), undefined);
  });

  it('behaves as a sorted list of free numbers under any history', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(30))), (history) => {
        const table = new IdTable<number>();
        const held = new Set<number>();
        for (const step of history) {
          if (step === null) {
            let expected = 1;
            while (held.has(expected)) expected++;
            assert.equal(table.add(1), expected);
            held.add(expected);
          } else assert.equal(table.remove(step) !== undefined, held.delete(step));
          assert.equal(table.size, held.size);
        }
      }),
    );
  });
});

describe('an integer map', () => {
  it('behaves as a Map under any history', () => {
    // Few keys, many of which fall on one place of a small table.
    const key = fc.oneof(fc.nat(20), fc.integer({ min: 0xffffffe0, max: 0xffffffff }));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('set', 'delete'), key)), (history) => {
        const map = new IntMap<number>();
        const model = new Map<number, number>();
        for (const [i, [what, at]] of history.entries()) {
          if (what === 'set') {
            map.set(at, i);
            model.set(at, i);
          } else assert.equal(map.delete(at), model.delete(at));
          assert.equal(map.size, model.size);
          for (const [held, value] of model) assert.equal(map.get(held), value);
          assert.equal(map.has(at), model.has(at));
        }
        const sorted = [...map.values()].sort((a, b) => a - b);
        assert.deepEqual(
          sorted,
          [...model.values()].sort((a, b) => a - b),
        );
        map.clear();
        assert.equal(map.size, 0);
      }),
    );
  });
});

describe('a range allocator', () => {
  it('gives the lowest gap that fits, aligned', () => {
    const ranges = new RangeAllocator(0x1000, 0x10000);
    assert.equal(ranges.allocate(0x100), 0x1000);
    assert.equal(ranges.allocate(0x1000, 0x1000), 0x2000);
    assert.equal(ranges.allocate(0x100), 0x1100);
  });

  it('refuses what does not fit, what is taken and what it never gave', () => {
    const ranges = new RangeAllocator(0, 16);
    assert.equal(ranges.allocate(17), undefined);
    assert.equal(ranges.reserve(4, 4), true);
    assert.equal(ranges.reserve(7, 2), false);
    assert.equal(ranges.reserve(15, 2), false);
    assert.equal(ranges.free(5), undefined);
    assert.equal(ranges.allocate(0), undefined);
  });

  it('always gives the lowest place, whatever was taken and freed before', () => {
    const step = fc.tuple(
      fc.constantFrom('allocate', 'allocate', 'reserve', 'free'),
      fc.integer({ min: 0, max: 63 }),
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom(1, 4),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (history) => {
        const ranges = new RangeAllocator(8, 56);
        const taken = new Array<number>(64).fill(0);
        taken.fill(-1, 0, 8);
        const sizes = new Map<number, number>();
        const fits = (at: number, size: number): boolean =>
          at + size <= 64 && taken.slice(at, at + size).every((one) => one === 0);
        for (const [what, at, size, align] of history) {
          let where: number | undefined;
          if (what === 'free') {
            assert.equal(ranges.sizeOf(at), sizes.get(at));
            assert.equal(ranges.free(at), sizes.get(at));
            taken.fill(0, at, at + (sizes.get(at) ?? 0));
            sizes.delete(at);
            continue;
          }
          if (what === 'reserve') where = ranges.reserve(at, size) ? at : undefined;
          else where = ranges.allocate(size, align);
          const expected =
            what === 'reserve'
              ? fits(at, size)
                ? at
                : undefined
              : taken.findIndex((_, place) => place % align === 0 && fits(place, size));
          assert.equal(where ?? -1, expected ?? -1);
          if (where === undefined) continue;
          taken.fill(1, where, where + size);
          sizes.set(where, size);
          assert.equal(ranges.count, sizes.size);
        }
      }),
    );
  });

  it('never overlaps and is whole again when all is freed', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 40 }))), (history) => {
        const ranges = new RangeAllocator(0, 256);
        const held: [number, number][] = [];
        for (const [free, size] of history) {
          if (free && held.length > 0) {
            const [at, length] = held.splice(size % held.length, 1)[0]!;
            assert.equal(ranges.free(at), length);
            continue;
          }
          const at = ranges.allocate(size);
          if (at === undefined) continue;
          assert.ok(held.every(([other, length]) => at + size <= other || other + length <= at));
          held.push([at, size]);
        }
        assert.equal(
          ranges.used,
          held.reduce((sum, [, size]) => sum + size, 0),
        );
        for (const [at] of held) ranges.free(at);
        assert.equal(ranges.allocate(256), 0);
      }),
    );
  });
});
