// C layouts: offsets, sizes, views. Not the uAPI's own structs: those are asserted where they are declared.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { array, chars, s16, s64, struct, u16, u32, u64, u8 } from '../../src/base/struct.js';

const inner = struct('inner', { a: u8, b: u32 }, { bytes: 8 });
const outer = struct('outer', { flag: u8, wide: u64, list: array(u16, 3), nested: inner }, { bytes: 32 });

describe('struct', () => {
  it('places fields by the C rules of x86-64', () => {
    assert.deepEqual(outer.offsets, { flag: 0, wide: 8, list: 16, nested: 24 });
    assert.equal(outer.align, 8);
  });

  it('refuses a layout whose size is not the declared one', () => {
    assert.throws(
      () => struct('wrong', { a: u32, b: u64 }, { bytes: 12 }),
      /wrong is 16 bytes, declared as 12/,
    );
  });

  it('limits alignment when packed', () => {
    const packed = struct('packed', { a: u32, b: s64, c: u8 }, { bytes: 16, pack: 4 });
    assert.equal(packed.offsets.b, 4);
  });

  it('reads back what it wrote, nested and signed', () => {
    const value = { flag: 7, wide: 2n ** 63n, list: [1, 2, 65535], nested: { a: 1, b: 0xffffffff } };
    assert.deepEqual(outer.from(outer.bytes(value)), value);
    assert.equal(s16.read(new DataView(new Uint8Array([0xfe, 0xff]).buffer), 0), -2);
  });

  it('keeps fields that are not given', () => {
    const bytes = outer.bytes({ flag: 1, wide: 5n });
    outer.put(bytes, { flag: 2 });
    assert.equal(outer.from(bytes).wide, 5n);
    assert.equal(outer.from(bytes).flag, 2);
  });

  it('gives live views that can be moved', () => {
    const memory = new Uint8Array(64);
    const view = outer.view(new DataView(memory.buffer));
    view.flag = 3;
    view.at = 32;
    view.flag = 4;
    assert.equal(memory[0], 3);
    assert.equal(memory[32], 4);
  });

  it('cuts text at its NUL and at its length', () => {
    const name = struct('name', { text: chars(4) }, { bytes: 4 });
    assert.equal(name.from(name.bytes({ text: 'abcdef' })).text, 'abcd');
    assert.equal(name.from(new Uint8Array([97, 0, 98, 0])).text, 'a');
  });
});
