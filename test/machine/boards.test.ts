// Names of boards and devices. Not what is on a board.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boardByName, boards } from '../../src/machine/index.js';
import { openSystem } from '../../src/node/system.js';

describe('board names', () => {
  it('are found by themselves, and the usual board of a kind by its first device', () => {
    for (const board of boards) assert.equal(boardByName(board.name), board);
    const names = ['nvdla0', 'nvdla', 'gna0', 'null0'].map((name) => boardByName(name)?.name);
    assert.deepEqual(names, ['nvdla:nv_large', 'nvdla:nv_large', 'gna:3.0', 'null']);
    assert.equal(boardByName('nvdla1'), undefined);
  });

  it('lead to devices, as do minor and bus names; several devices keep names of their own', () => {
    using system = openSystem({ devices: ['nvdla0', 'nvdla:nv_small', 'gna0'] });
    const { machine } = system;
    assert.equal(machine.device('nvdla0'), machine.devices[0]);
    assert.equal(machine.device('accel1')?.board.name, 'nvdla:nv_small');
    assert.equal(machine.device('0000:00:0a.0'), machine.devices[2]);
    assert.throws(() => openSystem({ devices: ['nvdla9'] }), { code: 'ENODEV' });
  });
});
