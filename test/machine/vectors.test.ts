// Readers and player of register-level vectors, on texts and a device made up here.
// Not the vendor's vectors: test/devices/nvdla-vectors.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  crc32,
  footprint,
  parseCmod,
  parseTrace,
  play,
  type PlayTarget,
  type Vector,
} from '../../src/machine/vectors/index.js';

const names = { offset: (name: string) => name.length, interrupt: () => 4 };
const trace = (text: string): Vector =>
  parseTrace({
    name: 'sdp_x',
    config: 'nv_small',
    text,
    names,
    readData: () => '{offset:0x2, size:3, payload:1 2 0x3}',
  });

describe('a register trace', () => {
  it('becomes memory, steps and checks', () => {
    const vector = trace(
      [
        'mem_init(pri_mem, 0x1000, 0x10, ALL_ZERO);',
        'mem_load(pri_mem, 0x1000, "a.dat"); // a comment',
        'reg_write(R.A_0, 0x5);',
        'poll_reg_equal(R.BB_0,0x1);',
        'intr_notify(SDP_0, sync_id_0);',
        'check_nothing(sync_id_1);',
        'check_crc(sync_id_0, 1, 0x1000, 0x10, 0xffffffff);',
      ].join('\n'),
    );
    assert.equal(vector.unit, 'sdp');
    assert.deepEqual(vector.memory, [
      { space: 'dbb', address: 0x1000, bytes: 16, contents: 0 },
      { space: 'dbb', address: 0x1002, bytes: 3, contents: Uint8Array.of(1, 2, 3) },
    ]);
    assert.deepEqual(vector.steps, [
      { kind: 'write', offset: 5, value: 5, name: 'R.A_0' },
      { kind: 'poll', offset: 6, mask: 0xffffffff, value: 1, name: 'R.BB_0' },
      { kind: 'interrupt', mask: 4 },
      { kind: 'check', expected: { space: 'dbb', address: 0x1000, bytes: 16, crc32: 0xffffffff } },
    ]);
  });

  it('is refused with its line when a statement is not known', () => {
    assert.throws(() => trace('\nreg_write(R.A_0, 1);\njump(3);'), {
      code: 'EINVAL',
      field: 'sdp_x line 3',
      reason: 'unknown statement jump',
    });
    assert.throws(() => trace('mem_init(pri_mem, 0, 4, RANDOM);'), { code: 'EINVAL' });
    assert.throws(() => trace('mem_init(third_mem, 0, 4, ALL_ZERO);'), { code: 'EINVAL' });
  });
});

describe('a C model layer', () => {
  it('is refused when its format or the size of a file is another', () => {
    assert.throws(() => parseCmod({ format: 'x' }, () => new Uint8Array()), {
      code: 'EINVAL',
      field: 'format',
    });
    const memory = [{ space: 'dbb', addr: '0x0', bytes: 4, file: 'in' }];
    const file = { format: 'nvdla-layer-trace/1', memory, steps: [], outputs: [] };
    assert.throws(() => parseCmod(file, () => new Uint8Array(3)), { code: 'EINVAL', field: 'in' });
  });
});

describe('the footprint of a vector', () => {
  it('merges neighbours and keeps the spaces apart', () => {
    const region = (space: 'dbb' | 'cvsram', address: number, bytes: number) => ({
      space,
      address,
      bytes,
      contents: 0,
    });
    const memory = [region('dbb', 0x2100, 16), region('cvsram', 0x1000, 8), region('dbb', 0x1ff0, 32)];
    const vector = { name: '', config: '', unit: '', memory, steps: [] };
    assert.deepEqual(footprint(vector, 0x1000), [
      { space: 'cvsram', start: 0x1000, end: 0x2000 },
      { space: 'dbb', start: 0x1000, end: 0x3000 },
    ]);
  });
});

describe('the player', () => {
  /** Writes raise the bits written; the interrupt status is at 0. */
  function device(): PlayTarget & { readonly bytes: Uint8Array } {
    const bytes = new Uint8Array(16);
    let status = 0;
    return {
      bytes,
      interruptStatus: 0,
      read32: (offset) => (offset === 0 ? status : 7),
      write32: (offset, value) => {
        if (offset === 0) status &= ~value;
        else status |= value;
      },
      memory: (_space, address, length) => bytes.subarray(address, address + length),
      interrupt: () => Promise.reject(new Error('none comes')),
    };
  }
  const vector = (steps: Vector['steps']): Vector => ({
    name: 'v',
    config: '',
    unit: '',
    memory: [{ space: 'dbb', address: 0, bytes: 4, contents: Uint8Array.of(1, 2, 3, 4) }],
    steps,
  });

  it('keeps interrupts that came before they were waited for', async () => {
    const steps: Vector['steps'] = [
      { kind: 'write', offset: 4, value: 3, name: '' },
      { kind: 'interrupt', mask: 1 },
      { kind: 'interrupt', mask: 2 },
    ];
    await play(vector(steps), device());
    await assert.rejects(play(vector([...steps, { kind: 'interrupt', mask: 1 }]), device()), /none comes/);
  });

  it('says where memory differs first', async () => {
    const contents = Uint8Array.of(1, 2, 9, 4);
    const expected = { space: 'dbb', address: 0, bytes: 4, crc32: crc32(contents), contents } as const;
    const [result] = await play(vector([{ kind: 'check', expected }]), device());
    assert.equal(result.matches, false);
    assert.deepEqual(result.difference, { at: 2, actual: 3, wanted: 9 });
  });

  it('gives up on a register that never reads as it should', async () => {
    const steps: Vector['steps'] = [{ kind: 'poll', offset: 4, mask: 0xff, value: 1, name: 'READY' }];
    await assert.rejects(play(vector(steps), device()), { code: 'ETIME', field: 'READY' });
  });
});

describe('crc32', () => {
  it('is zlib’s', () => {
    assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
  });
});
