// ConvTranspose as plain convolutions: one for each place of an output point between two inputs, with the kernel's elements that meet there.
// Not the hardware's deconvolution (RUBIK's contraction), which one configuration has: lines and columns are written where they belong.
import { inputOf, nodeError, type NodeOf, shapeOf } from '../../ir/index.js';
import { biasOf, constantWeights, factors } from './convolution.js';
import { type Cube, cubeShape, rowMajor, stridesOn } from './cube.js';
import type { Lowering } from './lowering.js';
import { convolve } from './pipe.js';
import { copyColumns } from './plane.js';
import { planResult, type ResultPlan } from './result.js';
import type { Axis } from './tiles.js';

/** Of one axis, as the operator has it. */
interface Whole {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly pad: number;
}

/** Outputs first, first + stride, ... of an axis, as a convolution. */
interface Phase {
  readonly first: number;
  readonly axis: Axis;
  /** For each element of its kernel the one of the whole kernel; undefined for a zero. */
  readonly taps: readonly (number | undefined)[];
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * Output o takes input i by element k where o + pad = i * stride + k * dilation. For the outputs o = first + stride * t those are
 * k = least + period * j and i = t + base - step * j, which is a convolution with the elements in the other order.
 */
export function phasesOf({ input, output, kernel, stride, dilation, pad }: Whole): Phase[] {
  const period = stride / gcd(stride, dilation);
  const step = (period * dilation) / stride;
  const phases: Phase[] = [];
  for (let first = 0; first < Math.min(stride, output); first++) {
    const count = Math.ceil((output - first) / stride);
    let least: number | undefined;
    for (let k = 0; k < Math.min(period, kernel) && least === undefined; k++)
      if ((first + pad - k * dilation) % stride === 0) least = k;
    const taps: (number | undefined)[] = [];
    let base = 0;
    if (least === undefined) taps.push(undefined);
    else {
      base = (first + pad - least * dilation) / stride;
      for (let k = least; k < kernel; k += period) taps.unshift(k);
    }
    // Output 0 begins here, `begin` before the input. Zeros in front of the kernel where it begins inside, or the last output behind the end.
    let begin = (taps.length - 1) * step - base;
    while (begin < 0 || count - 1 - begin >= input) {
      taps.unshift(undefined);
      begin += step;
    }
    // And at its end where output 0 would lie wholly in the padding.
    while ((taps.length - 1) * step + 1 <= begin) taps.push(undefined);
    const axis = { input, output: count, kernel: taps.length, stride: 1, dilation: step, pad: begin };
    phases.push({ first, axis, taps });
  }
  return phases;
}

export function lowerConvTranspose(lowering: Lowering, node: NodeOf<'ConvTranspose'>): void {
  const x = inputOf(node, 0);
  const w = inputOf(node, 1);
  const out = node.outputs[0]!;
  const { strides, dilations, pads, group } = node.attributes;
  const size = cubeShape(shapeOf(out));
  if (size === undefined) throw nodeError(node, 'EOPNOTSUPP', 'batch is not 1, or it is not 1-D or 2-D');
  const input = lowering.inCube(node, x);
  const shape = shapeOf(w);
  const one = shape.length === 3;
  const kernels = shape[1]! * group;
  const perGroup = { channels: shape[0]! / group, kernels: shape[1]! };
  const [height, width] = one ? [1, shape[2]!] : [shape[2]!, shape[3]!];
  const { read, scales } = constantWeights(node, input, w, 1);
  if (scales.length !== 1 && scales.length !== kernels)
    throw nodeError(node, 'EOPNOTSUPP', `${scales.length} scales for ${kernels} kernels`);
  const { cube } = input;
  const last = strides.length - 1;
  const rows = one
    ? { kernel: 1, stride: 1, dilation: 1, pad: 0 }
    : { kernel: height, stride: strides[0]!, dilation: dilations[0]!, pad: pads[0]! };
  const columns = { kernel: width, stride: strides[last]!, dilation: dilations[last]!, pad: pads[last]! };
  const phases = {
    y: phasesOf({ ...rows, input: cube.height, output: size.height }),
    x: phasesOf({ ...columns, input: cube.width, output: size.width }),
  };
  const order = stridesOn(rowMajor(shapeOf(out)), size.axes);
  const result = planResult(lowering, node, out, size, order, { slopeByStage: true });

  let all: Int8Array | Float32Array | undefined;
  const weights = (): Int8Array | Float32Array => {
    if (all !== undefined) return all;
    const count = shape.reduce((a, b) => a * b, 1);
    all = input.quantization.half ? new Float32Array(count) : new Int8Array(count);
    read(0, 1, all);
    return all;
  };
  const common = {
    node,
    input,
    group,
    factor: factors(node, input, out, scales, kernels),
    bias: biasOf(node, 2, kernels, input, scales),
    countsMacs: true,
  };
  for (const px of phases.x) {
    // Columns that belong between others are made side by side, and copied apart.
    const apart = columns.stride > 1;
    const part = { ...size, width: px.axis.output };
    const target: Omit<ResultPlan, 'finish'> = apart
      ? { ...result, cube: lowering.newCube(node, part, result.quantization) }
      : result;
    for (const py of phases.y)
      convolve(
        lowering,
        {
          ...common,
          size: { ...part, height: py.axis.output },
          axes: { y: py.axis, x: px.axis },
          lines: { first: py.first, step: rows.stride },
          kernel: (k, into) => {
            const from = weights();
            const own = Math.floor(k / perGroup.kernels);
            let to = 0;
            for (let c = 0; c < perGroup.channels; c++) {
              const at =
                ((own * perGroup.channels + c) * perGroup.kernels + (k % perGroup.kernels)) * height * width;
              for (const ky of py.taps)
                for (const kx of px.taps)
                  into[to++] = ky === undefined || kx === undefined ? 0 : from[at + ky * width + kx]!;
            }
          },
        },
        target,
      );
    if (apart) spread(lowering, node, target.cube, result, px, columns.stride);
  }
  result.finish();
}

function spread(
  lowering: Lowering,
  node: NodeOf<'ConvTranspose'>,
  from: Cube,
  { cube: to, quantization }: ResultPlan,
  phase: Phase,
  stride: number,
): void {
  const block = (cube: Cube): Parameters<typeof copyColumns>[2] => ({ cube, channel: 0, y: 0, lineStep: 1 });
  copyColumns(
    lowering,
    node,
    block(from),
    block(to),
    to,
    [{ from: 0, fromStep: 1, to: phase.first, toStep: stride, count: phase.axis.output }],
    { input: quantization, output: quantization, relu: false },
  );
}
