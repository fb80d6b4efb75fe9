// Hardware layers of a segment, between lowering and descriptors: what each reads, computes and writes.
// Not descriptors: addresses and dependencies come with emit.ts.
import type { BankPlan } from './cbuf.js';
import type { Window } from './cube.js';
import type { OutputConversion } from './scale.js';
import type { Lut } from './lut.js';

/** Bytes that are the same for every run. Made when the segment is emitted, once per object. */
export interface ConstantBlob {
  readonly bytes: number;
  make(): Uint8Array;
}

/** One of SDP's X1, X2. Operands per layer are register values, per kernel a blob, per point a cube. */
export interface SdpStage {
  readonly mode: 'layer' | 'kernel' | 'point';
  readonly type: 'none' | 'mul' | 'add' | 'both';
  /** What the ALU does. */
  readonly alu: 'max' | 'min' | 'sum';
  /** Left shift of the ALU's operand. */
  readonly shift: number;
  /** Right shift after the product. */
  readonly truncate: number;
  readonly relu: boolean;
  /** PReLU instead of ReLU: only negative values are multiplied. */
  readonly prelu?: boolean;
  /** Register values; in fp16 the bits of a half. */
  readonly aluOperand?: number;
  readonly mulOperand?: number;
  readonly constant?: ConstantBlob;
  readonly operand?: Window;
}

/**
 * SDP's Y, on configurations that have it: the product comes first, the ALU behind it, then the table. `shift` is not there; register
 * values have 32 bits, in fp16 those of a float; the product's right shift may be up to 1023.
 */
export interface ElementStage extends SdpStage {
  /** Of int8 operands in memory: (x - offset) * scale >> truncate. */
  readonly converter?: OutputConversion;
}

export interface SdpPart {
  readonly x1?: SdpStage;
  readonly x2?: SdpStage;
  readonly y?: ElementStage;
  /** Looked up behind Y, with or without another stage there. */
  readonly table?: Lut;
  readonly out: OutputConversion;
}

interface LayerBase {
  /** Names of the nodes it computes, or a part of. */
  readonly nodes: readonly string[];
  readonly input: Window;
  readonly output: Window;
  /** Multiply-accumulates of the model, and of the hardware. */
  readonly macs: number;
  readonly hardwareMacs: number;
}

/** A maximum or minimum over windows. */
export interface PoolPart {
  readonly method: 'max' | 'min';
  readonly kernel: { readonly height: number; readonly width: number };
  readonly stride: { readonly y: number; readonly x: number };
  readonly pads: {
    readonly top: number;
    readonly bottom: number;
    readonly left: number;
    readonly right: number;
  };
}

/** SDP, and what may be behind it: PDP takes its result on the fly and writes `output`; nothing of SDP's own is in memory then. */
interface Piped {
  readonly sdp: SdpPart;
  readonly pool?: PoolPart & { readonly output: Window };
}

/**
 * A convolution whose result goes through SDP on the fly. With a `pair` it reads two windows of one surface each as the two surfaces
 * of one cube: whichever lies lower in memory first. Both cubes are then in one buffer.
 */
export interface ConvLayer extends LayerBase, Piped {
  readonly kind: 'conv';
  readonly kernel: { readonly height: number; readonly width: number };
  readonly stride: { readonly y: number; readonly x: number };
  readonly dilation: { readonly y: number; readonly x: number };
  readonly pads: {
    readonly top: number;
    readonly bottom: number;
    readonly left: number;
    readonly right: number;
  };
  readonly padValue: number;
  /** Packed weights. With a pair: for the input first, and for the pair first; which it is depends on their places in memory. */
  readonly weights: ConstantBlob;
  readonly pair?: { readonly input: Window; readonly weights: ConstantBlob };
  readonly banks: BankPlan;
}

/** SDP from memory to memory. */
export interface SdpLayer extends LayerBase, Piped {
  readonly kind: 'sdp';
}

/** PDP from memory to memory. */
export interface PoolLayer extends LayerBase, PoolPart {
  readonly kind: 'pool';
}

/** CDP from memory to memory: u = (x - offset) times the table at the sum of squares of `size` neighbours. */
export interface NormLayer extends LayerBase {
  readonly kind: 'norm';
  readonly size: number;
  readonly lut: Lut;
  readonly in: OutputConversion;
  readonly out: OutputConversion;
}

export type Layer = ConvLayer | SdpLayer | PoolLayer | NormLayer;

/** The SDP part of a layer, where it has one. */
export function sdpOf(layer: Layer): SdpPart | undefined {
  return layer.kind === 'conv' || layer.kind === 'sdp' ? layer.sdp : undefined;
}

/** The stages of SDP that a layer has, in their order. */
export function stagesOf(layer: Layer): SdpStage[] {
  const sdp = sdpOf(layer);
  return [sdp?.x1, sdp?.x2, sdp?.y].filter((stage) => stage !== undefined);
}

/** The pool behind SDP, where a layer has one. */
export function poolOf(layer: Layer): Piped['pool'] {
  return layer.kind === 'conv' || layer.kind === 'sdp' ? layer.pool : undefined;
}

/** What a layer leaves in memory. */
export function resultOf(layer: Layer): Window {
  return poolOf(layer)?.output ?? layer.output;
}

/** Windows that the first unit of a layer reads. */
export function sourcesOf(layer: Layer): Window[] {
  return layer.kind === 'conv' && layer.pair !== undefined ? [layer.input, layer.pair.input] : [layer.input];
}

/** Windows that SDP reads besides its source. */
export function operandsOf(layer: Layer): Window[] {
  return stagesOf(layer).flatMap(({ operand }) => operand ?? []);
}

/** All windows that a layer reads. */
export function readsOf(layer: Layer): Window[] {
  return [...sourcesOf(layer), ...operandsOf(layer)];
}
