// Placed buffers: addresses that are never reused, and no growth over time.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PlacedMemory } from '../../src/core/index.js';
import { fails } from './system.js';

describe('placed memory', () => {
  it('finds the right one of many buffers by pointer', () => {
    const memory = new PlacedMemory();
    const placed = Array.from({ length: 1000 }, (_, i) => memory.place(new Uint8Array(1 + i).fill(i)));
    for (const [i, { pointer }] of placed.entries()) {
      assert.equal(memory.read(pointer + BigInt(i), 1)[0], i & 0xff);
    }
  });

  it('shares the buffer, and a written range that does not fit writes nothing', async () => {
    const memory = new PlacedMemory();
    const bytes = new Uint8Array(4);
    const { pointer } = memory.place(bytes);
    memory.write(pointer + 1n, Uint8Array.of(1, 2));
    await fails(() => memory.write(pointer + 3n, Uint8Array.of(9, 9)), 'EFAULT');
    assert.deepEqual([...bytes], [0, 1, 2, 0]);
  });

  it('never gives an address twice, and forgets what is taken away in any order', async () => {
    const memory = new PlacedMemory();
    const seen = new Set<bigint>();
    let kept: (Disposable & { pointer: bigint })[] = [];
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 20; i++) kept.push(memory.place(new Uint8Array(8)));
      for (const { pointer } of kept.slice(-20)) seen.add(pointer);
      for (const [i, placed] of kept.entries()) if (i % 2 === round % 2) placed[Symbol.dispose]();
      kept = kept.filter((_, i) => i % 2 !== round % 2);
    }
    assert.equal(seen.size, 1000);
    assert.equal(memory.count, kept.length);
    for (const { pointer } of kept) assert.equal(memory.read(pointer, 8).length, 8);
    for (const placed of kept) placed[Symbol.dispose]();
    assert.equal(memory.count, 0);
    await fails(() => memory.read(kept[0]!.pointer, 1), 'EFAULT');
  });

  it('of zero bytes reads nothing from anywhere', () => {
    assert.equal(new PlacedMemory().read(0n, 0).length, 0);
  });
});
