// The addition of two tensors of one shape: one pass of SDP, or of the convolution pipe where SDP alone rounds wrongly too often.
// Not the arithmetic: addition.ts.
import { inputOf, nameOf, type Node, nodeError, type NodeOf, shapeOf, type Value } from '../../ir/index.js';
import { type Addition, planAddition } from './addition.js';
import { type Cube, type PlacedValue, rootOf, storedQuantization, wholeWindow, type Window } from './cube.js';
import { offsetPerChannel } from './elementwise.js';
import type { ConstantBlob, ConvLayer, SdpPart } from './layers.js';
import type { Lowering } from './lowering.js';
import { tilesOf } from './pipe.js';
import { planActivation, planResult } from './result.js';
import type { Axis } from './tiles.js';
import { packedWeightBytes, packWeights } from './weights.js';

/** Add of two tensors of one shape, or of a tensor and a constant per channel. */
export function lowerAdd(lowering: Lowering, node: NodeOf<'Add'>): void {
  const a = inputOf(node, 0);
  const b = inputOf(node, 1);
  if (b.data !== undefined) return offsetPerChannel(lowering, node, a, b, 1);
  if (a.data !== undefined) return offsetPerChannel(lowering, node, b, a, 1);
  const [first, second] = sameCube(lowering, node, a, b);
  const out = node.outputs[0]!;
  const quantization = storedQuantization(node, out);
  const relu = planActivation(node, node.activation, quantization).relu && quantization.zeroPoint > -128;
  const plan = (byStage: boolean): Addition | undefined =>
    planAddition(first.quantization, second.quantization, quantization, {
      relu: byStage,
      // The pipe reads both at once, as two surfaces of one cube.
      convolution: first.cube !== second.cube && rootOf(first.cube).width === rootOf(second.cube).width,
    });
  const withRelu = relu ? plan(true) : undefined;
  const addition = withRelu ?? plan(false);
  if (addition === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'the scales of the two inputs are too far apart');
  const result = planResult(lowering, node, out, first.cube, first.strides, {
    reluByClamp: relu && withRelu === undefined,
  });
  const [source, operand] = addition.firstIsSource ? [first.cube, second.cube] : [second.cube, first.cube];
  if (addition.weights === undefined)
    lowering.layers.push({
      kind: 'sdp',
      nodes: [nameOf(node)],
      input: wholeWindow(source),
      output: wholeWindow(result.cube),
      macs: 0,
      hardwareMacs: 0,
      sdp: sdpOf(addition, wholeWindow(operand)),
    });
  else convolved(lowering, node, addition, addition.weights, { source, operand, output: result.cube });
  result.finish();
}

/** Both values in cubes of one shape and order. Whichever is in a cube already decides. */
export function sameCube(lowering: Lowering, node: Node, a: Value, b: Value): [PlacedValue, PlacedValue] {
  const shapeA = shapeOf(a);
  const shapeB = shapeOf(b);
  if (shapeA.length !== shapeB.length || shapeA.some((dim, axis) => dim !== shapeB[axis]))
    throw nodeError(node, 'EOPNOTSUPP', 'inputs of different shapes');
  const knownA = lowering.valueOf(node, a);
  const knownB = lowering.valueOf(node, b);
  const placed = knownA.kind === 'placed' ? knownA : knownB.kind === 'placed' ? knownB : undefined;
  if (placed === undefined) return [lowering.inCube(node, a), lowering.inCube(node, b)];
  const { cube, strides } = placed;
  return [lowering.inCubeOf(node, a, cube, strides), lowering.inCubeOf(node, b, cube, strides)];
}

function sdpOf({ alu, mul, shift, relu, out }: Addition, operand: Window): SdpPart {
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
    x2: { mode: 'point', type: 'add', alu: 'sum', shift, truncate: 0, relu, operand },
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
  let first = true;
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
        independent: !first,
        macs: 0,
        hardwareMacs: y.count * x.count * kernels * (atom + kernels),
      } satisfies ConvLayer);
      first = false;
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
