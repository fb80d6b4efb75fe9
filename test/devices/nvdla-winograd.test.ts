// Winograd on nv_full through registers: against outputs of the vendor's C model, and against direct convolution where
// mathematics says that both are equal. Not the driver.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from '../../src/machine/vectors/index.js';
import {
  elements,
  geometry,
  layerSteps,
  numbers,
  region,
  untouched,
  vector,
  type ConvProgram,
} from '../support/nvdla-conv-program.js';
import { NvdlaRig } from '../support/nvdla-rig.js';

const INPUT = 0x8000_0000;
const WEIGHTS = 0x8100_0000;
const OUTPUT = 0x8200_0000;
const places = { input: INPUT, weights: WEIGHTS, output: OUTPUT };

interface Recorded {
  readonly title: string;
  readonly layer: ConvProgram;
  readonly input?: Parameters<typeof elements>[3];
  readonly weights?: Parameters<typeof elements>[3];
  /** Of what the C model (nvdla/hw, branch nvdlav1) wrote for this program and this data. */
  readonly crc32: number;
}

/** Layers with every precision, stride, padding, partial kernel group, and results that saturate. */
export const recorded: readonly Recorded[] = [
  {
    title: 'int8, one atom, one kernel group',
    layer: {
      ...places,
      winograd: true,
      precision: 0,
      size: [8, 8, 32],
      kernels: 32,
      out: [4, 4],
      praTruncate: 2,
      clipTruncate: 5,
    },
    crc32: 0x5a9b_791b,
  },
  {
    title: 'int8 that saturates in pre-addition, padded with a value, 40 kernels',
    layer: {
      ...{ ...places, winograd: true, precision: 0, size: [10, 7, 40], kernels: 40, out: [8, 4] },
      ...{ pad: [1, 1, 1, 0], padValue: 0xfd, clipTruncate: 8 },
    },
    crc32: 0xb9f3_bde5,
  },
  {
    title: 'int8, strides of 2 and 3, one kernel',
    layer: {
      ...{ ...places, winograd: true, precision: 0, size: [15, 22, 20], kernels: 1, out: [4, 4] },
      ...{ stride: [2, 3], pad: [1, 0, 2, 0], praTruncate: 1, clipTruncate: 4 },
    },
    crc32: 0xe38a_5b45,
  },
  {
    title: 'int16, saturating in CACC, two blocks of columns',
    layer: {
      ...{ ...places, winograd: true, precision: 1, size: [22, 10, 48], kernels: 17, out: [20, 8] },
      ...{ pad: [1, 1, 1, 1], praTruncate: 1, clipTruncate: 8, cvtShift: 15 },
    },
    crc32: 0x6858_7939,
  },
  {
    title: 'int16 of large numbers',
    layer: {
      ...{ ...places, winograd: true, precision: 1, size: [8, 8, 32], kernels: 16, out: [4, 4] },
      ...{ praTruncate: 2, clipTruncate: 16, cvtShift: 12 },
    },
    crc32: 0x4f68_97fc,
  },
  {
    title: 'fp16 of alike exponents',
    layer: { ...places, winograd: true, precision: 2, size: [12, 8, 32], kernels: 24, out: [8, 4] },
    weights: { exponents: 4 },
    crc32: 0x24b9_3c68,
  },
  {
    title: 'fp16 of far exponents, stride 2',
    layer: {
      ...{ ...places, winograd: true, precision: 2, size: [16, 15, 16], kernels: 16, out: [4, 4] },
      ...{ stride: [2, 2], pad: [0, 0, 1, 0], padValue: 0x3c00 },
    },
    input: { exponents: 16 },
    weights: { exponents: 14 },
    crc32: 0x093e_0f20,
  },
  {
    title: 'fp16 with NaNs, infinities and denormals',
    layer: { ...places, winograd: true, precision: 2, size: [8, 8, 16], kernels: 16, out: [4, 4] },
    input: { special: true },
    weights: { special: true },
    crc32: 0x513c_2e25,
  },
];

/** The program and its data; the C model's output was recorded with the same. */
export function program({ title, layer, input, weights }: Recorded) {
  const { atom, inputBytes, bytes, weightElements, weightBytes } = geometry(layer);
  const packed = new Uint8Array(weightBytes);
  packed.set(elements(layer.precision, weightElements, 7 + atom, weights));
  const cube = elements(layer.precision, inputBytes / bytes, 3 + layer.kernels, input);
  return vector(
    title,
    [region(INPUT, cube), region(WEIGHTS, packed), untouched(layer)],
    layerSteps(layer, 0),
  );
}

describe('Winograd on nv_full', () => {
  for (const one of recorded)
    it(`writes what the C model writes: ${one.title}`, async () => {
      const rig = new NvdlaRig('nv_full', { mebibytes: 128 });
      await rig.play(program(one));
      assert.equal(crc32(rig.bytes(OUTPUT, geometry(one.layer).outputBytes)), one.crc32);
    });
});

/** Rows of the transformation of kernels, times 2: G = (2 0 0, 1 1 1, 1 -1 1, 0 0 2) / 2. */
const G2 = [
  [2, 0, 0],
  [1, 1, 1],
  [1, -1, 1],
  [0, 0, 2],
] as const;

/** Packs kernels as `position` of (kernel, channel) gives them: blocks of `block` channels. */
function pack(
  shape: {
    readonly kernels: number;
    readonly channels: number;
    readonly block: number;
    readonly group: number;
  },
  positions: number,
  innerPositions: boolean,
  value: (kernel: number, channel: number, position: number) => number,
): number[] {
  const { kernels, channels, block, group } = shape;
  const packed: number[] = [];
  for (let first = 0; first < kernels; first += group)
    for (let from = 0; from < channels; from += block) {
      const end = Math.min(first + group, kernels);
      const outer = innerPositions ? 1 : positions;
      const inner = innerPositions ? positions : 1;
      for (let p = 0; p < outer; p++)
        for (let k = first; k < end; k++)
          for (let q = 0; q < inner; q++)
            for (let c = from; c < Math.min(from + block, channels); c++) packed.push(value(k, c, p + q));
    }
  return packed;
}

describe('Winograd with kernels transformed without rounding', () => {
  const cases = [
    ['int8', 0, 7, 30, 32],
    ['int16', 1, 3000, 8000, 16],
  ] as const;
  for (const [name, precision, mostWeight, mostInput, group] of cases)
    it(`gives what direct convolution gives: ${name}`, async () => {
      const channels = 32;
      const kernels = 40;
      const next = numbers(5);
      // Kernels in steps of 4, so that all transformed ones are whole numbers.
      const taps = Array.from(
        { length: kernels * channels * 9 },
        () => 4 * ((next() % (2 * Math.floor(mostWeight / 4) + 1)) - Math.floor(mostWeight / 4)),
      );
      const tap = (k: number, c: number, r: number, s: number): number =>
        taps[((k * channels + c) * 3 + r) * 3 + s]!;
      const transformed = (k: number, c: number, position: number): number => {
        let sum = 0;
        for (let r = 0; r < 3; r++)
          for (let s = 0; s < 3; s++) sum += G2[position >> 2]![r]! * G2[position & 3]![s]! * tap(k, c, r, s);
        return sum / 4;
      };
      const shape = { kernels, channels, group };
      const bytes = (values: readonly number[]): Uint8Array =>
        new Uint8Array(precision === 0 ? Int8Array.from(values).buffer : Int16Array.from(values).buffer);
      const direct = pack({ ...shape, block: 64 }, 9, false, (k, c, p) =>
        tap(k, c, Math.floor(p / 3), p % 3),
      );
      const tiles = pack({ ...shape, block: 4 }, 16, true, transformed);
      const layer: ConvProgram = {
        ...{ ...places, precision, size: [11, 11, channels], kernels, out: [8, 8], kernel: [3, 3] },
        ...{ pad: [1, 0, 1, 0], clipTruncate: precision === 0 ? 4 : 14 },
      };
      // Direct convolution reads no further than the kernels reach: ten lines of ten pixels.
      const cube = elements(precision, geometry(layer).inputBytes / (precision + 1), 9, { most: mostInput });
      const run = async (program: ConvProgram, weights: Uint8Array): Promise<Uint8Array> => {
        const rig = new NvdlaRig('nv_full', { mebibytes: 128 });
        const padded = new Uint8Array(geometry(program).weightBytes);
        padded.set(weights);
        const memory = [region(INPUT, cube), region(WEIGHTS, padded), untouched(program)];
        await rig.play(vector(name, memory, layerSteps(program, 0)));
        return rig.bytes(OUTPUT, geometry(program).outputBytes);
      };
      const expected = await run(layer, bytes(direct));
      const actual = await run({ ...layer, winograd: true }, bytes(tiles));
      assert.deepEqual(actual, expected);
      // Not a trivial one.
      assert.ok(new Set(expected).size > 50);
    });
});

describe('a Winograd layer that cannot be', () => {
  const plain: ConvProgram = {
    ...places,
    winograd: true,
    precision: 0,
    size: [8, 8, 32],
    kernels: 32,
    out: [4, 4],
  };
  const cases: [string, ConvProgram, RegExp][] = [
    ['outputs that are not multiples of four', { ...plain, out: [6, 4] }, /multiples of 4/],
    ['outputs that need more than the input', { ...plain, out: [8, 4] }, /two less in each direction/],
    ['an input of no whole tiles', { ...plain, size: [8, 7, 32] }, /8x7 padded inputs/],
    [
      'an input that is larger than its banks',
      { ...plain, size: [64, 32, 32], banks: [1, 1] },
      /65536 bytes of input do not fit 1 data banks/,
    ],
  ];
  for (const [title, layer, message] of cases)
    it(`is refused: ${title}`, async () => {
      const rig = new NvdlaRig('nv_full', { mebibytes: 128 });
      const cube = new Uint8Array(geometry(layer).inputBytes);
      const weights = new Uint8Array(geometry(layer).weightBytes);
      const memory = [region(INPUT, cube), region(WEIGHTS, weights), untouched(layer)];
      await assert.rejects(rig.play(vector(title, memory, layerSteps(layer, 0))), message);
    });
});
