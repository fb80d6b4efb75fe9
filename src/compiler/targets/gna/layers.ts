// Hardware layers as the lowering makes them: operands by plane, constants as blobs, shapes in elements.
// Not descriptors: descriptors.ts.
import type { At } from './view.js';

/** Constant bytes, made when the segment is emitted. Compared by identity: shared ones lie in memory once. */
export interface Blob {
  readonly bytes: number;
  make(): Uint8Array;
}

/** Weights or biases: constants, or what an earlier layer wrote. */
export type Operand = Blob | At;

export function isPlace(operand: Operand): operand is At {
  return 'plane' in operand;
}

interface Common {
  /** Names of the graph's nodes that it computes, or a part of. */
  readonly nodes: readonly string[];
  readonly input: At;
  readonly output: At;
  /** Multiply-accumulates that the model asks for, and those of the hardware. */
  readonly macs: number;
  readonly hardwareMacs: number;
  /** What a person tuning a model wants to see. */
  readonly detail?: Readonly<Record<string, number | string>>;
}

/** Weights, biases and activation of a layer that computes. */
export interface Constants {
  /** 2, or 1 with compound biases. */
  readonly weightBytes: 1 | 2;
  readonly weights: Operand;
  readonly bias: Operand;
  /** Without, results are the sums, 32 bits each. */
  readonly segments: Blob | undefined;
  readonly segmentCount: number;
}

/** out[m] = activation(bias[m] + sum of weights[m][k] in[k]). */
export interface AffineLayer extends Common, Constants {
  readonly kind: 'affine';
  readonly inputs: number;
  readonly outputs: number;
}

/** out[m] = activation(bias[m] + weights[m] in[m]). */
export interface DiagonalLayer extends Common, Constants {
  readonly kind: 'diagonal';
  readonly outputs: number;
}

/** Step t: out[t][m] = activation(bias[m] + weights[m] . (in[t], out[t - 1])). The state before lies before the output. */
export interface RecurrentLayer extends Common, Constants {
  readonly kind: 'recurrent';
  readonly inputs: number;
  readonly outputs: number;
  readonly vectors: number;
}

/** 1D convolution: out[p][f] = activation(max or value of bias[f] + filters[f] . in[p * stride ...]). */
export interface Conv1dLayer extends Common, Constants {
  readonly kind: 'conv1d';
  readonly inputs: number;
  readonly filters: number;
  readonly size: number;
  readonly stride: number;
  readonly positions: number;
  /** Along positions. */
  readonly pool?: { readonly method: 'max' | 'sum'; readonly window: number; readonly stride: number };
  /** Positions after pooling. */
  readonly outputs: number;
}

/** Fused 2D convolution of 3.0: in [height][width][depth], out [height][width][filters]. */
export interface Conv2dLayer extends Common, Constants {
  readonly kind: 'conv2d';
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly filters: number;
  readonly kernel: { readonly width: number; readonly height: number };
  readonly stride: { readonly width: number; readonly height: number };
  readonly pad: { readonly width: number; readonly height: number };
  readonly convolved: { readonly width: number; readonly height: number };
  readonly pool?: { readonly window: number; readonly stride: number };
  readonly pooled: { readonly width: number; readonly height: number };
}

/** [groups][inputs] to [inputs][groups]. */
export interface InterleaveLayer extends Common {
  readonly kind: 'interleave';
  readonly inputs: number;
  readonly groups: number;
}

export interface CopyLayer extends Common {
  readonly kind: 'copy';
  readonly rows: number;
  readonly columns: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
}

export type Layer =
  AffineLayer | DiagonalLayer | RecurrentLayer | Conv1dLayer | Conv2dLayer | InterleaveLayer | CopyLayer;

/** Layers with weights. */
export type ComputingLayer = Exclude<Layer, InterleaveLayer | CopyLayer>;

export function computes(layer: Layer): layer is ComputingLayer {
  return layer.kind !== 'interleave' && layer.kind !== 'copy';
}
