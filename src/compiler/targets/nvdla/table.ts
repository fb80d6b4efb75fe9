// Functions of one tensor by SDP's table: any on int8, where 256 entries are the whole function; in fp16 those that straight pieces follow.
// Not functions that the stages compute without a table: elementwise.ts and slope.ts.
import { unaryFunction } from '../../ir/evaluate/elementwise.js';
import { runQuantized } from '../../ir/evaluate/quantized.js';
import { inputOf, nameOf, type Node, nodeError } from '../../ir/index.js';
import { type PlacedValue, wholeWindow } from './cube.js';
import { halfOperand, halfTensor, partOf, unconverted } from './half-stages.js';
import type { SdpPart, SdpStage } from './layers.js';
import type { Lowering } from './lowering.js';
import { halfTable, type HalfTables, linearTable, type Lut, lookUpHalf } from './lut.js';

/** Throws EOPNOTSUPP where the configuration has no table. */
export function checkTable(lowering: Lowering, node: Node): void {
  const { name, sdpLut } = lowering.config;
  if (!sdpLut) throw nodeError(node, 'EOPNOTSUPP', `SDP of ${name} has no look-up table`);
}

/** Where the pieces lie in fp16. Beyond the tables functions are flat, or go on as a straight line. */
const eighth = -3;
const sixteenth = -4;
const thirtySecond = -5;
function halfTables(node: Node): HalfTables | undefined {
  switch (node.op) {
    case 'Sigmoid':
    case 'Tanh':
      return { main: { start: -8, select: sixteenth } };
    case 'Erf':
      return { main: { start: -4, select: thirtySecond } };
    case 'Exp':
      // The side table ends where the largest half does.
      return {
        main: { start: -8, select: sixteenth },
        side: { start: Math.log(65504) - 4, select: sixteenth },
      };
    case 'Elu':
    case 'Celu':
      return { main: { start: -8, select: thirtySecond }, over: 1 };
    case 'Selu':
      return { main: { start: -8, select: thirtySecond }, over: node.attributes.gamma };
    case 'Softplus':
      return { main: { start: -8, select: sixteenth }, over: 1 };
    case 'Gelu':
      return { main: { start: -4, select: thirtySecond }, over: 1 };
    case 'Mish':
      return {
        main: { start: -8, select: sixteenth },
        side: { start: -16, select: eighth },
        over: 1,
      };
    default:
      return undefined;
  }
}

/** The stages that make a function exactly in fp16, without a table; undefined when it needs one. `x` is its input. */
function halfStages(node: Node, x: PlacedValue): SdpPart | undefined {
  const limit = (most: number, factor: number): SdpStage => ({
    ...halfOperand('add', [most], 'min'),
    type: 'both',
    mulOperand: halfOperand('mul', [factor]).mulOperand!,
  });
  const plus = (offset: number): SdpStage => ({ ...halfOperand('add', [offset]), relu: true });
  switch (node.op) {
    case 'Neg':
      return partOf([halfOperand('mul', [-1])]);
    case 'Abs':
      return partOf([{ ...halfOperand('mul', [-1]), prelu: true }]);
    case 'HardSigmoid': {
      // alpha * min(1 / alpha, relu(x + beta / alpha)).
      const { alpha, beta } = node.attributes;
      return alpha > 0 ? partOf([plus(beta / alpha), limit(1 / alpha, alpha)]) : undefined;
    }
    case 'HardSwish':
      return { ...partOf([plus(3), limit(6, 1 / 6)]), y: halfTensor('mul', wholeWindow(x.cube)) };
    default:
      return undefined;
  }
}

/** How far the pieces are from the function at most, in units of the greater of 1 and its value. */
export function halfError(tables: HalfTables, f: (x: number) => number): number {
  const approximate = lookUpHalf(tables, f);
  let worst = 0;
  for (let step = -(1 << 14); step <= 1 << 14; step++) {
    // Finely near zero, where the tables are, coarsely outside.
    const x =
      Math.sign(step) * (Math.abs(step) < 1 << 13 ? Math.abs(step) / 512 : 2 ** (Math.abs(step) / 8192 + 3));
    const want = Math.min(65504, f(x));
    worst = Math.max(worst, Math.abs(approximate(x) - want) / Math.max(1, Math.abs(want)));
  }
  return worst;
}

/** The 256 results on the stored integers, by the evaluator itself. */
function integerTable(node: Node): Lut {
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  const shape = [256];
  const shift = input.type === 'uint8' ? 0 : 128;
  const data = input.type === 'uint8' ? new Uint8Array(256) : new Int8Array(256);
  for (let i = 0; i < 256; i++) data[i] = i - shift;
  const alone = {
    ...node,
    inputs: [{ ...input, shape }, ...node.inputs.slice(1)],
    outputs: [{ ...output, shape }],
  } as Node;
  const known = node.inputs
    .slice(1)
    .map((value) =>
      value?.data === undefined
        ? undefined
        : { type: value.type, shape: value.data.length === 1 ? [] : value.shape!, data: value.data.array() },
    );
  const results = runQuantized(alone, [{ type: input.type, shape, data }, ...known])[0] as Int8Array;
  const stored = output.type === 'uint8' ? 128 : 0;
  return linearTable(node.op, -128, 0, (at) => results[Math.min(255, at + 128)]! - stored);
}

/** Any function of one tensor. Throws EOPNOTSUPP where the configuration has no table, and in fp16 for what two tables do not follow. */
export function lowerFunction(lowering: Lowering, node: Node): void {
  const input = lowering.inAnyCube(node, inputOf(node, 0));
  const half = input.quantization.half === true;
  const sdp = half ? halfPart(node, input) : integerPart(lowering, node);
  const result = lowering.result(node, node.outputs[0]!, input.cube, input.strides);
  if (half !== (result.quantization.half === true))
    throw nodeError(node, 'EOPNOTSUPP', 'converts between int8 and fp16');
  lowering.layers.push({
    kind: 'sdp',
    nodes: [nameOf(node)],
    input: wholeWindow(input.cube),
    output: wholeWindow(result.cube),
    macs: 0,
    hardwareMacs: 0,
    sdp,
  });
}

function integerPart(lowering: Lowering, node: Node): SdpPart {
  checkTable(lowering, node);
  return { table: integerTable(node), out: { offset: 0, scale: 1, truncate: 0 } };
}

function halfPart(node: Node, input: PlacedValue): SdpPart {
  if (node.activation !== undefined)
    throw nodeError(node, 'EOPNOTSUPP', `activation ${node.activation.op} behind a table`);
  const stages = halfStages(node, input);
  if (stages !== undefined) return stages;
  const tables = halfTables(node);
  if (tables === undefined)
    throw nodeError(
      node,
      'EOPNOTSUPP',
      `in fp16 SDP's tables have 256 and 64 straight pieces, which do not follow ${node.op} closely over all numbers`,
    );
  const f = unaryFunction(node)!;
  const error = halfError(tables, f);
  return { table: halfTable(`${node.op}, within ${error.toPrecision(1)}`, tables, f), out: unconverted };
}
