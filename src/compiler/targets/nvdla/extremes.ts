// Max and Min of tensors: each is brought to the result's scale where that differs, then compared in SDP; in fp16 alike.
// Not of windows (pooling.ts), nor with constants per channel in fp16 (half.ts). Rounding never changes an order, so that the result is exact where rescaling is.
import { nameOf, nodeError, type NodeOf, type Value } from '../../ir/index.js';
import { type Cube, type PlacedValue, wholeWindow } from './cube.js';
import { copyLayer, lowerLimit, reals } from './elementwise.js';
import type { SdpStage } from './layers.js';
import type { Lowering } from './lowering.js';
import { operandsOf } from './operands.js';
import { planResult } from './result.js';

/** Any number of inputs of one shape, or two of which one may have a value per channel. */
export function lowerExtreme(lowering: Lowering, node: NodeOf<'Max'> | NodeOf<'Min'>): void {
  const limit = limitOf(node);
  if (limit !== undefined) return lowerLimit(lowering, node, ...limit);
  const { source, operands } = allOperands(lowering, node);
  const result = planResult(lowering, node, node.outputs[0]!, source.cube, source.strides, {
    reluByClamp: true,
  });
  const { quantization } = result;
  const alike = (value: PlacedValue): Cube => {
    if (value.quantization.half !== quantization.half)
      throw nodeError(node, 'EOPNOTSUPP', 'converts between int8 and fp16');
    if (
      value.quantization.scale === quantization.scale &&
      value.quantization.zeroPoint === quantization.zeroPoint
    )
      return value.cube;
    const moved = lowering.newCube(node, value.cube, quantization);
    copyLayer(lowering, node, wholeWindow(value.cube), wholeWindow(moved), {
      input: value.quantization,
      output: quantization,
      relu: false,
    });
    return moved;
  };
  const stages = operands.map(({ value, mode }): SdpStage => ({
    mode,
    type: 'add',
    alu: node.op === 'Max' ? 'max' : 'min',
    shift: 0,
    truncate: 0,
    relu: false,
    operand: wholeWindow(alike(value)),
  }));
  let from = alike(source);
  // Two operands per pass; the later passes work on what the first ones made.
  for (let i = 0; i < stages.length || i === 0; i += 2) {
    const [x1, x2] = [stages[i], stages[i + 1]];
    lowering.layers.push({
      kind: 'sdp',
      nodes: [nameOf(node)],
      input: wholeWindow(from),
      output: wholeWindow(result.cube),
      macs: 0,
      hardwareMacs: 0,
      sdp: {
        ...(x1 === undefined ? {} : { x1 }),
        ...(x2 === undefined ? {} : { x2 }),
        out: { offset: 0, scale: 1, truncate: 0 },
      },
    });
    from = result.cube;
  }
  result.finish();
}

/** The tensor and the number that it is compared with, when there is one. */
function limitOf(node: NodeOf<'Max'> | NodeOf<'Min'>): [tensor: Value, limit: number] | undefined {
  const [a, b] = node.inputs as Value[];
  if (node.inputs.length !== 2) return undefined;
  const constant = [b!, a!].find((value) => value.data?.length === 1);
  return constant === undefined ? undefined : [constant === b ? a! : b!, reals(node, constant)[0]!];
}

interface Inputs {
  readonly source: PlacedValue;
  readonly operands: readonly { readonly value: PlacedValue; readonly mode: SdpStage['mode'] }[];
}

function allOperands(lowering: Lowering, node: NodeOf<'Max'> | NodeOf<'Min'>): Inputs {
  const [first, second, ...others] = node.inputs as Value[];
  if (second === undefined) return { source: lowering.inAnyCube(node, first!), operands: [] };
  const { source, operand, mode } = operandsOf(lowering, node, first!, second);
  if (others.length > 0 && mode !== 'point')
    throw nodeError(node, 'EOPNOTSUPP', 'more than two inputs of different shapes');
  const rest = others.map((value) => ({
    value: operandsOf(lowering, node, first!, value).operand,
    mode: 'point' as const,
  }));
  return { source, operands: [{ value: operand, mode }, ...rest] };
}
