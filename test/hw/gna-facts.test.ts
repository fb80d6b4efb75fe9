// Holds the tables of GNA's generations to the fact sheet's figures.
// Not behaviour: that is the model's and the driver's.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ConfigDescriptor,
  gnaConfigs,
  gnaPciIds,
  inputBufferElements,
  regs,
} from '../../src/hw/gna/index.js';

const groups = [1, 2, 3, 4, 5, 6, 7, 8] as const;

describe('GNA facts', () => {
  it('input buffer elements by batch: section 6', () => {
    const of = (format3: boolean, bytes: 1 | 2): number[] =>
      groups.map((count) => inputBufferElements(format3, count, bytes));
    assert.deepEqual(of(false, 2), [12288, 12288, 12096, 12288, 12000, 12096, 12096, 12288]);
    const third = [16384, 16384, 16320, 16384, 16320, 16128, 16128, 16384];
    assert.deepEqual(of(true, 2), third);
    assert.deepEqual(
      of(true, 1),
      third.map((count) => 2 * count),
    );
  });

  it('register offsets: section 2', () => {
    const offsets = Object.fromEntries(Object.entries(regs).map(([name, { at }]) => [name, at]));
    assert.deepEqual(offsets, {
      STS: 0x80,
      CTRL: 0x84,
      MCTL: 0x88,
      PTC: 0x8c,
      PSC: 0x90,
      ISI: 0x94,
      ISV_LOW: 0x98,
      ISV_HIGH: 0x9c,
      BP_LOW: 0xa0,
      BP_HIGH: 0xa4,
      D0I3C: 0xa8,
      DESBASE: 0xb0,
      IBUFFS: 0xb4,
    });
  });

  it('places in the configuration descriptor: section 3', () => {
    const { labase, lacnt, vamaxaddr, page_directory } = ConfigDescriptor.offsets;
    assert.deepEqual([labase, lacnt, vamaxaddr, page_directory], [0x100, 0x104, 0x200, 0x210]);
  });

  it('a PCI id and a device type for every generation: section 1', () => {
    for (const [generation, config] of Object.entries(gnaConfigs)) {
      assert.equal(config.deviceType, Number(`0x${generation.replace('.', '')}`));
      const ids = gnaPciIds.filter((id) => id.generation === generation).map((id) => id.device);
      assert.ok(ids.includes(config.pciDevice));
    }
  });
});
