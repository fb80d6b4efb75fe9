// QLinearConv and QLinearMatMul as what they are: Conv and MatMul on quantised values.
// Not an approximation: both define the result as exact sums, scaled once and rounded to even.
import { bfloat16ToFloat, halfToFloat } from './evaluate/half.js';
import type { Node, Quantization, Value } from './graph.js';

/** The elements of input `index`, or undefined when they are not known (yet). */
export type Known = (index: number) => readonly number[] | undefined;

/** Input elements that are known at compile time. */
export function compileTime(node: Node): Known {
  return (index) => {
    const value = node.inputs[index];
    const numbers = value?.data?.numbers();
    // Halves are held as bits.
    if (value?.type === 'float16') return numbers?.map(halfToFloat);
    return value?.type === 'bfloat16' ? numbers?.map(bfloat16ToFloat) : numbers;
  };
}

function quantizationOf(known: Known, index: number, axis: number): Quantization | undefined {
  const [scales, zeros] = [known(index), known(index + 1)];
  if (scales === undefined || zeros === undefined) return undefined;
  const zeroPoint = Int32Array.from(scales, (_, i) => zeros[zeros.length === 1 ? 0 : i] ?? 0);
  const scale = Float32Array.from(scales);
  return scale.length === 1 ? { scale, zeroPoint } : { scale, zeroPoint, axis };
}

/** Whether `integerForm` applies, once the scales are known. */
export function isQLinear(node: Node): boolean {
  return node.op === 'QLinearConv' || node.op === 'QLinearMatMul';
}

/**
 * The same node with quantised values for operands and result: copies, except that the output keeps its identity when
 * `inPlace`. Undefined for other operators, and when scales are not known.
 */
export function integerForm(node: Node, known: Known, inPlace: boolean): Node | undefined {
  if (!isQLinear(node)) return undefined;
  const [x, , , w, , , , , bias] = node.inputs;
  const conv = node.op === 'QLinearConv';
  const parameters = [
    quantizationOf(known, 1, 0),
    quantizationOf(known, 4, conv ? 0 : (w?.shape?.length ?? 2) - 1),
    quantizationOf(known, 6, 0),
  ] as const;
  if (parameters.some((entry) => entry === undefined)) return undefined;
  const [px, pw, py] = parameters;
  if (px!.scale.length !== 1 || py!.scale.length !== 1) return undefined;
  const output = node.outputs[0]!;
  if (inPlace) output.quantization = py;
  const inputs: (Value | undefined)[] = [
    { ...x!, quantization: px },
    { ...w!, quantization: pw },
  ];
  if (bias !== undefined) inputs.push(bias);
  return {
    op: conv ? 'Conv' : 'MatMul',
    name: node.name,
    domain: '',
    inputs,
    outputs: [inPlace ? output : { ...output, quantization: py }],
    attributes: conv ? node.attributes : {},
  } as Node;
}
