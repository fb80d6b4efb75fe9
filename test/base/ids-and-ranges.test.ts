// Ids and address ranges, against simple models of themselves. Not what they are used for.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { IdTable } from '../../src/base/id-table.js';
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
