// What a target makes of a graph: segments for devices and for the host, in order, and why each node is where it is.
// Not a file format and not tied to one device: buffers, bytes and figures; who runs it opens files and maps memory.
import type { GnaGeneration } from '../../hw/gna/index.js';
import type { ConfigName, LayerCost } from '../../hw/nvdla/index.js';
import type { DataType, Graph, Quantization, Shape } from '../ir/index.js';

/** A tensor as the segments of a program hand it to each other: by name, row-major. */
export interface TensorInfo {
  readonly name: string;
  readonly type: DataType;
  readonly shape: Shape;
  /** Set when the integers stand for reals. */
  readonly quantization?: Quantization;
}

/** Memory of one submission. A constant is written once; `descriptor` bytes must be written anew before every submission,
 * since drivers may write to them. */
export interface ProgramBuffer {
  readonly name: string;
  readonly role: 'input' | 'output' | 'constant' | 'scratch' | 'descriptor';
  /** Bytes, a multiple of the page (4096). What `contents` does not cover starts as zero. */
  readonly bytes: number;
  /** `data` may be made anew whenever it is asked for: ask once. */
  readonly contents: readonly { readonly offset: number; readonly data: Uint8Array }[];
}

/**
 * A cube in the surfaces of NVDLA (fact sheet section 3.1): channels in atoms of `atom` bytes, a surface per atom.
 * Element (c, y, x) is element `c * strides.c + y * strides.y + x * strides.x` of the row-major tensor.
 */
export interface FeatureLayout {
  readonly kind: 'feature';
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Bytes of an atom, and of an element. */
  readonly atom: number;
  readonly elementBytes: 1 | 2;
  /** Bytes from a line to the next, and from a surface to the next. */
  readonly lineStride: number;
  readonly surfStride: number;
  /** In elements of the tensor. */
  readonly strides: { readonly c: number; readonly y: number; readonly x: number };
}

/** Rows of `columns` elements, `rowStride` bytes apart. */
export interface LinearLayout {
  readonly kind: 'linear';
  readonly rows: number;
  readonly columns: number;
  readonly rowStride: number;
}

/**
 * Any order: loops over the tensor, outermost first. Element `tensorOffset` + the sum of i[n] * dims[n].tensor of the row-major tensor
 * is element `offset` + the sum of i[n] * dims[n].memory of the memory. What lies between them is left as it is.
 */
export interface StridedLayout {
  readonly kind: 'strided';
  readonly offset: number;
  readonly tensorOffset: number;
  readonly dims: readonly { readonly size: number; readonly tensor: number; readonly memory: number }[];
}

export type Layout = FeatureLayout | LinearLayout | StridedLayout;

/**
 * Where a tensor lies in a segment's memory. `tensor` is the outside: when it is float and `stored` is an integer type, whoever
 * binds it quantises (round half to even, saturate) or dequantises with `quantization`; when it is uint8 and `stored` is int8
 * the values are 128 apart; when both are integers and have zero points, these come to lie on each other.
 */
export interface Binding {
  readonly tensor: TensorInfo;
  /** Index into the segment's buffers. */
  readonly buffer: number;
  readonly offset: number;
  /** Bytes from `offset` that the tensor takes, padding included. */
  readonly bytes: number;
  readonly layout: Layout;
  /** The run of the tensor's elements that lies there: one image of a batch. Strides count in it. Default all of it. */
  readonly part?: { readonly from: number; readonly count: number };
  /** Element type in memory. */
  readonly stored: 'int8' | 'int16' | 'int32' | 'float16' | 'float32';
  /** Of the elements in memory. One entry for the tensor. */
  readonly quantization?: { readonly scale: number; readonly zeroPoint: number };
}

/** A hardware layer of a compiled segment, for reports. */
export interface LayerReport {
  readonly index: number;
  /** Hardware unit or operation, by the vendor's name: CONV, SDP, PDP, affine. */
  readonly unit: string;
  /** Names of the graph's nodes that it computes, or a part of. */
  readonly nodes: readonly string[];
  /** Cubes as [channels, height, width]. */
  readonly input: Shape;
  readonly output: Shape;
  /** What a person tuning a model wants to see: banks, splits, kernel. */
  readonly detail: Readonly<Record<string, number | string>>;
  /** Bytes of weights and operands that it reads. */
  readonly constantBytes: number;
  /** Multiply-accumulates that the model asks for, and those that the hardware does (zeros of expanded groups included). */
  readonly macs: number;
  readonly hardwareMacs: number;
  /** What is multiplied: int8, fp16, int16. */
  readonly precision: string;
  /** For estimates: cycles of its units when memory never holds it up, and bytes that it moves. */
  readonly cost: LayerCost;
  /** Layers of the segment that it waits for. Besides, each unit takes its layers in their order. */
  readonly after: readonly number[];
}

/** What every device segment has. */
interface DeviceSegmentBase {
  readonly buffers: readonly ProgramBuffer[];
  readonly inputs: readonly Binding[];
  readonly outputs: readonly Binding[];
  readonly layers: readonly LayerReport[];
}

/** One task for the nvdla driver. */
export interface NvdlaSegment extends DeviceSegmentBase {
  readonly kind: 'nvdla';
  readonly config: ConfigName;
  /** The task's address list; entry 0 is the network descriptor. Descriptors name addresses by index. */
  readonly addresses: readonly { readonly buffer: number; readonly offset: number }[];
}

/** Requests of the gna driver, one after the other. Buffers lie back to back from device address 0, in their order. */
export interface GnaSegment extends DeviceSegmentBase {
  readonly kind: 'gna';
  readonly generation: GnaGeneration;
  /** Descriptors are in buffer 0: the device address of each request's first one, and how many there are. */
  readonly requests: readonly { readonly base: number; readonly count: number }[];
}

export type DeviceSegment = NvdlaSegment | GnaSegment;

/** Nodes that the host computes. Inputs and outputs of `graph` are named as the program's tensors. */
export interface HostSegment {
  readonly kind: 'host';
  readonly graph: Graph;
}

export type Segment = DeviceSegment | HostSegment;

/** Where one node of the graph runs. */
export interface Placement {
  readonly node: string;
  /** ONNX operator. */
  readonly operator: string;
  /** `none`: it costs nothing at run time (layout, or part of a constant). */
  readonly device: 'nvdla' | 'gna' | 'host' | 'none';
  /** Why it is not on the device, or how it got there. */
  readonly reason: string;
  /** Multiply-accumulates of the operator. */
  readonly macs: number;
}

/** Segments run in order; each finds its inputs by name among the program's inputs and earlier outputs. */
export interface CompiledProgram {
  readonly name: string;
  /** `nvdla:nv_small`, `gna:3.0`. */
  readonly target: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly segments: readonly Segment[];
  readonly placement: readonly Placement[];
}
