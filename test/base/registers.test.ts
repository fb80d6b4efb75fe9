// Register tables and the storage behind them. Not a device's own registers.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RegisterFile } from '../../src/base/register-file.js';
import { registerAt, registers } from '../../src/base/registers.js';

const table = registers({
  STATUS: { at: 0x0, reset: 0x10, write: 0x0, fields: { BUSY: 0, CODE: [7, 4] } },
  CTRL: { at: 0x4, write: 0xff, fields: { START: 0, MODE: { bits: [6, 5], values: { GMM: 0, XNN: 1 } } } },
  WIDE: { at: 0x10, fields: { ALL: [31, 0] } },
});

describe('a register', () => {
  it('encodes and decodes fields in place', () => {
    const word = table.CTRL.encode({ START: 1, MODE: 1 });
    assert.equal(word, 0x21);
    assert.deepEqual(table.CTRL.decode(word), { START: 1, MODE: 1 });
  });

  it('cuts values that do not fit, as hardware does', () => assert.equal(table.CTRL.f.MODE.of(7), 0x60));

  it('takes all 32 bits of a full-width field, unsigned', () => {
    assert.equal(table.WIDE.f.ALL.get(0xffffffff), 0xffffffff);
    assert.equal(table.WIDE.encode({ ALL: -1 }), 0xffffffff);
    assert.equal(table.STATUS.f.CODE.signed(0xf0), -1);
  });

  it('is described with the manual’s names', () =>
    assert.equal(table.CTRL.describe(0x21), 'START=1 MODE=XNN'));

  it('is found by its offset', () => {
    assert.equal(registerAt(table, 4), table.CTRL);
    assert.equal(registerAt(table, 8), undefined);
  });

  it('cannot share its offset with another', () => {
    assert.throws(() => registers({ A: { at: 0 }, B: { at: 0 } }), /A and B are both at 0x0/);
  });
});

describe('a register file', () => {
  it('starts at the reset values and returns to them', () => {
    const file = new RegisterFile(table);
    file.set(table.STATUS, 1);
    file.reset();
    assert.equal(file.read32(0), 0x10);
  });

  it('changes only bits of the write mask', () => {
    const file = new RegisterFile(table);
    file.write32(4, 0xffff);
    assert.equal(file.read32(4), 0xff);
    file.write32(0, 0xffffffff);
    assert.equal(file.read32(0), 0x10);
  });

  it('calls the handler of a register that does something', () => {
    const written: number[] = [];
    const handlers = { CTRL: { write: (value: number) => written.push(value) }, STATUS: { read: () => 7 } };
    const file = new RegisterFile(table, { handlers });
    file.write32(4, 0x101);
    assert.deepEqual(written, [0x101]);
    assert.equal(file.read32(0), 7);
    assert.equal(file.status(table.CTRL), 'modelled');
    assert.equal(file.status(table.WIDE), 'stored');
  });

  it('reports an access outside the table once and reads zero', () => {
    const errors: string[] = [];
    const file = new RegisterFile(table, {
      onGuestError: (offset, access) => errors.push(`${access} ${offset}`),
    });
    assert.equal(file.read32(8), 0);
    assert.equal(file.read32(8), 0);
    file.write32(0x1000, 1);
    assert.deepEqual(errors, ['read 8', 'write 4096']);
  });
});
