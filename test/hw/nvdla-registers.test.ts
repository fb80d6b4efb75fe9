// The committed NVDLA register table against the extracted data it was made from. Not the model's behaviour.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { configs, registerMaps, type UnitName } from '../../src/hw/nvdla/index.js';
import type { Register } from '../../src/base/registers.js';
import { needsShared, shared } from '../support/shared.js';

interface Entry {
  off: number;
  reset?: number;
  wmask?: number;
  onlySmall?: boolean;
  fields: Record<string, [low: number, width: number]>;
  small?: Record<string, [low: number, width: number]>;
}
interface Data {
  base: Record<'full' | 'small', Record<string, number>>;
  units: Record<string, Record<string, Entry>>;
}
const path = 'vectors/nvdla/registers.json';

describe('the NVDLA register table', () => {
  it('has every register and field of the data at its place', needsShared(path), () => {
    const data = JSON.parse(readFileSync(shared(path)!, 'utf8')) as Data;
    let count = 0;
    for (const family of ['full', 'small'] as const) {
      const map = registerMaps[family];
      assert.deepEqual(map.base, data.base[family]);
      for (const unit of Object.keys(data.base[family])) {
        const table = map.units[unit as UnitName] as unknown as Record<string, Register>;
        for (const [name, entry] of Object.entries(data.units[unit]!)) {
          const register = table[name]!;
          assert.equal(register.at, entry.off, `${unit}.${name}`);
          assert.equal(register.reset, (entry.reset ?? 0) >>> 0, `${unit}.${name}`);
          const fields = family === 'small' ? { ...entry.fields, ...entry.small } : entry.fields;
          const got = Object.fromEntries(
            register.fields.map((field) => [field.name, [field.low, field.width]]),
          );
          const want = Object.fromEntries(
            Object.entries(fields).map(([field, [low, width]]) => [field, [low, width]]),
          );
          assert.deepEqual(got, want, `${unit}.${name}`);
          if (family === 'full' && entry.wmask !== undefined)
            assert.equal(register.writeMask, entry.wmask >>> 0);
          count++;
        }
      }
    }
    assert.ok(count > 700, `${count} registers compared`);
  });

  it('lets the small family write all address bits where nv_full cuts five', () => {
    assert.equal(registerMaps.full.units.CDMA.D_DAIN_ADDR_LOW_0.writeMask, 0xffffffe0);
    assert.equal(registerMaps.small.units.CDMA.D_DAIN_ADDR_LOW_0.writeMask, 0xffffffff);
    assert.equal(registerMaps.small.units.CDMA.D_BANK.writeMask, 0x1f001f);
  });

  it('has 512 KiB of convolution buffer in every configuration but nv_small and nv_small_256', () => {
    const kib = Object.values(configs).map(
      ({ name, cbuf }) => `${name} ${(cbuf.banks * cbuf.entriesPerBank * cbuf.bytesPerEntry) / 1024}`,
    );
    assert.deepEqual(kib, [
      'nv_full 512',
      'nv_large 512',
      'nv_medium_1024_full 512',
      'nv_medium_512 512',
      'nv_small_256_full 128',
      'nv_small_256 128',
      'nv_small 128',
    ]);
  });
});
