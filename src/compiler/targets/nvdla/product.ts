// The product of two quantised tensors: out = (a - za) * (b - zb) * factor + zo, by one pass of SDP.
// Not products by constants per channel (elementwise.ts), nor fp16 (half.ts).
//
// X1 takes a's zero point off and multiplies by the first part of the factor; the other tensor is multiplied by in Y, whose operand
// converter takes its zero point off, or in X2 where it has none; C has the rest of the factor. The product of 9-bit numbers and 15 bits is
// exact, so that there is one rounding, as with convolutions; exact ties go away from zero.
import { inputOf, nameOf, nodeError, type NodeOf } from '../../ir/index.js';
import { wholeWindow } from './cube.js';
import type { ElementStage, SdpStage } from './layers.js';
import type { Lowering } from './lowering.js';
import { type Operands, operandsOf, operandWindow } from './operands.js';
import { planResult } from './result.js';
import { conversionOf, factorPair } from './scale.js';

const plain = { alu: 'sum', shift: 0, truncate: 0, relu: false } as const;

export function lowerMul(lowering: Lowering, node: NodeOf<'Mul'>): void {
  const given = operandsOf(lowering, node, inputOf(node, 0), inputOf(node, 1));
  const operands = withoutZeroPoint(given);
  const { source, operand, mode } = operands;
  const inX2 = operand.quantization.zeroPoint === 0;
  const { name, sdpEw } = lowering.config;
  if (!inX2 && !sdpEw)
    throw nodeError(
      node,
      'EOPNOTSUPP',
      `X2 of SDP multiplies by what is stored, zero point included, and ${name} has no Y to take it off`,
    );
  const result = planResult(lowering, node, node.outputs[0]!, source.cube, source.strides, {
    reluByClamp: true,
  });
  const { scale, zeroPoint } = result.quantization;
  const factor = factorPair((source.quantization.scale * operand.quantization.scale) / scale);
  if (factor === undefined) throw nodeError(node, 'EOPNOTSUPP', 'the scales are too far apart');
  const x1: SdpStage = {
    ...plain,
    mode: 'layer',
    type: 'both',
    aluOperand: -source.quantization.zeroPoint,
    mulOperand: factor.mul,
  };
  const times: ElementStage = { ...plain, mode, type: 'mul', operand: operandWindow(operands) };
  const converter = { offset: operand.quantization.zeroPoint, scale: 1, truncate: 0 };
  lowering.layers.push({
    kind: 'sdp',
    nodes: [nameOf(node)],
    input: wholeWindow(source.cube),
    output: wholeWindow(result.cube),
    macs: 0,
    hardwareMacs: 0,
    sdp: {
      x1,
      ...(inX2 ? { x2: times } : { y: { ...times, converter } }),
      out: conversionOf(factor, zeroPoint),
    },
  });
  result.finish();
}

/** The input without a zero point becomes the operand, where they may change places. */
function withoutZeroPoint(operands: Operands): Operands {
  const { source, operand, mode } = operands;
  if (mode !== 'point' || operand.quantization.zeroPoint === 0 || source.quantization.zeroPoint !== 0)
    return operands;
  return { ...operands, source: operand, operand: source };
}
