// The words of a command as the kernels read them: the same order as src/devices/gna/command.ts.
// Not checked here: whoever writes a command has validated it.

/** Affine, active list, multibias and diagonal layers. */
@unmanaged
export class Affine {
  op: i32;
  /** Inputs, output rows, vectors. */
  inputs: i32;
  outputs: i32;
  groups: i32;
  inputBytes: i32;
  weightBytes: i32;
  /** Inputs after which the running sum saturates. */
  chunk: i32;
  input: u32;
  weights: u32;
  /** Address of the first bias; 0 bytes: none. */
  bias: u32;
  biasBytes: i32;
  biasStride: i32;
  /** Address of the first row multiplier, 8 bytes apart; 0: none. */
  scale: u32;
  /** u32 rows to compute; 0: all. */
  list: u32;
  output: u32;
  /** 0: int32 sums without activation. */
  outputBytes: i32;
  segments: u32;
  segmentCount: i32;
  /** 1: what is written is not read. For whoever splits commands. */
  apart: i32;
}

@unmanaged
export class Recurrent {
  op: i32;
  inputs: i32;
  outputs: i32;
  vectors: i32;
  inputBytes: i32;
  weightBytes: i32;
  chunk: i32;
  input: u32;
  /** Elements of outputBytes; may overlap the output. */
  feedback: u32;
  weights: u32;
  bias: u32;
  biasBytes: i32;
  biasStride: i32;
  scale: u32;
  output: u32;
  outputBytes: i32;
  segments: u32;
  segmentCount: i32;
}

/** 1D and 2D convolutions; the former have height and depth 1. */
@unmanaged
export class Conv {
  op: i32;
  /** Activation after pooling, pooling of unsaturated sums: before 3.0. */
  legacy: i32;
  width: i32;
  height: i32;
  depth: i32;
  elementBytes: i32;
  filters: i32;
  kernelWidth: i32;
  kernelHeight: i32;
  strideWidth: i32;
  strideHeight: i32;
  padWidth: i32;
  padHeight: i32;
  /** Bytes from one filter to the next. */
  filterPitch: i32;
  convWidth: i32;
  convHeight: i32;
  /** 0 none, 1 maximum, 2 sum. */
  pool: i32;
  poolWidth: i32;
  poolHeight: i32;
  poolStrideWidth: i32;
  poolStrideHeight: i32;
  outWidth: i32;
  outHeight: i32;
  input: u32;
  weights: u32;
  bias: u32;
  biasBytes: i32;
  output: u32;
  /** 0: int32 sums without activation. */
  outputBytes: i32;
  segments: u32;
  segmentCount: i32;
  /** 1: what is written is not read. For whoever splits commands. */
  apart: i32;
}

@unmanaged
export class Gmm {
  op: i32;
  vectors: i32;
  length: i32;
  mixtures: i32;
  /** Scores per vector: states, or entries of the list. */
  rows: i32;
  features: u32;
  featurePitch: i32;
  means: u32;
  meanStride: u32;
  variances: u32;
  varianceStride: u32;
  varianceBytes: i32;
  constants: u32;
  constantStride: u32;
  maxScore: u32;
  list: u32;
  scores: u32;
  /** 1: what is written is not read. For whoever splits commands. */
  apart: i32;
}

@unmanaged
export class Move {
  op: i32;
  rows: i32;
  columns: i32;
  elementBytes: i32;
  input: u32;
  /** Elements; not used by transposes. */
  inputPitch: i32;
  output: u32;
  outputPitch: i32;
}
