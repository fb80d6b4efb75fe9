// LeakyRelu and PRelu on int8: SDP's PReLU, with the factor's two parts before and behind it; by the table where there is one slope and one table.
// Not fp16 (half.ts), nor slopes behind a convolution (pipe.ts).
//
// X1: v = (q - z) * mul, X2: v * slope >> truncate for negative v alone, C: v * scale >> shift. The slope has 15 bits; of the pairs of
// multipliers, and of the slopes next to the real one, those are taken that make all 256 results right, or most of them.
import { roundHalfEven } from '../../ir/evaluate/tensor.js';
import { inputOf, nameOf, nodeError, type NodeOf } from '../../ir/index.js';
import { wholeWindow } from './cube.js';
import { perChannel } from './elementwise.js';
import type { SdpStage } from './layers.js';
import type { Lowering } from './lowering.js';
import { planResult } from './result.js';
import { conversionOf, type Factor, factorPairs, type Quantized, roundShift } from './scale.js';
import { lowerFunction } from './table.js';
import { packWords } from './weights.js';

/** Pairs of multipliers that are tried. */
const PAIRS = 64;
/** Slopes to either side of the nearest. */
const NEIGHBOURS = 3;

export function lowerSlope(lowering: Lowering, node: NodeOf<'LeakyRelu'> | NodeOf<'PRelu'>): void {
  const x = inputOf(node, 0);
  const slope = node.op === 'PRelu' ? inputOf(node, 1) : undefined;
  if (slope !== undefined && slope.data === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'slopes that are not constant are not computed on int8');
  if (lowering.config.sdpLut && (slope === undefined || slope.data!.length === 1))
    return lowerFunction(lowering, node);
  const input = slope === undefined ? lowering.inAnyCube(node, x) : lowering.inCube(node, x);
  const slopes =
    node.op === 'PRelu'
      ? perChannel(node, inputOf(node, 1), input, x.shape!)
      : Float64Array.of(node.attributes.alpha);
  const result = planResult(lowering, node, node.outputs[0]!, input.cube, input.strides, {
    reluByClamp: true,
  });
  const plan = planSlopes(input.quantization, result.quantization, slopes);
  if (plan === undefined) throw nodeError(node, 'EOPNOTSUPP', 'the scales are too far apart');
  const x1: SdpStage = {
    mode: 'layer',
    type: 'both',
    alu: 'sum',
    shift: 0,
    truncate: 0,
    relu: false,
    aluOperand: -input.quantization.zeroPoint,
    mulOperand: plan.factor.mul,
  };
  const x2: SdpStage = {
    ...(plan.slopes.length === 1
      ? { mode: 'layer', aluOperand: 0, mulOperand: plan.slopes[0]! }
      : {
          mode: 'kernel',
          constant: { bytes: plan.slopes.length * 2, make: () => packWords(plan.slopes) },
        }),
    type: 'mul',
    alu: 'sum',
    shift: 0,
    truncate: plan.truncate,
    relu: false,
    prelu: true,
  };
  lowering.layers.push({
    kind: 'sdp',
    nodes: [nameOf(node)],
    input: wholeWindow(input.cube),
    output: wholeWindow(result.cube),
    macs: 0,
    hardwareMacs: 0,
    sdp: { x1, x2, out: conversionOf(plan.factor, result.quantization.zeroPoint) },
  });
  result.finish();
}

export interface Slopes {
  readonly factor: Factor;
  /** One per channel, or one. */
  readonly slopes: Int16Array;
  readonly truncate: number;
  /** Of the 256 results per slope, those that are off by one step. */
  readonly wrong: number;
}

/** The plan with the fewest wrong results; undefined when the scales are too far apart. */
export function planSlopes(input: Quantized, output: Quantized, slopes: Float64Array): Slopes | undefined {
  const ratio = input.scale / output.scale;
  let greatest = 1;
  for (const slope of slopes) greatest = Math.max(greatest, Math.abs(slope));
  const truncate = 14 - Math.floor(Math.log2(greatest));
  if (truncate < 0) return undefined;
  let best: Slopes | undefined;
  for (const factor of factorPairs(ratio, PAIRS)) {
    const run = new Results(input, output, factor);
    let wrong = run.wrong(0, 127 - input.zeroPoint, 1, undefined, truncate);
    const chosen = Int16Array.from(slopes, (slope) => {
      const [mul, errors] = bestSlope(run, slope, -128 - input.zeroPoint, truncate);
      wrong += errors;
      return mul;
    });
    if (best !== undefined && best.wrong <= wrong) continue;
    best = { factor, slopes: chosen, truncate, wrong };
    if (wrong === 0) break;
  }
  return best;
}

function bestSlope(run: Results, slope: number, least: number, truncate: number): [number, number] {
  const nearest = Math.round(slope * 2 ** truncate);
  let best: [number, number] = [nearest, Infinity];
  for (let step = 0; step <= 2 * NEIGHBOURS && best[1] > 0; step++) {
    const mul = nearest + (step % 2 === 0 ? step / 2 : -(step + 1) / 2);
    if (Math.abs(mul) > 32767) continue;
    const wrong = run.wrong(least, -1, slope, mul, truncate);
    if (wrong < best[1]) best = [mul, wrong];
  }
  return best;
}

/** What hardware and integer semantics make of stored values. */
class Results {
  readonly #ratio: number;
  readonly #zero: number;
  readonly #factor: Factor;
  readonly #offset: number;
  readonly #scale: number;
  readonly #outScale: number;

  constructor(input: Quantized, output: Quantized, factor: Factor) {
    this.#ratio = input.scale;
    this.#zero = output.zeroPoint;
    this.#factor = factor;
    this.#offset = conversionOf(factor, output.zeroPoint).offset;
    this.#scale = factor.scale;
    this.#outScale = output.scale;
  }

  /** How many of the values [from, to] (zero point taken off) differ; `mul` for negative ones. */
  wrong(from: number, to: number, slope: number, mul: number | undefined, truncate: number): number {
    let count = 0;
    for (let value = from; value <= to; value++) {
      let v = value * this.#factor.mul;
      if (mul !== undefined) v = roundShift(v * mul, truncate);
      const got = clamp(roundShift((v - this.#offset) * this.#scale, this.#factor.truncate));
      const real = value * this.#ratio;
      const want = clamp(
        roundHalfEven((mul === undefined ? real : slope * real) / this.#outScale) + this.#zero,
      );
      if (got !== want) count++;
    }
    return count;
  }
}

function clamp(value: number): number {
  return Math.max(-128, Math.min(127, value));
}
