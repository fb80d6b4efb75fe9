// Batches: an operator on several images is lowered once for each, over values of one image.
// Not the hardware's batch mode, which shares weights between products of one position, on one configuration alone.
import { elementCount, inputOf, nameOf, type Node, nodeError, shapeOf, type Value } from '../../ir/index.js';
import type { Lowering } from './lowering.js';

/** Images of a batch that are lowered: each costs all layers once more. */
const MAX_IMAGES = 64;

/** Operators whose results for an image depend on that image alone, as long as they keep the batch. The value: how many inputs are data. */
const perImage: Readonly<Record<string, number>> = {
  Conv: 1,
  ConvTranspose: 1,
  MaxPool: 1,
  AveragePool: 1,
  GlobalAveragePool: 1,
  GlobalMaxPool: 1,
  ReduceMean: 1,
  ReduceSum: 1,
  ReduceMax: 1,
  ReduceMin: 1,
  LRN: 1,
  BatchNormalization: 1,
  InstanceNormalization: 1,
  Resize: 1,
  Pad: 1,
  Slice: 1,
  Split: 1,
  Gather: 1,
  Tile: 1,
  DepthToSpace: 1,
  SpaceToDepth: 1,
  Gemm: 1,
  MatMul: 1,
  Reshape: 1,
  Flatten: 1,
  Squeeze: 1,
  Unsqueeze: 1,
  Transpose: 1,
  QuantizeLinear: 1,
  DequantizeLinear: 1,
  Relu: 1,
  Clip: 1,
  LeakyRelu: 1,
  PRelu: 2,
  Concat: Infinity,
  Add: 2,
  Sub: 2,
  Mul: 2,
  Div: 2,
  Max: Infinity,
  Min: Infinity,
};

/** Operators that only say how a tensor is read: a batch stays one tensor to them until someone computes on its images. */
const views = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Identity', 'Dropout']);
const conversions = new Set(['QuantizeLinear', 'DequantizeLinear']);
/** Operators that see channels, lines and columns, so that a batch is no cube to them. */
const spatial = new Set([
  'Conv',
  'ConvTranspose',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'LRN',
  'BatchNormalization',
  'Resize',
  'Pad',
  'DepthToSpace',
  'SpaceToDepth',
  'Concat',
  'Slice',
]);

/**
 * How many images the node is to be lowered for; undefined when it is lowered as it is: its tensors have one image, or it treats them as one
 * tensor of many elements.
 */
function imageCount(lowering: Lowering, node: Node): number | undefined {
  // What comes in has its images beside it as a whole; what a node made has them alone.
  const known = node.inputs
    .map((value) => (value === undefined || lowering.made(value) !== undefined ? undefined : value))
    .map((value) => value && lowering.imagesOf(value)?.length)
    .find((count) => count !== undefined);
  if (known !== undefined) return known;
  const shape = node.inputs[0]?.shape ?? [];
  const images = shape[0] ?? 1;
  if (images <= 1 || shape.length < 3 || views.has(node.op) || conversions.has(node.op)) return undefined;
  const whole = node.op.startsWith('Reduce');
  return !whole && (spatial.has(node.op) || shape.length === 4) ? images : undefined;
}

/** Lowers a node by `lower`, for every image where it has several. Throws EOPNOTSUPP where it does not keep the batch. */
export function lowerImages(lowering: Lowering, node: Node, lower: (node: Node) => void): void {
  const images = imageCount(lowering, node);
  if (images === undefined || (node.op === 'Gemm' && node.attributes.transA !== 0)) return lower(node);
  const data = perImage[node.op] ?? 1;
  if (images > MAX_IMAGES)
    throw nodeError(node, 'EOPNOTSUPP', `${images} images, at most ${MAX_IMAGES} are computed one by one`);
  const keeps =
    node.op === 'Transpose'
      ? node.attributes.perm[0] === 0
      : !(node.op === 'Concat' || node.op === 'Split' || node.op === 'Gather') ||
        !axisIsBatch(node.attributes.axis, shapeOf(inputOf(node, 0)).length);
  if (!keeps || node.outputs.some((value) => shapeOf(value)[0] !== images))
    throw nodeError(node, 'EOPNOTSUPP', 'moves or joins images of a batch, which are computed one by one');
  const inputs = node.inputs.map((value, i) =>
    value === undefined || i >= data ? undefined : partsOf(lowering, node, value, images),
  );
  const outputs = node.outputs.map((value) => {
    const parts = Array.from({ length: images }, (_, n) => imageValue(value, n));
    lowering.defineImages(value, parts);
    return parts;
  });
  for (let n = 0; n < images; n++)
    lower({
      ...node,
      name: nameOf(node),
      inputs: node.inputs.map((value, i) => inputs[i]?.[n] ?? value),
      outputs: outputs.map((parts) => parts[n]!),
    } as Node);
}

function axisIsBatch(axis: number, rank: number): boolean {
  return axis === 0 || axis === -rank;
}

function imageValue(value: Value, n: number): Value {
  const { data: _, ...rest } = value;
  return { ...rest, name: `${value.name}[${n}]`, shape: [1, ...shapeOf(value).slice(1)] };
}

/** The images of an input; undefined where all images share it. */
function partsOf(lowering: Lowering, node: Node, value: Value, images: number): readonly Value[] | undefined {
  const known = lowering.imagesOf(value);
  if (known !== undefined) return known;
  const shape = shapeOf(value);
  const rank = Math.max(...node.outputs.map((output) => shapeOf(output).length));
  if (shape.length !== rank && shape.length !== shapeOf(inputOf(node, 0)).length) return undefined;
  if (shape[0] !== images) return undefined;
  const whole = lowering.valueOf(node, value);
  if (whole.kind !== 'pending')
    throw nodeError(node, 'EOPNOTSUPP', 'its batch lies in one cube: images are computed one by one');
  const count = elementCount(shapeOf(whole.source)) / images;
  // Images have to be runs of the tensor that comes in.
  if (whole.dims[0]!.stride !== count || whole.part !== undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'the batch of its input is not the first axis of what comes in');
  const parts = Array.from({ length: images }, (_, n) => {
    const part = imageValue(value, n);
    lowering.define(part, {
      ...whole,
      part: { from: n * count, count },
      dims: [{ size: 1, stride: count }, ...whole.dims.slice(1)],
    });
    return part;
  });
  lowering.defineImages(value, parts);
  return parts;
}
