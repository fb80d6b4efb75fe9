// The option objects of WebNN's graph builder, by their names in the specification.
// Not defaults: those are beside their use in builder.ts.
import type { MLOperand } from './operand.js';

export interface MLConv2dOptions {
  /** Begin and end of the height, begin and end of the width. Default 0. */
  readonly padding?: readonly number[];
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly groups?: number;
  readonly inputLayout?: 'nchw' | 'nhwc';
  readonly filterLayout?: 'oihw' | 'hwio' | 'ohwi' | 'ihwo';
  readonly bias?: MLOperand;
}

export interface MLConvTranspose2dOptions extends Omit<MLConv2dOptions, 'filterLayout'> {
  readonly outputPadding?: readonly number[];
  readonly outputSizes?: readonly number[];
  readonly filterLayout?: 'iohw' | 'hwoi' | 'ohwi';
}

export interface MLPool2dOptions {
  /** Default: the whole height and width. */
  readonly windowDimensions?: readonly number[];
  readonly padding?: readonly number[];
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly layout?: 'nchw' | 'nhwc';
  /** Ignored when `outputSizes` is given. */
  readonly outputShapeRounding?: 'floor' | 'ceil';
  /** Height and width of the output: one of the two that rounding gives. */
  readonly outputSizes?: readonly number[];
}

export interface MLGemmOptions {
  readonly c?: MLOperand;
  readonly alpha?: number;
  readonly beta?: number;
  readonly aTranspose?: boolean;
  readonly bTranspose?: boolean;
}

export interface MLClampOptions {
  readonly minValue?: number | bigint;
  readonly maxValue?: number | bigint;
}

export interface MLReduceOptions {
  readonly axes?: readonly number[];
  readonly keepDimensions?: boolean;
}

export interface MLArgMinMaxOptions {
  readonly keepDimensions?: boolean;
  readonly outputDataType?: 'int32' | 'int64';
}

export interface MLBatchNormalizationOptions {
  readonly scale?: MLOperand;
  readonly bias?: MLOperand;
  readonly axis?: number;
  readonly epsilon?: number;
}

export interface MLInstanceNormalizationOptions {
  readonly scale?: MLOperand;
  readonly bias?: MLOperand;
  readonly epsilon?: number;
  readonly layout?: 'nchw' | 'nhwc';
}

export interface MLLayerNormalizationOptions {
  /** Of the sizes of `axes`, in their order. */
  readonly scale?: MLOperand;
  readonly bias?: MLOperand;
  /** Default: all but the first. */
  readonly axes?: readonly number[];
  readonly epsilon?: number;
}

export interface MLPadOptions {
  readonly mode?: 'constant' | 'edge' | 'reflection';
  readonly value?: number;
}

export interface MLResample2dOptions {
  readonly mode?: 'nearest-neighbor' | 'linear';
  readonly scales?: readonly number[];
  readonly sizes?: readonly number[];
  /** The two axes that are resized. Default 2 and 3. */
  readonly axes?: readonly number[];
}
