// MLContext: tensors, dispatches in order, the device behind them. WebNN's shape, with a promise per dispatch.
// Not a device: it holds an open file and speaks its driver's uAPI through a backend.
import { DRM_IOCTL_VERSION, DrmVersion } from '../abi/drm.js';
import { AccelError } from '../base/errors.js';
import { elementCount, type TypedArray } from '../compiler/ir/index.js';
import type { AccelFile } from '../core/accel-file.js';
import type { Backend, Values } from './backends/backend.js';
import { GnaBackend } from './backends/gna.js';
import { NvdlaBackend } from './backends/nvdla.js';
import type { MLGraph } from './graph.js';
import type { HostExecutor } from './host-executor.js';
import { opSupportLimits, type MLOpSupportLimits } from './limits.js';
import { makeArray } from './layout.js';
import { noTicks, type DispatchReport, type Ticks } from './stats.js';
import {
  describe,
  MLTensor,
  type MLOperandDescriptor,
  type MLTensorDescriptor,
  type TensorSource,
} from './tensor.js';

export interface MLContextOptions {
  /** An open file of the device. The context does not close it unless `owns`. */
  readonly file: AccelFile;
  /** What the device is, for the compiler: `nvdla:nv_large`. The uAPI does not tell the configuration. */
  readonly target: string;
  /** Closes the file when the context is destroyed. Default false. */
  readonly owns?: boolean;
  /** Computes what neither the device nor the runtime does. Default: such operators are refused when building. */
  readonly host?: HostExecutor;
  /** For times in results; without it they are 0. */
  readonly clock?: Ticks;
}

/** WebNN's MLContextLostInfo. */
export interface MLContextLostInfo {
  readonly message: string;
}

/** What a dispatch resolves to. */
export type MLDispatchResult = Readonly<DispatchReport>;

/** Tensors by the names of a graph's inputs or outputs. */
export type MLNamedTensors = Readonly<Record<string, MLTensor>>;

/** How the driver calls itself, by the first part of a target's name. */
const drivers: Readonly<Record<string, string>> = { nvdla: 'nvdla', gna: 'gna' };

/**
 * A context on one device.
 * @throws AccelError EINVAL when the file is of another driver than the target's, EOPNOTSUPP for a target that is not known
 */
export async function createContext(options: MLContextOptions): Promise<MLContext> {
  const kind = options.target.split(':')[0]!;
  const expected = drivers[kind];
  if (expected === undefined)
    throw new AccelError('EOPNOTSUPP', {
      call: 'createContext',
      field: 'target',
      reason: `${options.target}; targets are ${Object.keys(drivers).join(', ')}`,
    });
  const name = await driverName(options.file);
  if (name !== expected)
    throw new AccelError('EINVAL', {
      call: 'createContext',
      field: 'target',
      reason: `${options.target} is driven by ${expected}, the file is of ${name}`,
    });
  return new MLContext(options);
}

async function driverName(file: AccelFile): Promise<string> {
  const bytes = new Uint8Array(64);
  using place = file.user.place(bytes);
  const version = DrmVersion.bytes({ name: place.pointer, name_len: BigInt(bytes.length) });
  await file.ioctl(DRM_IOCTL_VERSION.request, version);
  const length = Math.min(bytes.length, Number(DrmVersion.from(version).name_len));
  return String.fromCharCode(...bytes.subarray(0, length));
}

/** Made by createContext. Work is done in the order it was asked for. */
export class MLContext implements AsyncDisposable {
  readonly target: string;
  /** Resolves when the context can do nothing more: destroyed, or the device is gone. */
  readonly lost: Promise<MLContextLostInfo>;
  /** For graphs: the devices' backends. */
  readonly backends: readonly Backend[];
  readonly host: HostExecutor | undefined;
  readonly ticks: Ticks;
  readonly #file: AccelFile;
  readonly #owns: boolean;
  readonly #graphs = new Set<MLGraph>();
  #lose!: (info: MLContextLostInfo) => void;
  #lostInfo: MLContextLostInfo | undefined;
  #destroying: Promise<void> | undefined;
  /** End of the work asked for so far; never rejects. */
  #tail: Promise<void> = Promise.resolve();
  #pending = 0;

  constructor(options: MLContextOptions) {
    this.target = options.target;
    this.host = options.host;
    this.ticks = options.clock ?? noTicks;
    this.#file = options.file;
    this.#owns = options.owns ?? false;
    this.backends = [
      options.target.startsWith('gna:')
        ? new GnaBackend(options.file, this.ticks)
        : new NvdlaBackend(options.file, this.ticks),
    ];
    this.lost = new Promise((resolve) => {
      this.#lose = (info) => {
        this.#lostInfo ??= info;
        resolve(info);
      };
    });
  }

  /** @throws AccelError EINVAL, EOPNOTSUPP, ENOMEM by the descriptor; ENODEV once lost */
  async createTensor(descriptor: MLTensorDescriptor): Promise<MLTensor> {
    this.#check('createTensor');
    return new MLTensor(descriptor);
  }

  /** A readable tensor that holds `source` and cannot be written. */
  async createConstantTensor(descriptor: MLOperandDescriptor, source: TensorSource): Promise<MLTensor> {
    this.#check('createConstantTensor');
    const tensor = new MLTensor({ ...descriptor, readable: true, writable: false });
    bytesOf(tensor.elements('createConstantTensor')).set(sourceBytes('createConstantTensor', tensor, source));
    return tensor;
  }

  /**
   * Writes the whole tensor. `source` is copied now; the tensor changes after the dispatches asked for before.
   * @throws AccelError EINVAL when it is not writable or the sizes differ
   */
  writeTensor(tensor: MLTensor, source: TensorSource): void {
    const call = 'writeTensor';
    this.#check(call);
    if (!tensor.writable)
      throw new AccelError('EINVAL', { call, field: 'tensor', reason: 'was not made writable' });
    tensor.elements(call);
    const bytes = sourceBytes(call, tensor, source);
    const elements = makeArray(tensor.dataType, elementCount(tensor.shape));
    bytesOf(elements).set(bytes);
    if (this.#pending === 0) tensor.replace(elements);
    else void this.#enqueue(async () => tensor.replace(elements));
  }

  /**
   * The tensor's bytes, a copy, after the work asked for before.
   * @throws AccelError EINVAL when it is not readable; the error of the dispatch that was to make it
   */
  async readTensor(tensor: MLTensor): Promise<ArrayBuffer> {
    const call = 'readTensor';
    this.#check(call);
    if (!tensor.readable)
      throw new AccelError('EINVAL', { call, field: 'tensor', reason: 'was not made readable' });
    const elements = await this.#enqueue(async () => {
      if (tensor.error !== undefined) throw tensor.error;
      return tensor.elements(call);
    });
    return elements.slice().buffer as ArrayBuffer;
  }

  /**
   * Runs the graph once. Checks are made now, the work is done after what was asked for before. The promise need not be
   * awaited: as in WebNN, reading an output waits for it, and gives its error.
   * @throws AccelError EINVAL when names, types, shapes or contexts do not match
   */
  dispatch(graph: MLGraph, inputs: MLNamedTensors, outputs: MLNamedTensors): Promise<MLDispatchResult> {
    const call = 'dispatch';
    this.#check(call);
    if (graph.context !== this || graph.destroyed)
      throw new AccelError('EINVAL', {
        call,
        field: 'graph',
        reason: graph.destroyed ? 'it was destroyed' : 'it was built in another context',
      });
    match(call, 'inputs', graph.inputs, inputs);
    match(call, 'outputs', graph.outputs, outputs);
    const taken = new Set<MLTensor>();
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.elements(call);
    for (const [name, tensor] of Object.entries(outputs)) {
      if (taken.has(tensor) || Object.values(inputs).includes(tensor))
        throw new AccelError('EINVAL', {
          call,
          field: `outputs.${name}`,
          reason: 'the tensor is used twice in this dispatch',
        });
      taken.add(tensor);
    }
    const result = this.#enqueue(async () => {
      const values: Values = new Map();
      try {
        for (const [name, tensor] of Object.entries(inputs)) {
          if (tensor.error !== undefined) throw tensor.error;
          values.set(name, tensor.elements(call));
        }
        const report = await graph.run(values);
        for (const [name, tensor] of Object.entries(outputs)) tensor.replace(outputOf(values, name));
        return report;
      } catch (error) {
        const failure =
          error instanceof AccelError
            ? error
            : new AccelError('EIO', { call, cause: error, reason: String(error) });
        for (const tensor of Object.values(outputs)) tensor.poison(failure);
        if (failure.code === 'ENODEV') this.#lose({ message: failure.message });
        throw failure;
      }
    });
    // Not awaiting it is allowed; the error is then seen by readTensor.
    result.catch(() => undefined);
    return result;
  }

  /** Which operators, element types and ranks the target takes, and those that the host computes. */
  opSupportLimits(): MLOpSupportLimits {
    return opSupportLimits();
  }

  /** For graphs. */
  add(graph: MLGraph): void {
    this.#check('build');
    this.#graphs.add(graph);
  }

  /** For graphs. */
  remove(graph: MLGraph): void {
    this.#graphs.delete(graph);
  }

  /** For graphs: `work` after everything asked for before. */
  after<T>(work: () => Promise<T>): Promise<T> {
    return this.#enqueue(work);
  }

  /** Ends the context after the work asked for so far: graphs are freed, the file is closed when owned. Idempotent. */
  destroy(): Promise<void> {
    this.#destroying ??= this.#destroy();
    return this.#destroying;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  async #destroy(): Promise<void> {
    this.#lose({ message: 'the context was destroyed' });
    await this.#tail;
    try {
      for (const graph of [...this.#graphs]) await graph.destroy();
    } finally {
      if (this.#owns) await this.#file.close();
    }
  }

  #check(call: string): void {
    if (this.#lostInfo !== undefined)
      throw new AccelError('ENODEV', { call, reason: `the context is lost: ${this.#lostInfo.message}` });
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    this.#pending++;
    const result = this.#tail.then(work);
    this.#tail = result.then(
      () => void this.#pending--,
      () => void this.#pending--,
    );
    return result;
  }
}

/** An output's elements. They may be an input's own: arrays of tensors are replaced, never written in place. */
function outputOf(values: Values, name: string): TypedArray {
  const elements = values.get(name);
  if (elements === undefined)
    throw new AccelError('EIO', { call: 'dispatch', field: name, reason: 'the program did not make it' });
  return elements;
}

function match(
  call: string,
  field: string,
  expected: Readonly<Record<string, MLOperandDescriptor>>,
  tensors: MLNamedTensors,
): void {
  for (const name of Object.keys(tensors))
    if (!Object.hasOwn(expected, name))
      throw new AccelError('EINVAL', {
        call,
        field: `${field}.${name}`,
        reason: `the graph has no such tensor, only ${Object.keys(expected).join(', ')}`,
      });
  for (const [name, descriptor] of Object.entries(expected)) {
    const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
    if (tensor === undefined)
      throw new AccelError('EINVAL', { call, field: `${field}.${name}`, reason: 'no tensor is given' });
    if (describe(tensor) !== describe(descriptor))
      throw new AccelError('EINVAL', {
        call,
        field: `${field}.${name}`,
        reason: `${describe(tensor)} given, the graph has ${describe(descriptor)}`,
      });
  }
}

function bytesOf(elements: TypedArray): Uint8Array {
  return new Uint8Array(elements.buffer as ArrayBuffer, elements.byteOffset, elements.byteLength);
}

function sourceBytes(call: string, tensor: MLTensor, source: TensorSource): Uint8Array {
  const bytes = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
  if (bytes.length !== tensor.byteLength)
    throw new AccelError('EINVAL', {
      call,
      field: 'source',
      reason: `${bytes.length} bytes for ${describe(tensor)}, ${tensor.byteLength} bytes`,
    });
  return bytes;
}
