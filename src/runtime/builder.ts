// MLGraphBuilder: WebNN's operators as nodes of the compiler's IR.
// Not a compiler: build hands the graph over. Shapes are checked by the IR's rules as nodes are added.
import { AccelError } from '../base/errors.js';
import { floatToHalf } from '../compiler/ir/evaluate/half.js';
import {
  type Attributes,
  Constant,
  createNode,
  type DataType,
  elementCount,
  Graph,
  type Node,
  type OperatorName,
  type Shape,
  type TypedArray,
  type Value,
} from '../compiler/ir/index.js';
import type {
  MLArgMinMaxOptions,
  MLBatchNormalizationOptions,
  MLClampOptions,
  MLConv2dOptions,
  MLConvTranspose2dOptions,
  MLGemmOptions,
  MLInstanceNormalizationOptions,
  MLLayerNormalizationOptions,
  MLPadOptions,
  MLPool2dOptions,
  MLReduceOptions,
  MLResample2dOptions,
} from './builder-options.js';
import { buildGraph, type BuildOptions } from './compile.js';
import type { MLContext } from './context.js';
import type { MLGraph } from './graph.js';

import { makeArray } from './layout.js';
import { MLOperand } from './operand.js';
import { checkDescriptor, describe, type MLOperandDescriptor, type TensorSource } from './tensor.js';

/** Operands by name: what build takes. */
export type MLNamedOperands = Readonly<Record<string, MLOperand>>;

const TO_NHWC = [0, 2, 3, 1];
const TO_NCHW = [0, 3, 1, 2];

/** From WebNN's filter layouts to ONNX's: output, input, height, width. */
const FILTERS: Readonly<Record<string, readonly number[]>> = {
  hwio: [3, 2, 0, 1],
  ohwi: [0, 3, 1, 2],
  ihwo: [3, 0, 1, 2],
};
/** The same for transposed convolution: input, output, height, width. */
const TRANSPOSED_FILTERS: Readonly<Record<string, readonly number[]>> = {
  hwoi: [3, 2, 0, 1],
  ohwi: [3, 0, 1, 2],
};

type Unary = { [Op in OperatorName]: keyof Attributes[Op] extends never ? Op : never }[OperatorName];

/**
 * Builds one graph for one context. Every method checks its operands and throws AccelError (EINVAL, EOPNOTSUPP) that
 * names the operator, the shapes and the rule.
 */
export class MLGraphBuilder {
  readonly #context: MLContext;
  readonly #inputs: Value[] = [];
  readonly #nodes: Node[] = [];
  #names = 0;
  #built = false;

  constructor(context: MLContext) {
    this.#context = context;
  }

  /** An input of the graph. @throws AccelError EINVAL for an empty name or one that is taken */
  input(name: string, descriptor: MLOperandDescriptor): MLOperand {
    checkDescriptor('input', descriptor);
    if (name === '' || this.#inputs.some((value) => value.name === name))
      throw new AccelError('EINVAL', {
        call: 'input',
        field: 'name',
        reason: name === '' ? 'is empty' : `${name} is taken`,
      });
    const value: Value = { name, type: descriptor.dataType, shape: [...descriptor.shape] };
    this.#inputs.push(value);
    return new MLOperand(this, value);
  }

  /** A constant from its bytes (copied), or a scalar of a type. */
  constant(descriptor: MLOperandDescriptor, source: TensorSource): MLOperand;
  constant(type: DataType, value: number | bigint): MLOperand;
  constant(what: MLOperandDescriptor | DataType, source: TensorSource | number | bigint): MLOperand {
    if (typeof what === 'string') {
      if (typeof source === 'object')
        throw new AccelError('EINVAL', { call: 'constant', reason: 'a scalar is one number' });
      return new MLOperand(this, this.#constant([], scalarArray(what, source), what));
    }
    checkDescriptor('constant', what);
    const array = makeArray(what.dataType, elementCount(what.shape));
    if (typeof source !== 'object')
      throw new AccelError('EINVAL', { call: 'constant', reason: 'a tensor is given by its bytes' });
    const bytes = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source);
    if (bytes.length !== array.byteLength)
      throw new AccelError('EINVAL', {
        call: 'constant',
        field: 'source',
        reason: `${bytes.length} bytes for ${describe(what)}, ${array.byteLength} bytes`,
      });
    new Uint8Array(array.buffer as ArrayBuffer).set(bytes);
    return new MLOperand(this, this.#constant(what.shape, array, what.dataType));
  }

  /**
   * Compiles the graph for the context's device and loads it. Once per builder.
   * @throws AccelError with operator, shape and rule when something cannot be placed
   */
  async build(outputs: MLNamedOperands, options: BuildOptions = {}): Promise<MLGraph> {
    const names = Object.keys(outputs);
    if (this.#built || names.length === 0)
      throw new AccelError('EINVAL', {
        call: 'build',
        field: 'outputs',
        reason: this.#built ? 'the builder has built its graph' : 'there is none',
      });
    const values = names.map((name) => {
      const value = this.#value(outputs[name]!);
      // An output has a node of its own: inputs and constants may be asked for, and one value under two names.
      return this.#add('Identity', [value], {}, 1, name)[0]!;
    });
    this.#built = true;
    const graph = new Graph({
      name: options.name ?? 'graph',
      inputs: this.#inputs,
      outputs: values,
      nodes: this.#nodes,
    });
    return buildGraph(this.#context, graph, options);
  }

  // Element-wise, two operands.
  add = this.#binary('Add');
  sub = this.#binary('Sub');
  mul = this.#binary('Mul');
  div = this.#binary('Div');
  max = this.#binary('Max');
  min = this.#binary('Min');
  pow = this.#binary('Pow');
  prelu = this.#binary('PRelu');
  equal = this.#logical('Equal');
  greater = this.#logical('Greater');
  greaterOrEqual = this.#logical('GreaterOrEqual');
  lesser = this.#logical('Less');
  lesserOrEqual = this.#logical('LessOrEqual');

  // Element-wise, one operand.
  abs = this.#unary('Abs');
  ceil = this.#unary('Ceil');
  cos = this.#unary('Cos');
  erf = this.#unary('Erf');
  exp = this.#unary('Exp');
  floor = this.#unary('Floor');
  identity = this.#unary('Identity');
  log = this.#unary('Log');
  neg = this.#unary('Neg');
  reciprocal = this.#unary('Reciprocal');
  roundEven = this.#unary('Round');
  sign = this.#unary('Sign');
  sin = this.#unary('Sin');
  sqrt = this.#unary('Sqrt');
  tan = this.#unary('Tan');
  // Activations.
  relu = this.#unary('Relu');
  sigmoid = this.#unary('Sigmoid');
  tanh = this.#unary('Tanh');
  softplus = this.#unary('Softplus');
  softsign = this.#unary('Softsign');
  hardSwish = this.#unary('HardSwish');

  notEqual(a: MLOperand, b: MLOperand): MLOperand {
    return this.logicalNot(this.equal(a, b));
  }

  /** Of uint8; any value but 0 is true. */
  logicalNot(a: MLOperand): MLOperand {
    return this.cast(this.#one('Not', [this.cast(a, 'bool')], {}), 'uint8');
  }

  gelu(input: MLOperand): MLOperand {
    return this.#one('Gelu', [input], { approximate: 'none' });
  }

  elu(input: MLOperand, { alpha = 1 }: { alpha?: number } = {}): MLOperand {
    return this.#one('Elu', [input], { alpha });
  }

  leakyRelu(input: MLOperand, { alpha = 0.01 }: { alpha?: number } = {}): MLOperand {
    return this.#one('LeakyRelu', [input], { alpha });
  }

  hardSigmoid(
    input: MLOperand,
    { alpha = 0.2, beta = 0.5 }: { alpha?: number; beta?: number } = {},
  ): MLOperand {
    return this.#one('HardSigmoid', [input], { alpha, beta });
  }

  /** alpha * input + beta. */
  linear(input: MLOperand, { alpha = 1, beta = 0 }: { alpha?: number; beta?: number } = {}): MLOperand {
    const scaled = this.mul(input, this.constant(input.dataType, alpha));
    return this.add(scaled, this.constant(input.dataType, beta));
  }

  /** A bound that is NaN is no bound. */
  clamp(input: MLOperand, { minValue, maxValue }: MLClampOptions = {}): MLOperand {
    const bound = (value: number | bigint | undefined): MLOperand | undefined =>
      value === undefined || Number.isNaN(value) ? undefined : this.constant(input.dataType, value);
    return this.#one('Clip', [input, bound(minValue), bound(maxValue)], {});
  }

  softmax(input: MLOperand, axis: number): MLOperand {
    return this.#one('Softmax', [input], { axis });
  }

  cast(input: MLOperand, type: DataType): MLOperand {
    return this.#one('Cast', [input], { to: type });
  }

  matmul(a: MLOperand, b: MLOperand): MLOperand {
    return this.#one('MatMul', [a, b], {});
  }

  gemm(a: MLOperand, b: MLOperand, options: MLGemmOptions = {}): MLOperand {
    const { c, alpha = 1, beta = 1, aTranspose = false, bTranspose = false } = options;
    return this.#one('Gemm', [a, b, c], {
      alpha,
      beta,
      transA: aTranspose ? 1 : 0,
      transB: bTranspose ? 1 : 0,
    });
  }

  conv2d(input: MLOperand, filter: MLOperand, options: MLConv2dOptions = {}): MLOperand {
    const { groups = 1, inputLayout = 'nchw', filterLayout = 'oihw', bias } = options;
    const x = inputLayout === 'nhwc' ? this.#transposed(input, TO_NCHW) : input;
    const w = this.#layout(filter, FILTERS[filterLayout]);
    const window = windowOf(options, w.shape.slice(2));
    const y = this.#one('Conv', [x, w, bias], { ...window, group: groups });
    return inputLayout === 'nhwc' ? this.#transposed(y, TO_NHWC) : y;
  }

  convTranspose2d(input: MLOperand, filter: MLOperand, options: MLConvTranspose2dOptions = {}): MLOperand {
    const { groups = 1, inputLayout = 'nchw', filterLayout = 'iohw', bias, outputSizes } = options;
    const x = inputLayout === 'nhwc' ? this.#transposed(input, TO_NCHW) : input;
    const w = this.#layout(filter, TRANSPOSED_FILTERS[filterLayout]);
    const window = windowOf(options, w.shape.slice(2));
    // Sizes that are asked for directly are reached by padding at the end.
    const padding = [0, 1].map((i) => {
      if (outputSizes === undefined) return options.outputPadding?.[i] ?? 0;
      const kernel = (window.kernel_shape[i]! - 1) * window.dilations[i]! + 1;
      const least =
        (x.shape[i + 2]! - 1) * window.strides[i]! + kernel - window.pads[i]! - window.pads[i + 2]!;
      return outputSizes[i]! - least;
    });
    const y = this.#one('ConvTranspose', [x, w, bias], {
      ...window,
      group: groups,
      output_padding: padding,
      output_shape: [],
    });
    return inputLayout === 'nhwc' ? this.#transposed(y, TO_NHWC) : y;
  }

  averagePool2d(input: MLOperand, options: MLPool2dOptions = {}): MLOperand {
    return this.#pool(input, options, (x, window) =>
      this.#one('AveragePool', [x], { ...window, count_include_pad: 0 }),
    );
  }

  maxPool2d(input: MLOperand, options: MLPool2dOptions = {}): MLOperand {
    return this.#pool(input, options, (x, window) =>
      this.#one('MaxPool', [x], { ...window, storage_order: 0 }),
    );
  }

  l2Pool2d(input: MLOperand, options: MLPool2dOptions = {}): MLOperand {
    return this.#pool(input, options, (x, window) => this.#one('LpPool', [x], { ...window, p: 2 }));
  }

  batchNormalization(
    input: MLOperand,
    mean: MLOperand,
    variance: MLOperand,
    { scale, bias, axis = 1, epsilon = 1e-5 }: MLBatchNormalizationOptions = {},
  ): MLOperand {
    const parameters = [scale ?? this.#filled(mean, 1), bias ?? this.#filled(mean, 0), mean, variance];
    const normalise = (x: MLOperand): MLOperand =>
      this.#one('BatchNormalization', [x, ...parameters], { epsilon });
    if (input.shape.length === 1)
      return this.reshape(normalise(this.reshape(input, [1, ...input.shape])), input.shape);
    if (axis === 1) return normalise(input);
    const perm = [...input.shape.keys()].filter((i) => i !== axis);
    perm.splice(1, 0, axis);
    return this.#transposed(normalise(this.#transposed(input, perm)), inverse(perm));
  }

  instanceNormalization(
    input: MLOperand,
    { scale, bias, epsilon = 1e-5, layout = 'nchw' }: MLInstanceNormalizationOptions = {},
  ): MLOperand {
    const x = layout === 'nhwc' ? this.#transposed(input, TO_NCHW) : input;
    const channels = { dataType: input.dataType, shape: [x.shape[1] ?? 1] };
    const parameters = [scale ?? this.#filled(channels, 1), bias ?? this.#filled(channels, 0)];
    const y = this.#one('InstanceNormalization', [x, ...parameters], { epsilon });
    return layout === 'nhwc' ? this.#transposed(y, TO_NHWC) : y;
  }

  layerNormalization(
    input: MLOperand,
    {
      scale,
      bias,
      axes = [...input.shape.keys()].slice(1),
      epsilon = 1e-5,
    }: MLLayerNormalizationOptions = {},
  ): MLOperand {
    if (axes.length === 0) {
      // The mean of one element is itself: nothing but the bias is left.
      const nothing = this.sub(input, input);
      return bias === undefined ? nothing : this.add(nothing, bias);
    }
    const kept = [...input.shape.keys()].filter((axis) => !axes.includes(axis));
    const perm = [...kept, ...axes];
    const x = perm.every((axis, i) => axis === i) ? input : this.#transposed(input, perm);
    const inner = { dataType: input.dataType, shape: axes.map((axis) => input.shape[axis]!) };
    const y = this.#one('LayerNormalization', [x, scale ?? this.#filled(inner, 1), bias], {
      axis: kept.length,
      epsilon,
    });
    return x === input ? y : this.#transposed(y, inverse(perm));
  }

  reshape(input: MLOperand, shape: Shape): MLOperand {
    return this.#one('Reshape', [input, this.#integers(shape)], { allowzero: 1 });
  }

  /** Default: all axes reversed. */
  transpose(input: MLOperand, { permutation }: { permutation?: readonly number[] } = {}): MLOperand {
    return this.#transposed(input, permutation ?? [...input.shape.keys()].reverse());
  }

  concat(inputs: readonly MLOperand[], axis: number): MLOperand {
    return this.#one('Concat', inputs, { axis });
  }

  slice(
    input: MLOperand,
    starts: readonly number[],
    sizes: readonly number[],
    { strides = starts.map(() => 1) }: { strides?: readonly number[] } = {},
  ): MLOperand {
    input.shape.forEach((dimension, axis) => {
      const end = starts[axis]! + sizes[axis]!;
      if (!(starts[axis]! >= 0 && sizes[axis]! >= 1 && end <= dimension))
        throw new AccelError('EINVAL', {
          call: 'slice',
          field: `axis ${axis}`,
          reason: `elements ${starts[axis]} to ${end} of ${dimension}`,
        });
    });
    const ends = starts.map((start, axis) => start + sizes[axis]!);
    const axes = [...input.shape.keys()];
    const lists = [starts, ends, axes, strides].map((list) => this.#integers(list));
    return this.#one('Slice', [input, ...lists], {});
  }

  /** Into `splits` equal parts, or parts of the given sizes. */
  split(
    input: MLOperand,
    splits: number | readonly number[],
    { axis = 0 }: { axis?: number } = {},
  ): MLOperand[] {
    const sizes =
      typeof splits === 'number'
        ? Array.from({ length: splits }, () => (input.shape[axis] ?? 0) / splits)
        : splits;
    if (sizes.some((size) => !Number.isInteger(size)))
      throw new AccelError('EINVAL', {
        call: 'split',
        field: 'splits',
        reason: `${input.shape[axis]} does not divide into ${sizes.length}`,
      });
    const values = this.#add(
      'Split',
      [input, this.#integers(sizes)].map((operand) => this.#value(operand)),
      { axis, num_outputs: 0 },
      sizes.length,
    );
    return values.map((value) => new MLOperand(this, value));
  }

  pad(
    input: MLOperand,
    beginningPadding: readonly number[],
    endingPadding: readonly number[],
    { mode = 'constant', value = 0 }: MLPadOptions = {},
  ): MLOperand {
    const pads = this.#integers([...beginningPadding, ...endingPadding]);
    return this.#one('Pad', [input, pads, this.constant(input.dataType, value)], {
      mode: mode === 'reflection' ? 'reflect' : mode,
    });
  }

  expand(input: MLOperand, newShape: Shape): MLOperand {
    return this.#one('Expand', [input, this.#integers(newShape)], {});
  }

  gather(input: MLOperand, indices: MLOperand, { axis = 0 }: { axis?: number } = {}): MLOperand {
    const size = input.shape[axis] ?? 0;
    return this.#one('Gather', [input, this.#bounded(indices, size)], { axis });
  }

  where(condition: MLOperand, trueValue: MLOperand, falseValue: MLOperand): MLOperand {
    return this.#one('Where', [this.cast(condition, 'bool'), trueValue, falseValue], {});
  }

  resample2d(input: MLOperand, options: MLResample2dOptions = {}): MLOperand {
    const { mode = 'nearest-neighbor', sizes, scales = [1, 1], axes = [2, 3] } = options;
    const attributes: Attributes['Resize'] = {
      mode: mode === 'linear' ? 'linear' : 'nearest',
      coordinate_transformation_mode: 'half_pixel',
      nearest_mode: 'round_prefer_floor',
      cubic_coeff_a: -0.75,
      exclude_outside: 0,
      extrapolation_value: 0,
      antialias: 0,
      axes: [...axes],
      keep_aspect_ratio_policy: 'stretch',
    };
    const scale =
      sizes === undefined ? new MLOperand(this, this.#constant([2], Float32Array.from(scales))) : undefined;
    const size = sizes === undefined ? undefined : this.#integers(sizes);
    return this.#one('Resize', [input, undefined, scale, size], attributes);
  }

  reduceL1 = this.#reduce('ReduceL1');
  reduceL2 = this.#reduce('ReduceL2');
  reduceLogSum = this.#reduce('ReduceLogSum');
  reduceLogSumExp = this.#reduce('ReduceLogSumExp');
  reduceMax = this.#reduce('ReduceMax');
  reduceMean = this.#reduce('ReduceMean');
  reduceMin = this.#reduce('ReduceMin');
  reduceProduct = this.#reduce('ReduceProd');
  reduceSum = this.#reduce('ReduceSum');
  reduceSumSquare = this.#reduce('ReduceSumSquare');

  argMax(input: MLOperand, axis: number, options: MLArgMinMaxOptions = {}): MLOperand {
    return this.#arg('ArgMax', input, axis, options);
  }

  argMin(input: MLOperand, axis: number, options: MLArgMinMaxOptions = {}): MLOperand {
    return this.#arg('ArgMin', input, axis, options);
  }

  /** `scale` and `zeroPoint` have the input's rank, with 1 or the input's size in every dimension. */
  quantizeLinear(input: MLOperand, scale: MLOperand, zeroPoint: MLOperand): MLOperand {
    const { axis, parameters } = this.#quantisation('quantizeLinear', input, scale, zeroPoint);
    return this.#one('QuantizeLinear', [input, ...parameters], { axis, block_size: 0 });
  }

  dequantizeLinear(input: MLOperand, scale: MLOperand, zeroPoint: MLOperand): MLOperand {
    const { axis, parameters } = this.#quantisation('dequantizeLinear', input, scale, zeroPoint);
    return this.#one('DequantizeLinear', [input, ...parameters], { axis, block_size: 0 });
  }

  /** Indices outside a dimension stand for its first or last element. */
  #bounded(indices: MLOperand, size: number): MLOperand {
    const known = indices.value.data?.numbers();
    if (known?.every((index) => index >= -size && index < size) === true) return indices;
    const least = indices.dataType.startsWith('u') ? 0 : -size;
    return this.clamp(indices, { minValue: least, maxValue: size - 1 });
  }

  #quantisation(
    call: string,
    input: MLOperand,
    scale: MLOperand,
    zeroPoint: MLOperand,
  ): { axis: number; parameters: MLOperand[] } {
    const sizes = scale.shape.map((size, axis) => ({ size, axis })).filter(({ size }) => size !== 1);
    const [along] = sizes;
    const rankFits = scale.shape.length === input.shape.length || scale.shape.length === 0;
    if (!rankFits || String(scale.shape) !== String(zeroPoint.shape))
      throw new AccelError('EINVAL', {
        call,
        field: 'scale',
        reason: `scale [${scale.shape}], zero point [${zeroPoint.shape}] for input [${input.shape}]`,
      });
    if (sizes.length > 1 || (along !== undefined && along.size !== input.shape[along.axis]))
      throw new AccelError('EOPNOTSUPP', {
        call,
        field: 'scale',
        reason: `scale [${scale.shape}] for input [${input.shape}]: one for the tensor or one per index of one axis`,
      });
    const flat = along === undefined ? [] : [along.size];
    const parameters = [scale, zeroPoint].map((operand) =>
      operand.shape.length === flat.length ? operand : this.reshape(operand, flat),
    );
    return { axis: along?.axis ?? 0, parameters };
  }

  #arg(op: 'ArgMax' | 'ArgMin', input: MLOperand, axis: number, options: MLArgMinMaxOptions): MLOperand {
    const { keepDimensions = false, outputDataType = 'int32' } = options;
    const index = this.#one(op, [input], { axis, keepdims: keepDimensions ? 1 : 0, select_last_index: 0 });
    return outputDataType === 'int64' ? index : this.cast(index, outputDataType);
  }

  #reduce(op: Extract<OperatorName, `Reduce${string}`>) {
    return (input: MLOperand, { axes, keepDimensions = false }: MLReduceOptions = {}): MLOperand =>
      this.#one(op, [input, this.#integers(axes ?? [...input.shape.keys()])], {
        keepdims: keepDimensions ? 1 : 0,
        // WebNN: no axes mean nothing is reduced, ONNX with this attribute likewise.
        noop_with_empty_axes: 1,
      });
  }

  #unary(op: Unary) {
    return (input: MLOperand): MLOperand => this.#one(op, [input], {});
  }

  #binary(op: Unary) {
    return (a: MLOperand, b: MLOperand): MLOperand => this.#one(op, [a, b], {});
  }

  /** WebNN's comparisons give uint8. */
  #logical(op: Unary) {
    return (a: MLOperand, b: MLOperand): MLOperand => this.cast(this.#one(op, [a, b], {}), 'uint8');
  }

  #pool(
    input: MLOperand,
    options: MLPool2dOptions,
    make: (x: MLOperand, window: ReturnType<typeof windowOf> & { ceil_mode: number }) => MLOperand,
  ): MLOperand {
    const nhwc = options.layout === 'nhwc';
    const x = nhwc ? this.#transposed(input, TO_NCHW) : input;
    const window = windowOf(options, options.windowDimensions ?? x.shape.slice(2));
    const y = make(x, { ...window, ceil_mode: roundsUp(x, window, options) ? 1 : 0 });
    return nhwc ? this.#transposed(y, TO_NHWC) : y;
  }

  #layout(operand: MLOperand, perm: readonly number[] | undefined): MLOperand {
    return perm === undefined ? operand : this.#transposed(operand, perm);
  }

  #transposed(operand: MLOperand, perm: readonly number[]): MLOperand {
    return this.#one('Transpose', [operand], { perm: [...perm] });
  }

  #integers(list: readonly number[]): MLOperand {
    return new MLOperand(this, this.#constant([list.length], BigInt64Array.from(list, BigInt), 'int64'));
  }

  #filled(like: MLOperandDescriptor, value: number): MLOperand {
    const name = `constant${this.#names++}`;
    const { dataType: type, shape } = like;
    const fill = type === 'float16' ? floatToHalf(value) : value;
    return new MLOperand(this, { name, type, shape, data: Constant.fill(type, elementCount(shape), fill) });
  }

  #constant(shape: Shape, array: TypedArray, type: DataType = typeOf(array)): Value {
    return { name: `constant${this.#names++}`, type, shape: [...shape], data: Constant.of(type, array) };
  }

  #one<Op extends OperatorName>(
    op: Op,
    inputs: readonly (MLOperand | undefined)[],
    attributes: Attributes[Op],
  ): MLOperand {
    const values = inputs.map((operand) => (operand === undefined ? undefined : this.#value(operand)));
    return new MLOperand(this, this.#add(op, values, attributes)[0]!);
  }

  #value(operand: MLOperand): Value {
    if (!(operand instanceof MLOperand) || operand.owner !== this)
      throw new AccelError('EINVAL', { call: 'MLGraphBuilder', reason: 'an operand of another builder' });
    return operand.value;
  }

  /** Adds a node; its outputs' types and shapes are inferred. */
  #add<Op extends OperatorName>(
    op: Op,
    inputs: (Value | undefined)[],
    attributes: Attributes[Op],
    outputs = 1,
    name?: string,
  ): Value[] {
    if (this.#built)
      throw new AccelError('EINVAL', { call: 'MLGraphBuilder', reason: 'the builder has built its graph' });
    const label = `${op}${this.#nodes.length}`;
    const names =
      name === undefined
        ? Array.from({ length: outputs }, (_, i) => (i === 0 ? label : `${label}.${i}`))
        : [name];
    const node = createNode(op, inputs, attributes, { name: label, outputs: names }) as Node;
    this.#nodes.push(node);
    return node.outputs;
  }
}

interface WindowOptions {
  readonly padding?: readonly number[];
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
}

/** WebNN pads are begin and end per axis, ONNX's all begins, then all ends. */
function windowOf(
  { padding = [0, 0, 0, 0], strides = [1, 1], dilations = [1, 1] }: WindowOptions,
  kernel: Shape,
) {
  const [top = 0, bottom = 0, left = 0, right = 0] = padding;
  return {
    kernel_shape: [...kernel],
    strides: [...strides],
    dilations: [...dilations],
    pads: [top, left, bottom, right],
  };
}

/** Whether the windows that do not fit whole are there too. @throws AccelError EINVAL when no rounding gives the sizes */
function roundsUp(x: MLOperand, window: ReturnType<typeof windowOf>, options: MLPool2dOptions): boolean {
  const { outputSizes } = options;
  if (outputSizes === undefined) return options.outputShapeRounding === 'ceil';
  const exact = [0, 1].map((i) => {
    const covered = (window.kernel_shape[i]! - 1) * window.dilations[i]! + 1;
    const room = x.shape[i + 2]! + window.pads[i]! + window.pads[i + 2]! - covered;
    return room / window.strides[i]! + 1;
  });
  for (const round of [Math.floor, Math.ceil])
    if (exact.every((size, i) => round(size) === outputSizes[i])) return round === Math.ceil;
  throw new AccelError('EINVAL', {
    call: 'pool2d',
    field: 'outputSizes',
    reason: `[${outputSizes.join(',')}], the window gives ${exact.join(' by ')}, rounded up or down`,
  });
}

function inverse(perm: readonly number[]): number[] {
  const result = new Array<number>(perm.length);
  perm.forEach((from, to) => (result[from] = to));
  return result;
}

function scalarArray(type: DataType, value: number | bigint): TypedArray {
  const array = makeArray(type, 1);
  if (array instanceof BigInt64Array || array instanceof BigUint64Array) array[0] = BigInt(value);
  else array[0] = type === 'float16' ? floatToHalf(Number(value)) : Number(value);
  return array;
}

function typeOf(array: TypedArray): DataType {
  if (array instanceof Float32Array) return 'float32';
  if (array instanceof BigInt64Array) return 'int64';
  throw new TypeError('a type is needed');
}
