// The networks that benchmarks run, as int8 graphs and as files for the peer.
// Not the model zoo of the tests: what is not here is left out with a message.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Constant, elementCount, importOnnx, optimize, quantize } from '../src/compiler/index.js';
import type { Graph, Value } from '../src/compiler/ir/index.js';
import { writeOnnx } from '../src/node/host/onnx-writer.js';
import type { MLContext, MLGraph, MLTensor } from '../src/runtime/index.js';

const places = [
  fileURLToPath(new URL('../../models', import.meta.url)),
  fileURLToPath(new URL('../../../shared/models', import.meta.url)),
];

/** Quantised by others, or, where the file is float, here on one random input: values do not change the time that they take. */
const names = [
  'resnet8-cifar10-int8-qdq',
  'vww-mobilenet-int8-qdq',
  'kws-dscnn-int8-qdq',
  'ad-autoencoder-int8-qdq',
  'ultraface-rfb-320',
  'topology-resnet50',
];

export interface Network {
  readonly name: string;
  /** A fresh graph with int8 operators, for one compilation. */
  graph(): Graph;
  /** The same graph for the peer, with QuantizeLinear and DequantizeLinear around float operators, which it fuses. */
  readonly int8: Uint8Array;
  /** The float file it was made of. */
  readonly float: Uint8Array | undefined;
}

export function networks(): Network[] {
  return names.flatMap((name): Network[] => {
    const path = places
      .map((place) => join(place, `${name}.onnx`))
      .find((candidate) => existsSync(candidate));
    if (path === undefined) {
      console.log(`${name}.onnx is not here: left out`);
      return [];
    }
    const bytes = readFileSync(path);
    if (name.endsWith('-int8-qdq'))
      return [{ name, graph: () => importOnnx(bytes), int8: bytes, float: undefined }];
    const graph = (): Graph => quantised(bytes);
    return [{ name, graph, int8: writeOnnx(graph()), float: bytes }];
  });
}

/** Numbers from -1 to 1, always the same. */
function generator(): () => number {
  let state = 12345;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  };
}

function quantised(bytes: Uint8Array): Graph {
  const next = generator();
  const graph = importOnnx(bytes);
  optimize(graph);
  randomise(graph, next);
  const inputs = graph.inputs.filter(({ data }) => data === undefined);
  const random = (value: Value): Float32Array =>
    Float32Array.from({ length: elementCount(value.shape!) }, next);
  quantize(graph, [Object.fromEntries(inputs.map((value) => [value.name, random(value)]))], {
    range: 'min-max',
  });
  return graph;
}

/** Random weights where a file has one number for all of them: such weights are packed once and compared as equal. */
function randomise(graph: Graph, next: () => number): void {
  for (const node of graph.nodes)
    for (const value of node.op === 'Conv' || node.op === 'Gemm' ? node.inputs.slice(1) : []) {
      if (value?.data?.fill === undefined) continue;
      const size = Math.sqrt(6 / elementCount(value.shape!.slice(1)));
      const weights = Float32Array.from({ length: value.data.length }, () => next() * size);
      value.data = Constant.of('float32', weights);
    }
}

/** Tensors for every input and output, zero. */
export async function tensorsOf(
  context: MLContext,
  graph: MLGraph,
): Promise<{ inputs: Record<string, MLTensor>; outputs: Record<string, MLTensor> }> {
  const inputs: Record<string, MLTensor> = {};
  const outputs: Record<string, MLTensor> = {};
  for (const [name, { dataType, shape }] of Object.entries(graph.inputs))
    inputs[name] = await context.createTensor({ dataType, shape, writable: true });
  for (const [name, { dataType, shape }] of Object.entries(graph.outputs))
    outputs[name] = await context.createTensor({ dataType, shape, readable: true });
  return { inputs, outputs };
}
