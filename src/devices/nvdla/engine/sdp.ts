// The single-point processor's data path: stages X1, X2, Y and the output converter over tiles of pixels.
// Not a register view: it runs what a command says. Fact sheet section 2.5.
import type { Cube, Lut, SdpValues, Stage } from './command.js';
import type { ProcessorKernels } from './kernels.js';
import { LUT_BYTES, storeLut } from './lut.js';

/** Elements of a tile: it and its operands stay in the first-level cache. */
const TILE = 2048;

/** Where the chain's operand arrays of doubles begin: behind the tile, six arrays of int32 and the table's parameters. */
const DOUBLES = Math.ceil((7 * TILE * 4 + LUT_BYTES) / 64) * 64;

/** What the chain makes of a pixel of zeros, behind the arrays, and that pixel. */
const STILL = DOUBLES + 4 * TILE * 8;
const STILL_BYTES = 128;
const ATOM_MAX = 64;

/** Bytes of scratch this path uses. */
export const SDP_SCRATCH = STILL + STILL_BYTES + 4 * ATOM_MAX;

const FP16 = 2;

export interface SdpProgram {
  readonly sdp: SdpValues;
  readonly stages: readonly [x1: Stage, x2: Stage, y: Stage];
  readonly lut: Lut;
  /** Where results go: memory, or the cube that PDP reads. */
  readonly destination: Cube;
}

/**
 * What SDP reads: a cube of elements of 1 or 2 bytes, or what the accumulator gives: int32 (fp32 when computing in fp16), a
 * group of channels side by side.
 */
export interface SdpSource extends Cube {
  readonly bytes: 1 | 2 | 4;
  /** Of the accumulator: channels from this one on are all zero. */
  readonly kernels?: number;
}

/** Runs one operation, in one or more bands of rows. */
export class SdpPath {
  readonly #kernels: ProcessorKernels;
  readonly #program: SdpProgram;
  readonly #tile: number;
  readonly #lut: number;
  readonly #pixels: number;
  /** Operand arrays by stage: ALU, multiplier. */
  readonly #operands: readonly (readonly [alu: number, mul: number])[];
  readonly #active: readonly number[];
  /** All stages in one pass: set when they only add and multiply and their operands are laid out alike. */
  readonly #chain: boolean;
  /** With the chain: operands are per element, an array holds those of a run of pixels. */
  readonly #elements: boolean;
  readonly #scratch: number;
  readonly #half: boolean;
  /** Bytes of a result. */
  readonly #bytes: 1 | 2;
  /** A group's source (when in memory), or its results, are in two surfaces of half as many channels. */
  readonly #splitSource: boolean;
  readonly #splitResult: boolean;
  /** Set when an element-wise comparison found a difference. */
  unequal = 0;

  constructor(kernels: ProcessorKernels, scratch: number, program: SdpProgram) {
    this.#kernels = kernels;
    this.#program = program;
    this.#tile = scratch;
    this.#lut = scratch + 7 * TILE * 4;
    this.#pixels = TILE / program.sdp.atom;
    this.#operands = [0, 1, 2].map((stage) => [
      scratch + (1 + 2 * stage) * TILE * 4,
      scratch + (2 + 2 * stage) * TILE * 4,
    ]);
    this.#active = [0, 1, 2].filter((stage) => program.stages[stage].enabled !== 0);
    this.#scratch = scratch;
    const { source, precision, output } = program.sdp;
    this.#half = precision === FP16;
    this.#bytes = output === 0 ? 1 : 2;
    this.#splitSource = precision === 0 && source !== 0;
    this.#splitResult = precision === 0 && output !== 0;
    const inMemory = this.#active.map((index) => program.stages[index]).filter(usesMemory);
    this.#elements = inMemory.some((stage) => stage.perElement !== 0);
    this.#chain =
      precision === output &&
      source === precision &&
      !this.#half &&
      this.#active.length > 0 &&
      this.#active.every((index) => index < 2 && linear(program.stages[index])) &&
      inMemory.every((stage) => (stage.perElement !== 0) === this.#elements);
    for (const stage of this.#active) this.#registers(stage);
    if (program.stages[2].lut !== 0) storeLut(kernels, this.#lut, program.lut);
  }

  /** Rows [y0, y1) of every surface. Row y0 of surface 0 is at `source.address`; int32 rows are overwritten. */
  rows(source: SdpSource, y0: number, y1: number): void {
    const { sdp, destination } = this.#program;
    const groups = Math.ceil(sdp.channels / sdp.atom);
    const split = this.#splitSource && source.bytes === 2;
    const sourceStep = split ? 2 * source.surface : source.surface;
    const resultStep = this.#splitResult ? 2 * destination.surface : destination.surface;
    const sourcePixel = (sdp.atom * source.bytes) / (split ? 2 : 1);
    const resultPixel = (sdp.atom * this.#bytes) / (this.#splitResult ? 2 : 1);
    const second = split ? source.surface : 0;
    for (let group = 0; group < groups; group++) {
      for (const stage of this.#active) this.#kernelOperands(stage, group);
      const live = this.#liveLanes(source, group);
      for (let y = y0; y < y1; y++) {
        const from = source.address + group * sourceStep + (y - y0) * source.line;
        const to = destination.address + group * resultStep + y * destination.line;
        for (let x = 0; x < sdp.width; x += this.#pixels) {
          const pixels = Math.min(this.#pixels, sdp.width - x);
          const at = from + x * sourcePixel;
          this.#run(at, second, source.bytes, to + x * resultPixel, group, y, x, pixels, live);
        }
      }
    }
  }

  /** Lanes of a surface that must be computed; what the others come to is left in the scratch. */
  #liveLanes(source: SdpSource, surface: number): number {
    const { atom } = this.#program.sdp;
    if (!this.#chain || this.#elements || source.kernels === undefined) return atom;
    const live = Math.min(atom, Math.max(0, Math.ceil((source.kernels - surface * atom) / 8) * 8));
    if (live < atom) {
      const zeros = this.#scratch + STILL + STILL_BYTES;
      this.#kernels.fill32(zeros, 0, atom);
      this.#runChain(zeros, 4, this.#scratch + STILL, surface, 0, 0, 1, atom);
    }
    return live;
  }

  #run(
    from: number,
    second: number,
    bytes: 1 | 2 | 4,
    to: number,
    surface: number,
    y: number,
    x: number,
    pixels: number,
    live: number,
  ): void {
    const { sdp, stages } = this.#program;
    const kernels = this.#kernels;
    const count = pixels * sdp.atom;
    if (this.#chain) {
      this.#runChain(from, bytes, to, surface, y, x, pixels, live);
      return;
    }
    // Accumulator results are this engine's own: the stages work on them in place.
    const tile = bytes === 4 ? from : this.#tile;
    if (bytes !== 4) this.#load(from, second, bytes, pixels);
    else if (this.#half && sdp.nanToZero !== 0) kernels.flushNans(tile, count);
    for (const index of this.#active) {
      const stage = stages[index];
      const element = stage.perElement !== 0 && usesMemory(stage);
      if (element) this.#elementOperands(index, surface, y, x, count);
      const [alu, mul] = this.#operands[index];
      const groups = element ? 1 : pixels;
      const lanes = element ? count : sdp.atom;
      const multiplier = stage.multiply !== 0 ? mul : 0;
      if (this.#half) this.#runHalf(index, tile, groups, lanes, alu, multiplier);
      else if (index < 2) {
        const rate = 2 ** -stage.mulShift;
        kernels.stageX(tile, groups, lanes, alu, stage.algo, multiplier, rate, stage.prelu, stage.relu);
      } else {
        this.unequal |= kernels.stageY(
          tile,
          groups,
          lanes,
          multiplier,
          stage.mulShift,
          stage.prelu,
          alu,
          stage.algo,
        );
        if (stage.lut !== 0) kernels.lookupTile(tile, count, this.#lut);
      }
    }
    this.#convert(tile, to, count);
  }

  /** A run of pixels of memory to the tile. */
  #load(from: number, second: number, bytes: 1 | 2, pixels: number): void {
    const { sdp } = this.#program;
    const kernels = this.#kernels;
    const count = pixels * sdp.atom;
    if (this.#half) kernels.halfToFloat(from, this.#tile, count, sdp.nanToZero);
    else if (bytes === 1) kernels.widen8(from, this.#tile, count);
    else if (second === 0) kernels.widen16(from, this.#tile, count);
    else kernels.widenPair16(from, from + second, this.#tile, pixels, sdp.atom);
  }

  #runHalf(index: number, tile: number, groups: number, lanes: number, alu: number, mul: number): void {
    const kernels = this.#kernels;
    const { algo, prelu, relu, lut } = this.#program.stages[index];
    if (index < 2) kernels.stageXHalf(tile, groups, lanes, alu, algo, mul, prelu, relu);
    else {
      this.unequal |= kernels.stageYHalf(tile, groups, lanes, mul, prelu, alu, algo);
      if (lut !== 0) kernels.lookupTileHalf(tile, groups * lanes, this.#lut);
    }
  }

  /** The tile to results in memory. */
  #convert(tile: number, to: number, count: number): void {
    const { sdp, destination } = this.#program;
    const kernels = this.#kernels;
    const scale = sdp.cvtScale * 2 ** -sdp.cvtShift;
    const second = this.#splitResult ? to + destination.surface : 0;
    if (this.#half) kernels.floatToHalf(tile, to, count, sdp.output === FP16 ? 0 : 1);
    else if (sdp.output === 0) kernels.convert8(tile, to, count, sdp.cvtOffset, scale);
    else if (sdp.output === FP16)
      kernels.convertHalf(tile, to, second, sdp.atom / 2, count, sdp.cvtOffset, scale);
    else kernels.convert16(tile, to, second, sdp.atom / 2, count, sdp.cvtOffset, scale);
  }

  #runChain(
    from: number,
    bytes: 1 | 2 | 4,
    to: number,
    surface: number,
    y: number,
    x: number,
    pixels: number,
    live: number,
  ): void {
    const { sdp, stages } = this.#program;
    const count = pixels * sdp.atom;
    const [first, second] = this.#active;
    if (this.#elements) {
      for (const index of this.#active)
        if (usesMemory(stages[index])) this.#elementOperands(index, surface, y, x, count);
    }
    const chain = this.#bytes === 1 ? this.#kernels.chain8 : this.#kernels.chain16;
    chain(
      from,
      bytes,
      to,
      this.#elements ? 1 : pixels,
      this.#elements ? count : sdp.atom,
      this.#alu64(first),
      this.#mul64(first),
      stages[first].relu,
      second === undefined ? 0 : 1,
      second === undefined ? 0 : this.#alu64(second),
      second === undefined ? 0 : this.#mul64(second),
      second === undefined ? 0 : stages[second].relu,
      sdp.cvtOffset,
      sdp.cvtScale * 2 ** -sdp.cvtShift,
      this.#elements ? count : live,
      this.#scratch + STILL,
    );
  }

  /** The chain's array of summands of a stage, or 0. */
  #alu64(index: number): number {
    return this.#program.stages[index].algo < 0 ? 0 : this.#scratch + DOUBLES + index * 2 * TILE * 8;
  }

  /** The chain's array of multipliers times 2^-shift, or 0. */
  #mul64(index: number): number {
    const { multiply, mulShift } = this.#program.stages[index];
    return multiply === 0 && mulShift === 0 ? 0 : this.#scratch + DOUBLES + (index * 2 + 1) * TILE * 8;
  }

  /** Fills the arrays of operands that come from registers, once. */
  #registers(index: number): void {
    const stage = this.#program.stages[index];
    const [alu, mul] = this.#operands[index];
    if (this.#chain) {
      const rate = 2 ** -stage.mulShift;
      const lanes = this.#elements ? TILE : this.#program.sdp.atom;
      if (stage.algo >= 0 && stage.aluMemory === 0)
        this.#kernels.fill64(this.#alu64(index), sat32(stage.aluValue * 2 ** stage.aluShift), lanes);
      if (this.#mul64(index) !== 0 && (stage.multiply === 0 || stage.mulMemory === 0))
        this.#kernels.fill64(this.#mul64(index), (stage.multiply === 0 ? 1 : stage.mulValue) * rate, lanes);
      return;
    }
    if (stage.algo >= 0 && stage.aluMemory === 0) {
      const value = this.#half
        ? this.#registerFloat(index, stage.aluValue)
        : sat32(stage.aluValue * 2 ** stage.aluShift);
      this.#kernels.fill32(alu, value, TILE);
    }
    if (stage.multiply !== 0 && stage.mulMemory === 0) {
      const value = this.#half ? this.#registerFloat(index, stage.mulValue) : stage.mulValue;
      this.#kernels.fill32(mul, value, TILE);
    }
  }

  /** A register operand as fp32 bits: those of X1 and X2 are fp16, those of Y fp32 already. */
  #registerFloat(index: number, value: number): number {
    return index === 2 ? value : this.#kernels.floatOfHalf(value & 0xffff, this.#program.sdp.nanToZero);
  }

  /** Operands per kernel: one atom of channels, the whole of it whatever the cube's last channel. */
  #kernelOperands(index: number, surface: number): void {
    const { sdp, stages } = this.#program;
    const stage = stages[index];
    if (stage.perElement !== 0 || !usesMemory(stage)) return;
    const bytes = elementBytes(stage);
    this.#fetch(index, stage.operandAddress + surface * sdp.atom * bytes, sdp.atom);
  }

  #elementOperands(index: number, surface: number, y: number, x: number, count: number): void {
    const { sdp, stages } = this.#program;
    const stage = stages[index];
    const at = stage.operandAddress + surface * stage.operandSurface + y * stage.operandLine;
    this.#fetch(index, at + x * sdp.atom * elementBytes(stage), count);
  }

  #fetch(index: number, at: number, count: number): void {
    const stage = this.#program.stages[index];
    const [alu, mul] = this.#operands[index];
    const bytes = stage.operandBytes;
    const stride = elementBytes(stage);
    if (this.#half) {
      const { nanToZero } = this.#program.sdp;
      const skip = stage.operandUse === 2 ? bytes : 0;
      if (stage.algo >= 0 && stage.aluMemory !== 0)
        this.#kernels.operandsHalf(at, alu, count, stride, bytes, nanToZero);
      if (stage.multiply !== 0 && stage.mulMemory !== 0)
        this.#kernels.operandsHalf(at + skip, mul, count, stride, bytes, nanToZero);
      return;
    }
    if (stage.algo >= 0 && stage.aluMemory !== 0) {
      const scale =
        stage.aluConvert !== 0 ? stage.aluCvtScale * 2 ** -stage.aluCvtShift : 2 ** stage.aluShift;
      const offset = stage.aluConvert !== 0 ? stage.aluCvtOffset : 0;
      if (this.#chain)
        this.#kernels.operands64(at, this.#alu64(index), count, stride, bytes, offset, scale, 1);
      else this.#kernels.operands(at, alu, count, stride, bytes, offset, scale);
    }
    if (stage.multiply !== 0 && stage.mulMemory !== 0) {
      const scale = stage.mulConvert !== 0 ? stage.mulCvtScale * 2 ** -stage.mulCvtShift : 1;
      const offset = stage.mulConvert !== 0 ? stage.mulCvtOffset : 0;
      // Interleaved pairs are ALU operand, multiplier.
      const skip = stage.operandUse === 2 ? bytes : 0;
      if (this.#chain) {
        const rate = 2 ** -stage.mulShift;
        this.#kernels.operands64(at + skip, this.#mul64(index), count, stride, bytes, offset, scale, rate);
      } else this.#kernels.operands(at + skip, mul, count, stride, bytes, offset, scale);
    }
  }
}

/** A stage of a sum, a product and a shift, without a choice by sign or size. */
function linear(stage: Stage): boolean {
  return (stage.algo === -1 || stage.algo === 2) && stage.prelu === 0;
}

function usesMemory(stage: Stage): boolean {
  return (stage.algo >= 0 && stage.aluMemory !== 0) || (stage.multiply !== 0 && stage.mulMemory !== 0);
}

/** Bytes of an element's operands in memory: one, or an interleaved pair. */
export function elementBytes(stage: Stage): number {
  return stage.operandBytes * (stage.operandUse === 2 ? 2 : 1);
}

function sat32(value: number): number {
  return Math.min(0x7fffffff, Math.max(-0x80000000, value));
}
