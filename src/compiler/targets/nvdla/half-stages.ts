// SDP's stages in fp16: operands are halves, nothing is shifted or converted.
// Not the integer stages: scale.ts and addition.ts.
import { floatToHalf } from '../../ir/evaluate/half.js';
import type { Activation } from '../../ir/index.js';
import type { Window } from './cube.js';
import type { SdpPart, SdpStage } from './layers.js';
import { packHalves } from './weights.js';

/** The output converter does nothing in this precision. */
export const unconverted = { offset: 0, scale: 1, truncate: 0 };

const plain = { alu: 'sum', shift: 0, truncate: 0, relu: false } as const;

/** One number for all, or one per channel: a register value or a vector in memory. */
export function halfOperand(
  type: 'add' | 'mul',
  values: ArrayLike<number>,
  alu: SdpStage['alu'] = 'sum',
): SdpStage {
  const { length } = values;
  if (length > 1)
    return {
      ...plain,
      mode: 'kernel',
      type,
      alu,
      constant: { bytes: length * 2, make: () => packHalves(values) },
    };
  const bits = floatToHalf(values[0]!);
  // A register's 16 bits are signed in the descriptor.
  const operand = (bits << 16) >> 16;
  return { ...plain, mode: 'layer', type, alu, aluOperand: operand, mulOperand: operand };
}

/** Another tensor, element by element. */
export function halfTensor(type: 'add' | 'mul', operand: Window, alu: SdpStage['alu'] = 'sum'): SdpStage {
  return { ...plain, mode: 'point', type, alu, operand };
}

/** ReLU and nothing else. */
export const halfRelu: SdpStage = {
  ...plain,
  mode: 'layer',
  type: 'none',
  relu: true,
  aluOperand: 0,
  mulOperand: 0,
};

/** What an activation asks of two stages; undefined when it needs a table. */
export function halfActivation(activation: Activation | undefined): SdpStage[] | undefined {
  switch (activation?.op) {
    case undefined:
      return [];
    case 'Relu':
      return [halfRelu];
    case 'LeakyRelu':
      return [{ ...halfOperand('mul', [activation.alpha]), prelu: true }];
    case 'Clip': {
      const { min, max } = activation;
      const stages: SdpStage[] = [];
      if (min === 0) stages.push(halfRelu);
      else if (min > -65504) stages.push(halfOperand('add', [min], 'max'));
      if (max < 65504) stages.push(halfOperand('add', [max], 'min'));
      return stages;
    }
    default:
      return undefined;
  }
}

/** Bias, then a divisor, then ReLU behind a convolution. */
export function halfConvolutionPart(
  bias: Float64Array,
  divisor: number,
  relu: boolean,
  first: number,
  count: number,
): SdpPart {
  const stages: SdpStage[] = [];
  if (bias.some((value) => value !== 0)) stages.push(halfOperand('add', bias.subarray(first, first + count)));
  if (divisor !== 1) stages.push(halfOperand('mul', [1 / divisor]));
  return partOf(relu ? withRelu(stages) : stages);
}

/** ReLU in the last stage, or in one of its own. */
export function withRelu(stages: readonly SdpStage[]): SdpStage[] {
  const last = stages.at(-1);
  if (last === undefined || last.prelu) return [...stages, halfRelu];
  return [...stages.slice(0, -1), { ...last, relu: true }];
}

/** At most two stages. */
export function partOf(stages: readonly SdpStage[]): SdpPart {
  const [x1, x2] = stages;
  return { ...(x1 === undefined ? {} : { x1 }), ...(x2 === undefined ? {} : { x2 }), out: unconverted };
}
