// Lines and kernels that stay in the convolution buffer of nv_full for the next layer, through registers: against outputs of
// the vendor's C model. What a layer must not fetch is nowhere: its addresses are not mapped.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32, type MemoryRegion } from '../../src/machine/vectors/index.js';
import {
  elements,
  geometry,
  layerSteps,
  region,
  untouched,
  vector,
  type ConvProgram,
} from '../support/nvdla-conv-program.js';
import { NvdlaRig } from '../support/nvdla-rig.js';

const INPUTS = [0x8000_0000, 0x8001_0000, 0x8002_0000] as const;
const WEIGHTS = [0x8010_0000, 0x8011_0000, 0x8012_0000] as const;
const OUTPUTS = [0x8020_0000, 0x8021_0000, 0x8022_0000] as const;
/** No memory is there. */
const NOWHERE = 0xf000_0000;

interface Recorded {
  readonly title: string;
  readonly layers: readonly ConvProgram[];
  /** Of what the C model (nvdla/hw, branch nvdlav1) wrote for these programs and this data. */
  readonly crc32: readonly number[];
}

/** Banks are the same in all layers: others empty the buffer. */
const base = {
  precision: 0,
  size: [6, 8, 40],
  kernels: 32,
  out: [4, 6],
  kernel: [3, 3],
  banks: [2, 2],
  clipTruncate: 6,
} as const;
const at = (i: number): Pick<ConvProgram, 'input' | 'weights' | 'output'> => ({
  input: INPUTS[i]!,
  weights: WEIGHTS[i]!,
  output: OUTPUTS[i]!,
});
const tiles = { winograd: true, size: [7, 8, 32], out: [4, 4], pad: [1, 0, 0, 0], praTruncate: 2 } as const;

export const recorded: readonly Recorded[] = [
  {
    title: 'all lines, for other kernels',
    layers: [
      { ...base, ...at(0), skipDataRelease: true },
      { ...base, ...at(1), input: NOWHERE, kernels: 20, dataReuse: true },
    ],
    crc32: [0xd6e2_5907, 0x7c28_b068],
  },
  {
    title: 'all kernels, for other lines',
    layers: [
      { ...base, ...at(0), skipWeightRelease: true },
      {
        ...base,
        ...at(1),
        weights: NOWHERE,
        size: [6, 10, 40],
        out: [4, 8],
        weightReuse: true,
        skipWeightRelease: true,
      },
      { ...base, ...at(2), weights: NOWHERE, weightReuse: true },
    ],
    crc32: [0xd6e2_5907, 0x9472_7d43, 0xa54d_7a72],
  },
  {
    title: 'the last lines, in front of those that follow',
    layers: [
      { ...base, ...at(0), release: 6 },
      { ...base, ...at(1), size: [6, 5, 40], lines: 7, out: [4, 5], release: 5, dataReuse: true },
      { ...base, ...at(2), size: [6, 3, 40], lines: 5, out: [4, 3], dataReuse: true },
    ],
    crc32: [0xd6e2_5907, 0x5002_43ac, 0x6288_9d96],
  },
  {
    title: 'lines and kernels, padded otherwise, int16',
    layers: [
      {
        ...base,
        ...at(0),
        precision: 1,
        clipTruncate: 16,
        cvtShift: 10,
        skipDataRelease: true,
        skipWeightRelease: true,
      },
      {
        ...{
          ...base,
          output: OUTPUTS[1],
          input: NOWHERE,
          weights: NOWHERE,
          precision: 1,
          clipTruncate: 16,
          cvtShift: 10,
        },
        ...{ out: [6, 8], pad: [1, 1, 1, 1], padValue: 100, dataReuse: true, weightReuse: true },
      },
    ],
    crc32: [0x117b_dded, 0x8708_ff2f],
  },
  {
    title: 'the last lines, fp16, strided',
    layers: [
      { ...base, ...at(0), precision: 2, clipTruncate: 0, kernels: 18, release: 4 },
      {
        ...{ ...base, ...at(1), precision: 2, clipTruncate: 0, kernels: 16, dataReuse: true },
        ...{ size: [6, 3, 40], lines: 7, stride: [2, 2], out: [2, 3] },
      },
    ],
    crc32: [0xefc8_28fd, 0x47c8_ec98],
  },
  {
    title: 'the tiles and the kernels of Winograd',
    layers: [
      { ...base, ...at(0), ...tiles, skipDataRelease: true, skipWeightRelease: true },
      { ...base, ...at(1), ...tiles, input: NOWHERE, kernels: 48, dataReuse: true, skipDataRelease: true },
      { ...base, ...at(2), ...tiles, input: NOWHERE, kernels: 16, dataReuse: true },
    ],
    crc32: [0x673a_73fe, 0xb35a_4c46, 0x1106_62b5],
  },
  {
    title: 'nothing at first, nor after other banks',
    layers: [
      {
        ...base,
        ...at(0),
        dataReuse: true,
        weightReuse: true,
        skipDataRelease: true,
        skipWeightRelease: true,
      },
      { ...base, ...at(1), banks: [3, 2], dataReuse: true, weightReuse: true },
    ],
    crc32: [0xd6e2_5907, 0xaa8c_6da7],
  },
];

/** The programs and their data; the C model's output was recorded with the same. */
export function program({ title, layers }: Recorded) {
  const memory: MemoryRegion[] = [];
  for (const [i, layer] of layers.entries()) {
    const { bytes, inputBytes, weightBytes, weightElements } = geometry(layer);
    if (layer.input !== NOWHERE)
      memory.push(region(layer.input, elements(layer.precision, inputBytes / bytes, 11 + i)));
    if (layer.weights !== NOWHERE) {
      const packed = new Uint8Array(weightBytes);
      packed.set(elements(layer.precision, weightElements, 21 + i));
      memory.push(region(layer.weights, packed));
    }
    memory.push(untouched(layer));
  }
  return vector(
    title,
    memory,
    layers.flatMap((layer, i) => layerSteps(layer, i % 2)),
  );
}

describe('layers of nv_full that reuse what the former left', () => {
  for (const one of recorded)
    it(`write what the C model writes: ${one.title}`, async () => {
      const rig = new NvdlaRig('nv_full', { mebibytes: 128 });
      const before = rig.memory.used;
      const vector = program(one);
      await rig.play(vector);
      const written = one.layers.map((layer) => crc32(rig.bytes(layer.output, geometry(layer).outputBytes)));
      assert.deepEqual(written, one.crc32);
      assert.deepEqual(rig.guestErrors, []);
      assert.ok(rig.memory.used > before);
    });

  it('take what was in memory when it was fetched', async () => {
    const rig = new NvdlaRig('nv_full', { mebibytes: 128 });
    const [first, second] = recorded[0]!.layers as [ConvProgram, ConvProgram];
    const whole = program(recorded[0]!);
    const half = whole.steps.length / 2;
    await rig.play({ ...whole, steps: whole.steps.slice(0, half) });
    rig.bytes(first.input, geometry(first).inputBytes).fill(0);
    // Played over: the memory is mapped already.
    const target = vector('second', [], whole.steps.slice(half));
    await rig.play(target);
    const written = crc32(rig.bytes(second.output, geometry(second).outputBytes));
    assert.equal(written, recorded[0]!.crc32[1]);
  });

  it('find nothing after a reset', async () => {
    const rig = new NvdlaRig('nv_full', { mebibytes: 128 });
    const used = rig.memory.used;
    const whole = program(recorded[0]!);
    const half = whole.steps.length / 2;
    await rig.play({ ...whole, steps: whole.steps.slice(0, half) });
    const left = rig.memory.used;
    rig.slot.model.reset();
    assert.ok(rig.memory.used < left && rig.memory.used > used);
    const again = layerSteps(recorded[0]!.layers[1]!, 0);
    await assert.rejects(rig.play(vector('again', [], again)), /0xf0000000/);
  });
});

describe('a layer that cannot reuse', () => {
  const first: ConvProgram = { ...base, ...at(0), skipDataRelease: true };
  const cases: [string, ConvProgram, ConvProgram, RegExp][] = [
    [
      'lines of another width',
      first,
      { ...base, ...at(1), size: [5, 8, 40], out: [3, 6], dataReuse: true },
      /of another shape/,
    ],
    [
      'more lines than there are',
      first,
      { ...base, ...at(1), lines: 9, out: [4, 7], dataReuse: true },
      /9 lines are expected, the buffer holds 8/,
    ],
    [
      'kernels that were released',
      first,
      { ...base, ...at(1), weightReuse: true },
      /kernels that the former layer released/,
    ],
    [
      'part of the lines of Winograd',
      { ...base, ...at(0), ...tiles, release: 4 },
      { ...base, ...at(1), ...tiles, dataReuse: true },
      /part of a batch or of Winograd/,
    ],
  ];
  for (const [title, former, layer, message] of cases)
    it(`is refused: ${title}`, async () => {
      const rig = new NvdlaRig('nv_full', { mebibytes: 128 });
      const layers = [former, layer];
      await assert.rejects(rig.play(program({ title, layers, crc32: [] })), message);
    });
});
