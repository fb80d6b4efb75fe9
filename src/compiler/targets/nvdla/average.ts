// Means over windows, on the convolution pipe: kernels of ones, so that the sum is exact and one factor makes the mean.
// Not PDP's average, whose reciprocals are 16-bit products: 3 x 3 comes out below the true mean (fact sheet section 2.6).
import { inputOf, nameOf, type NodeOf } from '../../ir/index.js';
import { type Cube, type Strides, wholeWindow } from './cube.js';
import type { SdpPart, SdpStage } from './layers.js';
import type { Lowering } from './lowering.js';
import { convolve, type Convolution, type Rectangle } from './pipe.js';
import { planResult, type ResultPlan } from './result.js';
import { type Axis, spanOf } from './tiles.js';

/** AveragePool and GlobalAveragePool: kernels of ones, so that the sum is exact and one factor makes the mean. */
export function lowerAverage(
  lowering: Lowering,
  node: NodeOf<'AveragePool'> | NodeOf<'GlobalAveragePool'> | NodeOf<'ReduceMean'>,
  window: AverageWindow,
): void {
  const out = node.outputs[0]!;
  const input = lowering.inCube(node, inputOf(node, 0));
  const { cube } = input;
  const { kernel, stride, pad, output, countPads } = window;
  const axes = {
    y: {
      input: cube.height,
      output: output.height,
      kernel: kernel.y,
      stride: stride.y,
      dilation: 1,
      pad: pad.y,
    },
    x: {
      input: cube.width,
      output: output.width,
      kernel: kernel.x,
      stride: stride.x,
      dilation: 1,
      pad: pad.x,
    },
  };
  const size = { channels: cube.channels, ...output };
  const { scale } = lowering.stored(node, out);
  const ratio = input.quantization.scale / scale;
  const rectangles: Rectangle[] = [];
  for (const y of runs(axes.y, countPads))
    for (const x of runs(axes.x, countPads)) rectangles.push({ y, x, divisor: y.inputs * x.inputs });
  const sum = {
    node,
    input,
    size,
    kernel: (_: number, into: Int8Array | Float32Array) => into.fill(1),
    group: cube.channels,
    axes,
    factor: new Float64Array(cube.channels).fill(ratio),
    bias: new Float64Array(cube.channels),
    rectangles,
    countsMacs: false,
  };
  const result = planResult(lowering, node, out, size, window.strides);
  if (!input.quantization.half && rectangles.some(({ divisor }) => hasTies(ratio, divisor)))
    tiesToEven(lowering, sum, result);
  else convolve(lowering, sum, result);
  result.finish();
}

/** Whether sums of integers times ratio / divisor are often exactly between two integers. */
function hasTies(ratio: number, divisor: number): boolean {
  return divisor % 2 === 0 && Number.isInteger(ratio * 256);
}

/**
 * Ties round to even, as quantised models have them, though the hardware rounds them away from zero. The mean is made twice, once with
 * ties upwards (p) and once downwards (q). Where they differ their sum m = p + q is odd, and its half lies between an even and an odd
 * integer; 2 h with h = round(m / 4) is the even one, and at most one off for other m. So round((m + 2 h) / 3) is m / 2 where that is an
 * integer, and the even neighbour where not. An odd zero point z moves all by one: m - 2 z for m.
 */
function tiesToEven(lowering: Lowering, sum: Convolution, result: ResultPlan): void {
  const { node, size } = sum;
  const [up, down, half] = [0, 1, 2].map(() => lowering.newCube(node, size, result.quantization)) as [
    Cube,
    Cube,
    Cube,
  ];
  // Sums are integers: a quarter decides ties and nothing else.
  convolve(lowering, { ...sum, bias: sum.bias.map((value) => value + 0.25) }, { ...result, cube: up });
  convolve(lowering, { ...sum, bias: sum.bias.map((value) => value - 0.25) }, { ...result, cube: down });
  const odd = Math.abs(result.quantization.zeroPoint % 2);
  const pass = (output: Cube, sdp: SdpPart): void => {
    lowering.layers.push({
      kind: 'sdp',
      nodes: [nameOf(node)],
      input: wholeWindow(up),
      output: wholeWindow(output),
      macs: 0,
      hardwareMacs: 0,
      sdp,
    });
  };
  const plus = (cube: Cube, shift: number): SdpStage => ({
    mode: 'point',
    type: 'add',
    alu: 'sum',
    shift,
    truncate: 0,
    relu: false,
    operand: wholeWindow(cube),
  });
  pass(half, { x1: plus(down, 0), out: { offset: 2 * odd, scale: 1, truncate: 2 } });
  // 1/3 as 21845 / 2^16: results are integers and thirds, far from a tie.
  pass(result.cube, {
    x1: plus(down, 0),
    x2: plus(half, 1),
    out: { offset: -odd, scale: 21845, truncate: 16 },
  });
}

/** Extents of an average over a cube. */
export interface AverageWindow {
  readonly kernel: { readonly y: number; readonly x: number };
  readonly stride: { readonly y: number; readonly x: number };
  readonly pad: { readonly y: number; readonly x: number };
  readonly output: { readonly height: number; readonly width: number };
  /** Of the result, as a row-major tensor. */
  readonly strides: Strides;
  readonly countPads: boolean;
}

/** Runs of outputs whose windows hold the same number of inputs. */
function runs(axis: Axis, countPads: boolean): { from: number; to: number; inputs: number }[] {
  if (countPads) return [{ from: 0, to: axis.output, inputs: axis.kernel }];
  const found: { from: number; to: number; inputs: number }[] = [];
  for (let at = 0; at < axis.output; at++) {
    const inputs = spanOf(axis, at, 1).inputCount;
    const last = found.at(-1);
    if (last !== undefined && last.inputs === inputs) last.to = at + 1;
    else found.push({ from: at, to: at + 1, inputs });
  }
  return found;
}
