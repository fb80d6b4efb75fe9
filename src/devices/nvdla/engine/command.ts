// The words of an engine command: what a front hands to the data path, in one place for both.
// Not registers: addresses are DRAM offsets, sizes are counts, minus-one encodings are gone.

/** `i` is signed, `u` unsigned (addresses). */
type Layout = Readonly<Record<string, 'i' | 'u'>>;
export type Values<L extends Layout> = { [K in keyof L]: number };

function zeros<L extends Layout>(layout: L): Values<L> {
  return Object.fromEntries(Object.keys(layout).map((name) => [name, 0])) as Values<L>;
}

/** First word of a command. */
export const operation = { convolution: 1, sdp: 2, pdp: 3, cdp: 4, copy: 5, rubik: 6 } as const;

/** Words of a result: status (0, or an errno when the layer is beyond the engine), saturated accumulator outputs, SDP's comparison found a difference. */
export const resultWord = { status: 0, saturated: 1, unequal: 2 } as const;

/** A feature cube in DRAM: strides in bytes. */
export const cubeLayout = { address: 'u', line: 'u', surface: 'u' } as const;
export type Cube = Values<typeof cubeLayout>;

/** SDP: the cube it works on, the output converter. */
export const sdpLayout = {
  /** Channels computed together: those of a memory atom of `precision`. */
  atom: 'i',
  /** 0 int8, 1 int16, 2 fp16: of the source (in memory), of the arithmetic, of the result. */
  source: 'i',
  precision: 'i',
  output: 'i',
  /** fp16: NaNs of the source and of operands become 0. */
  nanToZero: 'i',
  width: 'i',
  height: 'i',
  channels: 'i',
  /** From one result cube of a batch to the next. */
  batchStride: 'i',
  cvtOffset: 'i',
  cvtScale: 'i',
  cvtShift: 'i',
} as const;
export type SdpValues = Values<typeof sdpLayout>;

/** One stage of SDP: X1, X2 or Y. */
export const stageLayout = {
  enabled: 'i',
  /** 0 max, 1 min, 2 sum, 3 equal (Y only), -1 bypassed. */
  algo: 'i',
  aluMemory: 'i',
  aluShift: 'i',
  aluValue: 'i',
  multiply: 'i',
  mulMemory: 'i',
  mulShift: 'i',
  mulValue: 'i',
  prelu: 'i',
  relu: 'i',
  /** Operands from memory: bytes of one, which ones (0 mul, 1 alu, 2 both), per element or per kernel. */
  operandBytes: 'i',
  operandUse: 'i',
  perElement: 'i',
  operandAddress: 'u',
  operandLine: 'u',
  operandSurface: 'u',
  /** Operand converters, Y only. */
  aluConvert: 'i',
  aluCvtOffset: 'i',
  aluCvtScale: 'i',
  aluCvtShift: 'i',
  mulConvert: 'i',
  mulCvtOffset: 'i',
  mulCvtScale: 'i',
  mulCvtShift: 'i',
  /** Y only: the table is looked up. */
  lut: 'i',
} as const;
export type Stage = Values<typeof stageLayout>;
export const noStage: Stage = zeros(stageLayout);

/** A look-up table and how it is indexed. SDP and CDP. */
export const lutLayout = {
  /** int16 tables in DRAM: 65 LE entries, then 257 LO entries. */
  tables: 'u',
  exponential: 'i',
  underflowPriority: 'i',
  overflowPriority: 'i',
  hybridPriority: 'i',
  leOffset: 'i',
  leSelect: 'i',
  loSelect: 'i',
  /** Starts and ends: high part signed. */
  leStartHigh: 'i',
  leStart: 'u',
  leEndHigh: 'i',
  leEnd: 'u',
  loStartHigh: 'i',
  loStart: 'u',
  loEndHigh: 'i',
  loEnd: 'u',
  leUnderflowScale: 'i',
  leUnderflowShift: 'i',
  leOverflowScale: 'i',
  leOverflowShift: 'i',
  loUnderflowScale: 'i',
  loUnderflowShift: 'i',
  loOverflowScale: 'i',
  loOverflowShift: 'i',
} as const;
export type Lut = Values<typeof lutLayout>;
export const noLut: Lut = zeros(lutLayout);

/** PDP. */
export const pdpLayout = {
  /** Channels of a memory atom. */
  atom: 'i',
  /** 0 int8, 1 int16, 2 fp16. */
  precision: 'i',
  /** fp16: NaNs of the source become 0. */
  nanToZero: 'i',
  width: 'i',
  height: 'i',
  channels: 'i',
  outWidth: 'i',
  outHeight: 'i',
  /** 0 average, 1 maximum, 2 minimum. */
  method: 'i',
  kernelWidth: 'i',
  kernelHeight: 'i',
  strideX: 'i',
  strideY: 'i',
  padLeft: 'i',
  padTop: 'i',
  recipWidth: 'i',
  recipHeight: 'i',
  pad1: 'i',
  pad2: 'i',
  pad3: 'i',
  pad4: 'i',
  pad5: 'i',
  pad6: 'i',
  pad7: 'i',
} as const;
export type PdpValues = Values<typeof pdpLayout>;

/** CDP. */
export const cdpLayout = {
  /** Channels of a memory atom. */
  atom: 'i',
  /** 0 int8, 1 int16, 2 fp16. */
  precision: 'i',
  /** fp16: NaNs of the source become 0. */
  nanToZero: 'i',
  width: 'i',
  height: 'i',
  channels: 'i',
  /** Channels to each side in the sum of squares. */
  reach: 'i',
  sumBypass: 'i',
  mulBypass: 'i',
  inOffset: 'i',
  inScale: 'i',
  inShift: 'i',
  outOffset: 'i',
  outScale: 'i',
  outShift: 'i',
} as const;
export type CdpValues = Values<typeof cdpLayout>;

/** One copy of BDMA; source and destination cubes follow. */
export const copyLayout = { bytes: 'i', lines: 'i', surfaces: 'i' } as const;

/** RUBIK; source and destination cubes follow, whose `surface` is the planes' distance where there are planes. */
export const rubikLayout = {
  mode: 'i',
  /** Bytes of an element. */
  bytes: 'i',
  /** The input; channels of the output. */
  width: 'i',
  height: 'i',
  channels: 'i',
  /** Contract only: strides; bytes between the input's columns; between output lines of neighbouring input lines. */
  strideX: 'i',
  strideY: 'i',
  column: 'u',
  block: 'u',
} as const;

/** Appends blocks to a command. */
export class CommandWriter {
  readonly words: Int32Array;
  #at = 0;

  constructor(words: number) {
    this.words = new Int32Array(words);
  }

  word(value: number): this {
    this.words[this.#at++] = value;
    return this;
  }

  block<L extends Layout>(layout: L, values: Values<L>): this {
    for (const name in layout) this.words[this.#at++] = values[name];
    return this;
  }

  /** A block that is often absent: one word then. */
  optional<L extends Layout>(layout: L, values: Values<L>, absent: Values<L>): this {
    return values === absent ? this.word(0) : this.word(1).block(layout, values);
  }

  /** The command so far; the writer starts over. */
  take(): Int32Array {
    const command = this.words.subarray(0, this.#at);
    this.#at = 0;
    return command;
  }
}

/** Reads blocks in the order they were written. */
export class CommandReader {
  readonly #words: Int32Array;
  #at = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  word(): number {
    return this.#words[this.#at++];
  }

  optional<L extends Layout>(layout: L, absent: Values<L>): Values<L> {
    return this.word() === 0 ? absent : this.block(layout);
  }

  block<L extends Layout>(layout: L): Values<L> {
    const values: Record<string, number> = {};
    for (const name in layout) {
      const word = this.#words[this.#at++];
      values[name] = layout[name] === 'u' ? word >>> 0 : word;
    }
    return values as Values<L>;
  }
}
