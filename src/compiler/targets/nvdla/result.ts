// Where an operator's result goes, and what its activation asks of the stages.
// Not the stages themselves: the operator fills them in.
import { type Activation, nameOf, type Node, nodeError, type Value } from '../../ir/index.js';
import { type Cube, type Strides, wholeWindow, type Window } from './cube.js';
import type { SdpStage } from './layers.js';
import type { CubeSize, Lowering } from './lowering.js';
import { halfActivation, partOf } from './half-stages.js';
import type { Quantized } from './scale.js';

/** What is left of an activation between quantised values. */
export interface ActivationPlan {
  /** Negative reals become zero. */
  readonly relu: boolean;
  /** Limits that saturation of int8 does not give already; a pass of its own. */
  readonly clamp: { readonly min: number; readonly max: number } | undefined;
  /** Of LeakyRelu. */
  readonly slope?: number;
}

/** Throws EOPNOTSUPP for activations that need a table. */
export function planActivation(node: Node, activation: Activation | undefined, q: Quantized): ActivationPlan {
  if (activation === undefined) return { relu: false, clamp: undefined };
  switch (activation.op) {
    case 'Relu':
      return { relu: true, clamp: undefined };
    case 'Clip': {
      const step = (real: number): number => Math.round(real / q.scale) + q.zeroPoint;
      const relu = activation.min === 0;
      const min = relu || step(activation.min) <= -128 ? -128 : step(activation.min);
      const max = Math.min(127, step(activation.max));
      return { relu, clamp: min === -128 && max === 127 ? undefined : { min, max } };
    }
    case 'LeakyRelu':
      return { relu: false, clamp: undefined, slope: activation.alpha };
    default:
      throw nodeError(node, 'EOPNOTSUPP', `activation ${activation.op} is not computed on int8`);
  }
}

/** A result on its way: the layers write `cube`; `finish` adds the clamping pass if there is one. */
export interface ResultPlan {
  readonly cube: Cube;
  readonly quantization: Quantized;
  readonly relu: boolean;
  /** Negative reals are multiplied by it, in Y. */
  readonly slope?: number;
  finish(): void;
}

export interface ResultOptions {
  /** The layers need not care for ReLU: the clamping pass does it. */
  readonly reluByClamp?: boolean;
  /** The layers can have a slope for negative reals in Y. */
  readonly slopeByStage?: boolean;
  /** Default the node's fused one. */
  readonly activation?: Activation;
}

/** Defines `value` as the result of `node`, a cube of `size` in row-major order by `strides`. */
export function planResult(
  lowering: Lowering,
  node: Node,
  value: Value,
  size: CubeSize,
  strides: Strides,
  { reluByClamp = false, slopeByStage = false, activation: given = node.activation }: ResultOptions = {},
): ResultPlan {
  const { cube, quantization } = lowering.result(node, value, size, strides);
  if (quantization.half) return halfResult(lowering, node, cube, size, quantization, given);
  const activation = planActivation(node, given, quantization);
  const { slope } = activation;
  if (slope !== undefined) {
    const { name, sdpEw } = lowering.config;
    if (!slopeByStage || !sdpEw)
      throw nodeError(
        node,
        'EOPNOTSUPP',
        sdpEw
          ? 'activation LeakyRelu behind an operator whose stages are taken'
          : `activation LeakyRelu wants a third stage of SDP, which ${name} does not have`,
      );
    return { cube, quantization, relu: false, slope, finish: () => undefined };
  }
  let { relu, clamp } = activation;
  if (relu && reluByClamp) {
    clamp = { min: Math.max(-128, quantization.zeroPoint), max: clamp?.max ?? 127 };
    relu = false;
  }
  if (clamp === undefined) return { cube, quantization, relu, finish: () => undefined };
  const raw = lowering.newCube(node, size, quantization);
  return {
    cube: raw,
    quantization,
    relu,
    finish: () => {
      clampLayer(lowering, nameOf(node), wholeWindow(raw), wholeWindow(cube), clamp);
    },
  };
}

/** In fp16: ReLU in the layers' own stages, anything else by a pass behind them. */
function halfResult(
  lowering: Lowering,
  node: Node,
  cube: Cube,
  size: CubeSize,
  quantization: Quantized,
  activation: Activation | undefined,
): ResultPlan {
  const stages = halfActivation(activation);
  if (stages === undefined) throw nodeError(node, 'EOPNOTSUPP', `activation ${activation!.op} needs a table`);
  const relu = stages[0]?.type === 'none';
  const rest = relu ? stages.slice(1) : stages;
  if (rest.length === 0) return { cube, quantization, relu, finish: () => undefined };
  const raw = lowering.newCube(node, size, quantization);
  return {
    cube: raw,
    quantization,
    relu,
    finish: () => {
      lowering.layers.push({
        kind: 'sdp',
        nodes: [nameOf(node)],
        input: wholeWindow(raw),
        output: wholeWindow(cube),
        macs: 0,
        hardwareMacs: 0,
        sdp: partOf(rest),
      });
    },
  };
}

function limit(alu: 'max' | 'min', operand: number): SdpStage {
  return {
    mode: 'layer',
    type: 'add',
    alu,
    shift: 0,
    truncate: 0,
    relu: false,
    aluOperand: operand,
    mulOperand: 0,
  };
}

function clampLayer(
  lowering: Lowering,
  name: string,
  input: Window,
  output: Window,
  clamp: { min: number; max: number },
): void {
  lowering.layers.push({
    kind: 'sdp',
    nodes: [name],
    input,
    output,
    macs: 0,
    hardwareMacs: 0,
    sdp: {
      x1: limit('max', clamp.min),
      x2: limit('min', clamp.max),
      out: { offset: 0, scale: 1, truncate: 0 },
    },
  });
}
