// Operators on two tensors, and activations, in fp16 by SDP: one pass each, since nothing has to be rescaled.
// Not for int8: residual.ts adds there, with scales and zero points.
import { inputOf, nameOf, type Node, nodeError, type NodeOf } from '../../ir/index.js';
import { wholeWindow } from './cube.js';
import { perChannel } from './elementwise.js';
import { halfActivation, halfOperand, halfTensor, partOf, withRelu } from './half-stages.js';
import type { SdpStage } from './layers.js';
import type { Lowering } from './lowering.js';
import { sameCube } from './residual.js';
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

/** Add, Sub, Mul, Max and Min of two tensors of one shape; Max and Min also with a constant per channel. */
export function lowerHalfBinary(lowering: Lowering, node: Binary): void {
  if (node.inputs.length !== 2) throw nodeError(node, 'EOPNOTSUPP', `${node.inputs.length} inputs`);
  const a = inputOf(node, 0);
  const b = inputOf(node, 1);
  const constant = b.data !== undefined ? b : a.data !== undefined ? a : undefined;
  const [first, second] =
    constant === undefined ? sameCube(lowering, node, a, b) : [lowering.inCube(node, constant === b ? a : b)];
  checkHalf(node, first.quantization);
  if (second !== undefined) checkHalf(node, second.quantization);
  const result = planResult(lowering, node, node.outputs[0]!, first.cube, first.strides);
  const stages: SdpStage[] = [];
  let source = first;
  if (second === undefined) {
    const values = perChannel(node, constant!, first, (constant === b ? a : b).shape!);
    stages.push(stageOf(node, (type, alu) => halfOperand(type, values, alu)));
  } else if (node.op === 'Sub') {
    // a - b: b times -1, then a on top.
    source = second;
    stages.push(halfOperand('mul', [-1]), halfTensor('add', wholeWindow(first.cube)));
  } else {
    stages.push(stageOf(node, (type, alu) => halfTensor(type, wholeWindow(second.cube), alu)));
  }
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

/** LeakyRelu, and PRelu with a slope per channel or one. */
export function lowerLeaky(lowering: Lowering, node: NodeOf<'LeakyRelu'> | NodeOf<'PRelu'>): void {
  const x = inputOf(node, 0);
  const input = lowering.inCube(node, x);
  if (!input.quantization.half) throw nodeError(node, 'EOPNOTSUPP', 'not computed on int8');
  const stages =
    node.op === 'LeakyRelu'
      ? halfActivation({ op: 'LeakyRelu', alpha: node.attributes.alpha })!
      : [{ ...halfOperand('mul', perChannel(node, inputOf(node, 1), input, x.shape!)), prelu: true }];
  const result = planResult(lowering, node, node.outputs[0]!, input.cube, input.strides);
  lowering.layers.push({
    kind: 'sdp',
    nodes: [nameOf(node)],
    input: wholeWindow(input.cube),
    output: wholeWindow(result.cube),
    macs: 0,
    hardwareMacs: 0,
    sdp: partOf(result.relu ? withRelu(stages) : stages),
  });
  result.finish();
}

function checkHalf(node: Node, quantization: { readonly half?: true }): void {
  if (!quantization.half) throw nodeError(node, 'EOPNOTSUPP', 'an input lies in int8');
}
