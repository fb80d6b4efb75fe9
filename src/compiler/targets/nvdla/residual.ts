// The sum or difference of two tensors: one pass of SDP, or of the convolution pipe where SDP alone rounds wrongly too often.
// Not the arithmetic: addition.ts.
import { inputOf, nameOf, type Node, nodeError, type NodeOf, shapeOf, type Value } from '../../ir/index.js';
import { type Addition, planAddition } from './addition.js';
import { type Cube, rootOf, storedQuantization, wholeWindow, type Window } from './cube.js';
import { offsetPerChannel } from './elementwise.js';
import type { ConstantBlob, ConvLayer, SdpPart } from './layers.js';
import type { Lowering } from './lowering.js';
import { isPerChannel, operandsOf } from './operands.js';
import { tilesOf } from './pipe.js';
import { planActivation, planResult } from './result.js';
import type { Quantized } from './scale.js';
import type { Axis } from './tiles.js';
import { packedWeightBytes, packWeights } from './weights.js';

/** Add and Sub of two tensors of one shape, of a tensor and one value per channel, or of a tensor and such a constant. */
export function lowerAdd(lowering: Lowering, node: NodeOf<'Add'> | NodeOf<'Sub'>): void {
  const a = inputOf(node, 0);
  const b = inputOf(node, 1);
  const sign = node.op === 'Add' ? 1 : -1;
  if (b.data !== undefined && fitsChannels(b, a)) return offsetPerChannel(lowering, node, a, b, sign);
  if (a.data !== undefined && fitsChannels(a, b)) return offsetPerChannel(lowering, node, b, a, 1, sign);
  const { source, operand, mode, swapped } = operandsOf(lowering, node, a, b);
  const out = node.outputs[0]!;
  const quantization = storedQuantization(node, out);
  const relu = planActivation(node, node.activation, quantization).relu && quantization.zeroPoint > -128;
  // What is taken off has a negative scale.
  const signed = ({ scale, zeroPoint }: Quantized, second: boolean): Quantized => ({
    scale: second ? sign * scale : scale,
    zeroPoint,
  });
  const plan = (byStage: boolean): Addition | undefined =>
    planAddition(signed(source.quantization, swapped), signed(operand.quantization, !swapped), quantization, {
      relu: byStage,
      sourceFirst: mode === 'kernel',
      // The pipe reads both at once, as two surfaces of one cube.
      convolution:
        mode === 'point' &&
        source.cube !== operand.cube &&
        rootOf(source.cube).constant === undefined &&
        rootOf(operand.cube).constant === undefined &&
        rootOf(source.cube).width === rootOf(operand.cube).width,
    });
  const withRelu = relu ? plan(true) : undefined;
  const addition = withRelu ?? plan(false);
  if (addition === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'the scales of the two inputs are too far apart');
  const result = planResult(lowering, node, out, source.cube, source.strides, {
    reluByClamp: relu && withRelu === undefined,
  });
  const cubes = addition.firstIsSource ? [source.cube, operand.cube] : [operand.cube, source.cube];
  const [from, other] = cubes as [Cube, Cube];
  if (addition.weights === undefined)
    lowering.layers.push({
      kind: 'sdp',
      nodes: [nameOf(node)],
      input: wholeWindow(from),
      output: wholeWindow(result.cube),
      macs: 0,
      hardwareMacs: 0,
      sdp: sdpOf(addition, wholeWindow(other), mode),
    });
  else
    convolved(lowering, node, addition, addition.weights, {
      source: from,
      operand: other,
      output: result.cube,
    });
  result.finish();
}

function fitsChannels(constant: Value, tensor: Value): boolean {
  return constant.data!.length === 1 || isPerChannel(shapeOf(constant), shapeOf(tensor));
}

function sdpOf(
  { alu, mul, shift, relu, out }: Addition,
  operand: Window,
  mode: 'point' | 'kernel' = 'point',
): SdpPart {
  return {
    x1: {
      mode: 'layer',
      type: 'both',
      alu: 'sum',
      shift: 0,
      truncate: 0,
      relu: false,
      aluOperand: alu,
      mulOperand: mul,
    },
    x2: { mode, type: 'add', alu: 'sum', shift, truncate: 0, relu, operand },
    out,
  };
}

interface Cubes {
  readonly source: Cube;
  readonly operand: Cube;
  readonly output: Cube;
}

/** One layer per surface (and tile): kernel c has a weight for channel c of the source's surface and one for the operand's. */
function convolved(
  lowering: Lowering,
  node: Node,
  addition: Addition,
  weights: readonly [number, number],
  { source, operand, output }: Cubes,
): void {
  const { atom } = lowering.config;
  const axis = (extent: number): Axis => ({
    input: extent,
    output: extent,
    kernel: 1,
    stride: 1,
    dilation: 1,
    pad: 0,
  });
  const axes = { y: axis(source.height), x: axis(source.width) };
  const blobs = new Map<number, { forward: ConstantBlob; backward: ConstantBlob }>();
  for (let channel = 0; channel < source.channels; channel += atom) {
    const kernels = Math.min(atom, source.channels - channel);
    let blob = blobs.get(kernels);
    if (blob === undefined) {
      blob = {
        forward: diagonal(lowering, kernels, weights),
        backward: diagonal(lowering, kernels, [weights[1], weights[0]]),
      };
      blobs.set(kernels, blob);
    }
    for (const { y, x, banks } of tilesOf(lowering, node, axes, {
      channels: atom + kernels,
      kernels,
      elementBytes: 1,
    })) {
      const window = (cube: Cube): Window => ({
        cube,
        channel,
        channels: kernels,
        y: y.from,
        height: y.count,
        x: x.from,
        width: x.count,
      });
      lowering.layers.push({
        kind: 'conv',
        nodes: [nameOf(node)],
        input: window(source),
        pair: { input: window(operand), weights: blob.backward },
        output: window(output),
        kernel: { height: 1, width: 1 },
        stride: { y: 1, x: 1 },
        dilation: { y: 1, x: 1 },
        pads: { top: 0, bottom: 0, left: 0, right: 0 },
        padValue: 0,
        weights: blob.forward,
        banks,
        sdp: sdpOf(addition, window(operand)),
        macs: 0,
        hardwareMacs: y.count * x.count * kernels * (atom + kernels),
      } satisfies ConvLayer);
    }
  }
}

/** Kernel c: `low` at channel c, `high` at channel atom + c, zeros elsewhere. */
function diagonal(
  { config }: Lowering,
  kernels: number,
  [low, high]: readonly [number, number],
): ConstantBlob {
  const shape = { kernels, channels: config.atom + kernels, height: 1, width: 1 };
  return {
    bytes: packedWeightBytes(shape),
    make: () => {
      const data = new Int8Array(kernels * shape.channels);
      for (let k = 0; k < kernels; k++) {
        data[k * shape.channels + k] = low;
        data[k * shape.channels + config.atom + k] = high;
      }
      return packWeights(config, { ...shape, data });
    },
  };
}
