// Loadables run through the driver: the emulator's operations, the order of tasks, strides, and the vendor's results.
// Not the file format: see test/compiler/loadable.test.ts.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AccelError } from '../../src/base/errors.js';
import {
  EmuBufferDesc,
  EmuBufferDescV0,
  EMU_BUFFER_BYTES,
  EmuFormat,
  EmuOpDesc,
  EmuOpDescV0,
  EmuOpType,
  inTodaysLayout,
  type Loadable,
  MemoryFlags,
  readLoadable,
} from '../../src/compiler/loadable/index.js';
import { floatToHalf, halfToFloat } from '../../src/compiler/ir/evaluate/half.js';
import { openSystem, type System } from '../../src/node/index.js';
import { decodePicture } from '../../src/node/input/picture.js';
import {
  dimgOf,
  LoadedLoadable,
  pixelsOf,
  putPixels,
  takePixels,
  writeDimg,
} from '../../src/runtime/loadable/index.js';
import { blob, emuLoadable, type EmuStep, FLATBUFS, memory, vendorLoadables } from '../support/loadables.js';
import { needsShared, shared } from '../support/shared.js';

type AccelFile = ReturnType<System['open']>;

/** Runs `loadable` with these bytes in its first input; returns its first output's bytes. */
async function outputOf(file: AccelFile, loadable: Loadable, input: ArrayLike<number>): Promise<Uint8Array> {
  await using loaded = await LoadedLoadable.load(file, loadable);
  loaded.inputs[0]!.bytes.set(input);
  await loaded.run();
  return loaded.outputs[0]!.bytes.slice();
}

const row = (channel: number, format: number): EmuStep['source'] => ({
  ...{ format, width: 1, height: 1, channel, line_stride: 32, surf_stride: 32 },
});
const step = (
  op_type: number,
  channel: number,
  format: number,
  operation: EmuStep['operation'] = {},
): EmuStep => ({
  operation: { op_type, ...operation },
  source: row(channel, format),
  target: row(channel, format),
});

const halves = (...values: number[]): Uint8Array =>
  new Uint8Array(Uint16Array.from(values, (value) => floatToHalf(value)).buffer);
const reals = (bytes: Uint8Array, count: number): number[] =>
  Array.from(new Uint16Array(bytes.buffer.slice(0), 0, count), halfToFloat);

describe('the emulator', () => {
  let system: System;
  let file: AccelFile;
  before(() => {
    system = openSystem({ devices: ['nvdla:nv_small'] });
    file = system.open();
  });
  after(() => system[Symbol.dispose]());

  const run = (one: EmuStep, input: ArrayLike<number>): Promise<Uint8Array> =>
    outputOf(file, emuLoadable([one], { input: {}, output: {} }), input);

  it('computes a softmax of halves', async () => {
    const made = reals(await run(step(EmuOpType.SOFTMAX, 3, EmuFormat.FF16), halves(1, 2, 3)), 3);
    const sum = Math.exp(-2) + Math.exp(-1) + 1;
    assert.deepEqual(
      made,
      [-2, -1, 0].map((x) => halfToFloat(floatToHalf(Math.exp(x) / sum))),
    );
  });

  it('computes a softmax of int8 with its scales, and cuts towards zero', async () => {
    const scales = { input_scale_factor: 1, output_scale_factor: 1 / 127 };
    const made = await run(step(EmuOpType.SOFTMAX, 3, EmuFormat.INT8_8, scales), [1, 255, 2]);
    // 0.2594, 0.0351, 0.7053 of 127.
    assert.deepEqual([...made.subarray(0, 4)], [32, 4, 89, 0]);
  });

  it('computes (shift + scale x) ^ power', async () => {
    const parameters = { power: 2, scale: 3, shift: 1 };
    const made = await run(step(EmuOpType.POWER, 4, EmuFormat.FF16, parameters), halves(0, 1, -1, 0.5));
    assert.deepEqual(reals(made, 4), [1, 16, 4, 6.25]);
  });

  it('saturates int8', async () => {
    const parameters = { input_scale_factor: 0.5, output_scale_factor: 0.25, power: 1, scale: 1, shift: -1 };
    const made = await run(step(EmuOpType.POWER, 4, EmuFormat.INT8_8, parameters), [127, 128, 2, 5]);
    assert.deepEqual([...new Int8Array(made.buffer, 0, 4)], [127, -128, 0, 6]);
  });

  it('rounds halves half way away from zero', async () => {
    // 1 + 2^-11 is half way between 1 and the next half.
    const made = await run(
      step(EmuOpType.POWER, 1, EmuFormat.FF16, { power: 1, scale: 0, shift: 1 + 2 ** -11 }),
      [],
    );
    assert.deepEqual(reals(made, 1), [1 + 2 ** -10]);
  });

  it('finds the elements of a cube by its strides', async () => {
    const cube = {
      format: EmuFormat.INT8_8,
      width: 2,
      height: 2,
      channel: 9,
      line_stride: 16,
      surf_stride: 64,
    };
    const operation = {
      op_type: EmuOpType.POWER,
      input_scale_factor: 1,
      output_scale_factor: 1,
      power: 1,
      scale: 1,
    };
    const one = { operation, source: cube, target: { ...cube, line_stride: 32, surf_stride: 128 } };
    const input = Uint8Array.from({ length: 128 }, (_, i) => i);
    const made = await run(one, input);
    // Channel 7 of (1, 1), and channel 8 of (1, 0).
    assert.equal(made[32 + 8 + 7], 16 + 8 + 7);
    assert.equal(made[128 + 32], 64 + 16);
    assert.equal(made[128 + 33], 0);
  });

  const refused: readonly [string, EmuStep, RegExp][] = [
    ['an unknown operation', step(2, 1, EmuFormat.FF16), /EOPNOTSUPP: EMU operation 0: op_type: 2/],
    [
      'a format that it cannot compute with',
      step(0, 1, EmuFormat.UINT8),
      /EOPNOTSUPP: .*src_data\.format: 4/,
    ],
    [
      'two formats',
      { ...step(0, 1, EmuFormat.FF16), target: row(1, EmuFormat.INT8) },
      /EOPNOTSUPP: EMU operation 0: format: from 3 to 0/,
    ],
    [
      'an address that is not in the list',
      { ...step(0, 1, EmuFormat.FF16), source: { ...row(1, EmuFormat.FF16), addressIndex: 5 } },
      /EINVAL: .*src_data\.addressIndex: 5/,
    ],
    ['more elements than memory', step(0, 5000, EmuFormat.INT8_8), /EINVAL: .*src_data\.size: \d+ bytes of/],
    [
      'elements on top of each other',
      {
        ...step(0, 1, EmuFormat.INT8),
        source: { format: EmuFormat.INT8, width: 65535, height: 65535, channel: 65535 },
      },
      /EINVAL: .*src_data\.size/,
    ],
    [
      'a row longer than its memory',
      step(1, 2049, EmuFormat.FF16),
      /EINVAL: .*size: 4098 bytes of a memory of 4096/,
    ],
  ];
  for (const [name, one, message] of refused)
    it(`refuses ${name}`, async () => {
      await assert.rejects(run(one, []), message);
    });
});

describe('a loadable on a device', () => {
  let system: System;
  let file: AccelFile;
  before(() => {
    system = openSystem({ devices: ['nvdla:nv_small'] });
    file = system.open();
  });
  after(() => system[Symbol.dispose]());

  const identity = {
    ...{ op_type: EmuOpType.POWER, input_scale_factor: 1, output_scale_factor: 1 },
    ...{ power: 1, scale: 1, shift: 0 },
  };
  const cube = {
    format: EmuFormat.INT8_8,
    width: 4,
    height: 3,
    channel: 8,
    line_stride: 32,
    surf_stride: 96,
  };
  const copy: EmuStep = { operation: identity, source: cube, target: cube };
  const desc = { c: 8, h: 3, w: 4, strides: [1, 32, 96, 0, 0, 0, 0, 0] };
  const pixels = Uint8Array.from({ length: 96 }, (_, i) => i + 1);

  it('lets go of all its memory', async () => {
    const { memory: dram } = system.machine;
    const before = dram.used;
    await outputOf(file, emuLoadable([copy], { input: desc, output: desc }), pixels);
    assert.equal(dram.used, before);
  });

  it('lets go of all its memory when it cannot be loaded', async () => {
    const { memory: dram } = system.machine;
    const before = dram.used;
    const loadable = emuLoadable([copy], { input: desc, output: desc });
    const [task] = loadable.task_list;
    await assert.rejects(
      LoadedLoadable.load(file, { ...loadable, task_list: [{ ...task!, interface: 3 }] }),
      /EOPNOTSUPP: task_list\[0\]\.interface: 3/,
    );
    assert.equal(dram.used, before);
  });

  it('is given and gives pixels channel by channel', async () => {
    await using loaded = await LoadedLoadable.load(file, emuLoadable([copy], { input: desc, output: desc }));
    const [input] = loaded.inputs;
    const [output] = loaded.outputs;
    putPixels(input!.desc, input!.bytes, pixels);
    await loaded.run();
    assert.deepEqual(takePixels(output!.desc, output!.bytes), pixels);
    assert.equal(output!.bytes[1 * 32 + 2 * 8 + 5], 5 * 12 + 1 * 4 + 2 + 1);
  });

  it('takes other strides where relocations say how', async () => {
    await using loaded = await LoadedLoadable.load(file, emuLoadable([copy], { input: desc, output: desc }));
    loaded.setStrides('input', 0, { line: 64, surf: 256 });
    loaded.setStrides('output', 0, { line: 40, surf: 512 });
    const [input] = loaded.inputs;
    const [output] = loaded.outputs;
    assert.deepEqual(input!.desc.strides.slice(0, 3), [1, 64, 256]);
    putPixels(input!.desc, input!.bytes, pixels);
    await loaded.run();
    assert.deepEqual(takePixels(output!.desc, output!.bytes), pixels);
    assert.equal(output!.bytes[2 * 40 + 1 * 8], 2 * 4 + 1 + 1);
    assert.throws(
      () => loaded.setStrides('output', 0, { line: 2048, surf: 8192 }),
      /EINVAL: tensor "t1": strides: channel 0 ends at byte 4121 of 4096/,
    );
    assert.throws(
      () => loaded.setStrides('input', 1, { line: 64, surf: 256 }),
      /EINVAL: bind_id: no input 1/,
    );
  });

  it('says that no relocation leads to its strides', async () => {
    const loadable = { ...emuLoadable([copy], { input: desc, output: desc }), reloc_list: [] };
    await using loaded = await LoadedLoadable.load(file, loadable);
    assert.throws(() => loaded.setStrides('input', 0, { line: 64, surf: 256 }), /no relocation says/);
  });

  /** Task 0 squares the input into the output; task 1 adds one to the output. */
  function twoTasks(events: Pick<Loadable, 'event_list'> & { waits: number[]; signals: number[] }): Loadable {
    const square = { ...copy, operation: { ...identity, power: 2 } };
    const increment = {
      ...{ operation: { ...identity, shift: 1 }, source: { ...cube, addressIndex: 4 } },
      target: cube,
    };
    const first = emuLoadable([square], { input: desc, output: desc });
    const second = emuLoadable([increment], { input: desc, output: desc });
    const renamed = second.blobs.map((own) => blob(own.name.replace('0', '1'), own.data));
    return {
      ...first,
      event_list: events.event_list,
      task_list: [
        { ...first.task_list[0]!, post_actions: events.signals },
        { ...first.task_list[0]!, id: 1, address_list: [5, 6, 7, 3, 4], pre_actions: events.waits },
      ],
      memory_list: [
        ...first.memory_list,
        ...renamed.map(({ name, data }, i) =>
          memory(5 + i, {
            flags: MemoryFlags.ALLOC | MemoryFlags.SET,
            size: data.length,
            contents: [name],
            offsets: [0],
          }),
        ),
      ],
      address_list: Array.from({ length: 8 }, (_, id) => ({ id, mem_id: id, offset: 0, size: 0 })),
      blobs: [...first.blobs, ...renamed],
      submit_list: [{ id: 0, task_id: [1, 0] }],
    };
  }
  const event_list = [
    { id: 0, type: 0, target: 2, val: 1, op: 1 },
    { id: 1, type: 0, target: 2, val: 1, op: 0 },
  ];

  it('runs a task when the events it waits for are signalled', async () => {
    const made = await outputOf(file, twoTasks({ event_list, waits: [1], signals: [0] }), [3, 4]);
    assert.deepEqual([...made.subarray(0, 2)], [10, 17]);
  });

  it('runs tasks that wait for nothing in the order of the list', async () => {
    const made = await outputOf(file, twoTasks({ event_list, waits: [], signals: [] }), [3, 4]);
    assert.deepEqual([...made.subarray(0, 2)], [9, 16]);
  });

  it('refuses to wait for ever', async () => {
    await assert.rejects(
      outputOf(file, twoTasks({ event_list, waits: [1], signals: [] }), []),
      /EINVAL: submit_list\[0\]: tasks 1 wait for events/,
    );
  });

  it('refuses memory of the device, and memory that nothing allocates', async () => {
    const loadable = emuLoadable([copy], { input: desc, output: desc });
    const change = (rest: Partial<Loadable['memory_list'][number]>): Loadable => ({
      ...loadable,
      memory_list: [{ ...loadable.memory_list[0]!, ...rest }, ...loadable.memory_list.slice(1)],
    });
    await assert.rejects(
      LoadedLoadable.load(file, change({ domain: 1 })),
      /EOPNOTSUPP: memory_list\[0\]\.domain/,
    );
    await assert.rejects(
      LoadedLoadable.load(file, change({ alignment: 8192 })),
      /EOPNOTSUPP: memory_list\[0\]\.alignment: 8192/,
    );
    await assert.rejects(LoadedLoadable.load(file, change({ flags: 2 })), /EINVAL: memory_list\[0\]\.flags/);
  });

  it('that wants more memory than there is ends in ENOMEM', async () => {
    const loadable = emuLoadable([copy], { input: desc, output: desc });
    const memory_list = [...loadable.memory_list, memory(5, { size: 2 ** 40 })];
    await assert.rejects(LoadedLoadable.load(file, { ...loadable, memory_list }), (error) =>
      ['ENOMEM', 'EINVAL'].includes((error as AccelError).code),
    );
  });

  it('of the old layout gives the same', async () => {
    const wide = { ...cube, format: EmuFormat.INT8, line_stride: 128, surf_stride: 384 };
    const ones = { input_scale_factor: 1, output_scale_factor: 1 };
    const square = { ...identity, power: 2 };
    const today = emuLoadable(
      [{ operation: square, source: wide, target: wide }, step(EmuOpType.SOFTMAX, 2, EmuFormat.INT8, ones)],
      { input: {}, output: {} },
    );
    const [network, operations, buffers] = today.blobs;
    const oldOperations = new Uint8Array(32);
    const oldBuffers = new Uint8Array(buffers!.data.length);
    for (let i = 0; i < 2; i++) {
      const { op_type, power, scale, shift } = EmuOpDesc.from(operations!.data, i * EmuOpDesc.size);
      EmuOpDescV0.put(oldOperations, { op_type, power, scale, shift }, 16 * i);
    }
    for (let at = 0; at < oldBuffers.length; at += EMU_BUFFER_BYTES)
      EmuBufferDescV0.put(oldBuffers, { ...EmuBufferDesc.from(buffers!.data, at), format: 0 }, at);
    const old: Loadable = {
      ...today,
      blobs: [network!, blob(operations!.name, oldOperations), blob(buffers!.name, oldBuffers)],
      memory_list: today.memory_list.map((own) => (own.id === 1 ? { ...own, size: 32 } : own)),
      reloc_list: today.reloc_list.map((reloc) => ({ ...reloc, offset: reloc.offset - 4 })),
    };
    const converted = inTodaysLayout(old);
    assert.deepEqual(converted.reloc_list, today.reloc_list);
    assert.equal(converted.memory_list[1]!.size, 48);
    const made = await outputOf(file, old, pixels);
    assert.deepEqual(made, await outputOf(file, today, pixels));
    assert.deepEqual([...made.subarray(0, 4)], [0, 0, 9, 16]);
  });
});

const GOLDEN = 'vectors/nvdla/kmd/golden';

/** By the name's ending. */
function boardOf(name: string): string {
  return `nvdla:nv_${/_(small|large)_fbuf$/.exec(name)?.[1] ?? 'full'}`;
}

describe("the vendor's regression loadables", needsShared(FLATBUFS), () => {
  for (const { name, bytes } of vendorLoadables())
    it(`${name} gives the recorded file`, async () => {
      using system = openSystem({ devices: [boardOf(name)] });
      await using loaded = await LoadedLoadable.load(system.open(), readLoadable(bytes));
      await loaded.run();
      const [output] = loaded.outputs;
      const made = writeDimg(dimgOf(output!.desc, takePixels(output!.desc, output!.bytes), 'old'));
      const folder = shared(GOLDEN)!;
      const own = readdirSync(folder).find((entry) => entry.replace(/_[0-9a-f]{6}$/, '_fbuf') === name)!;
      const lead = readFileSync(join(folder, own, 'dla/lead.md5'), 'latin1');
      assert.equal(`${createHash('md5').update(made).digest('hex')}  o_000000.dimg\n`, lead);
    });

  it('LeNet, fp16, knows digits, one after the other', async () => {
    const { bytes } = vendorLoadables().find(({ name }) => name === 'NN_L0_0_fbuf')!;
    using system = openSystem({ devices: ['nvdla:nv_full'] });
    await using loaded = await LoadedLoadable.load(system.open(), readLoadable(bytes));
    const [input] = loaded.inputs;
    const [output] = loaded.outputs;
    for (const [digit, name] of Object.entries({ 1: 'one', 3: 'three', 4: 'four', 5: 'five', 7: 'seven' })) {
      const path = shared(`vectors/nvdla/digits/${name}.pgm`)!;
      const picture = decodePicture(new Uint8Array(readFileSync(path)), path);
      putPixels(input!.desc, input!.bytes, pixelsOf(input!.desc, picture, { normalize: 255 }));
      await loaded.run();
      const scores = reals(takePixels(output!.desc, output!.bytes), 10);
      assert.equal(scores.indexOf(Math.max(...scores)), Number(digit));
    }
  });
});
