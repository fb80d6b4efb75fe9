// Operators on two tensors, and activations, in fp16 by SDP: one pass each, since nothing has to be rescaled.
// Not for int8: residual.ts adds there, with scales and zero points.
import { inputOf, nameOf, type Node, nodeError, type NodeOf, shapeOf, type Value } from '../../ir/index.js';
import { type PlacedValue, wholeWindow } from './cube.js';
import { perChannel } from './elementwise.js';
import { halfActivation, halfOperand, halfTensor, partOf, withRelu } from './half-stages.js';
import type { SdpStage } from './layers.js';
import type { Lowering } from './lowering.js';
import { isPerChannel, operandsOf } from './operands.js';
import { planResult } from './result.js';

type Binary = NodeOf<'Add'> | NodeOf<'Sub'> | NodeOf<'Mul'> | NodeOf<'Max'> | NodeOf<'Min'>;

/** Whether the result of the node is kept in fp16. */
export function isHalf(lowering: Lowering, node: Node): boolean {
  return node.outputs[0]?.type === 'float32' && lowering.config.precisions.includes('fp16');
}

function stageOf(node: Binary, operand: (type: 'add' | 'mul', alu: SdpStage['alu']) => SdpStage): SdpStage {
  if (node.op === 'Mul') return operand('mul', 'sum');
  return operand('add', node.op === 'Max' ? 'max' : node.op === 'Min' ? 'min' : 'sum');
}

/** Add, Sub, Mul, Max and Min of two tensors of one shape, of a tensor and one value per channel, and with such a constant. */
export function lowerHalfBinary(lowering: Lowering, node: Binary): void {
  if (node.inputs.length !== 2) throw nodeError(node, 'EOPNOTSUPP', `${node.inputs.length} inputs`);
  const a = inputOf(node, 0);
  const b = inputOf(node, 1);
  const constant = [b, a].find((value) => value.data?.length === 1 || isVector(value, value === b ? a : b));
  if (constant !== undefined) {
    const tensor = constant === b ? a : b;
    const first =
      constant.data!.length === 1 ? lowering.inAnyCube(node, tensor) : lowering.inCube(node, tensor);
    const values = perChannel(node, constant, first, tensor.shape!);
    const stages =
      node.op !== 'Sub'
        ? [stageOf(node, (type, alu) => halfOperand(type, values, alu))]
        : constant === b
          ? [
              halfOperand(
                'add',
                values.map((value) => -value),
              ),
            ]
          : [halfOperand('mul', [-1]), halfOperand('add', values)];
    return halfLayer(lowering, node, first, stages);
  }
  const { source, operand, mode, swapped } = operandsOf(lowering, node, a, b);
  checkHalf(node, operand.quantization);
  const tensor = (type: 'add' | 'mul', alu: SdpStage['alu'] = 'sum'): SdpStage => ({
    ...halfTensor(type, wholeWindow(operand.cube), alu),
    mode,
  });
  if (node.op !== 'Sub') return halfLayer(lowering, node, source, [stageOf(node, tensor)]);
  const minus = halfOperand('mul', [-1]);
  if (swapped) halfLayer(lowering, node, source, [minus, tensor('add')]);
  else if (mode === 'point') {
    // The other way round: what is taken off is the source.
    const other = halfTensor('add', wholeWindow(source.cube));
    halfLayer(lowering, node, operand, [minus, other]);
  } else {
    const negative = negated(lowering, node, operand);
    halfLayer(lowering, node, source, [{ ...halfTensor('add', wholeWindow(negative.cube)), mode }]);
  }
}

/** The value times -1, in a cube of its own. */
function negated(lowering: Lowering, node: Node, value: PlacedValue): PlacedValue {
  const cube = lowering.newCube(node, value.cube, value.quantization);
  lowering.layers.push({
    kind: 'sdp',
    nodes: [nameOf(node)],
    input: wholeWindow(value.cube),
    output: wholeWindow(cube),
    macs: 0,
    hardwareMacs: 0,
    sdp: partOf([halfOperand('mul', [-1])]),
  });
  return { ...value, cube };
}

/** Sum and Mean of any number of tensors of one shape: two operands per pass, the last pass divides. */
export function lowerHalfSum(lowering: Lowering, node: NodeOf<'Sum'> | NodeOf<'Mean'>): void {
  const [first, ...others] = node.inputs as Value[];
  if (first === undefined || !isHalf(lowering, node) || node.activation !== undefined)
    throw nodeError(node, 'EOPNOTSUPP', `${node.op} of several int8 tensors: SDP adds two`);
  let source = lowering.inAnyCube(node, first);
  const stages = others.map((value) => {
    const { source: same, operand, mode } = operandsOf(lowering, node, first, value);
    source = same;
    if (mode !== 'point') throw nodeError(node, 'EOPNOTSUPP', 'inputs of different shapes');
    checkHalf(node, operand.quantization);
    return halfTensor('add', wholeWindow(operand.cube));
  });
  checkHalf(node, source.quantization);
  if (node.op === 'Mean') stages.push(halfOperand('mul', [1 / node.inputs.length]));
  const result = lowering.result(node, node.outputs[0]!, source.cube, source.strides);
  let from = source.cube;
  for (let i = 0; i < stages.length || i === 0; i += 2) {
    lowering.layers.push({
      kind: 'sdp',
      nodes: [nameOf(node)],
      input: wholeWindow(from),
      output: wholeWindow(result.cube),
      macs: 0,
      hardwareMacs: 0,
      sdp: partOf(stages.slice(i, i + 2)),
    });
    from = result.cube;
  }
}

/** Pow with the exponents that are products: 1, 2 and 3. */
export function lowerHalfPower(lowering: Lowering, node: NodeOf<'Pow'>): void {
  const exponent = node.inputs[1]?.data?.length === 1 ? node.inputs[1].data.numbers()[0] : undefined;
  if (!isHalf(lowering, node) || exponent === undefined || ![1, 2, 3].includes(exponent))
    throw nodeError(node, 'EOPNOTSUPP', 'SDP has no powers but products in fp16: exponents 1, 2 and 3');
  const source = lowering.inAnyCube(node, inputOf(node, 0));
  const times = halfTensor('mul', wholeWindow(source.cube));
  halfLayer(
    lowering,
    node,
    source,
    Array.from({ length: exponent - 1 }, () => times),
  );
}

/** Whether the value is a known vector of one value per channel of the tensor. */
function isVector(value: Value, tensor: Value): boolean {
  return value.data !== undefined && isPerChannel(shapeOf(value), shapeOf(tensor));
}

/** One pass; an activation takes a place among the stages. */
function halfLayer(lowering: Lowering, node: Node, source: PlacedValue, stages: readonly SdpStage[]): void {
  checkHalf(node, source.quantization);
  const result = planResult(lowering, node, node.outputs[0]!, source.cube, source.strides);
  lowering.layers.push({
    kind: 'sdp',
    nodes: [nameOf(node)],
    input: wholeWindow(source.cube),
    output: wholeWindow(result.cube),
    macs: 0,
    hardwareMacs: 0,
    sdp: partOf(result.relu ? withRelu(stages) : stages),
  });
  result.finish();
}

/** LeakyRelu, and PRelu with a slope per channel or one, or a tensor of slopes. */
export function lowerHalfSlope(lowering: Lowering, node: NodeOf<'LeakyRelu'> | NodeOf<'PRelu'>): void {
  const x = inputOf(node, 0);
  if (node.op === 'LeakyRelu') {
    const stages = halfActivation({ op: 'LeakyRelu', alpha: node.attributes.alpha })!;
    return halfLayer(lowering, node, lowering.inAnyCube(node, x), stages);
  }
  const slope = inputOf(node, 1);
  if (slope.data?.length === 1 || isVector(slope, x)) {
    const input = slope.data!.length === 1 ? lowering.inAnyCube(node, x) : lowering.inCube(node, x);
    const values = perChannel(node, slope, input, shapeOf(x));
    return halfLayer(lowering, node, input, [{ ...halfOperand('mul', values), prelu: true }]);
  }
  const { source, operand, mode, swapped } = operandsOf(lowering, node, x, slope);
  checkHalf(node, operand.quantization);
  if (swapped) throw nodeError(node, 'EOPNOTSUPP', 'more slopes than elements');
  const stage = { ...halfTensor('mul', wholeWindow(operand.cube)), mode, prelu: true };
  halfLayer(lowering, node, source, [stage]);
}

function checkHalf(node: Node, quantization: { readonly half?: true }): void {
  if (!quantization.half) throw nodeError(node, 'EOPNOTSUPP', 'an input lies in int8');
}
