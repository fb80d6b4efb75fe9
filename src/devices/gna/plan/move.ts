// Plans of layers that move elements: copy, interleave, deinterleave. Section 5.9.
// Not arithmetic.
import { LayerDescriptor, LayerOp } from '../../../hw/gna/descriptors.js';
import { parameterFault } from '../fault.js';
import type { LayerPlan, LayerSource } from './plan.js';
import { inputBytesOf, viewOf } from './precision.js';

export function planCopy({ config, bytes }: LayerSource): LayerPlan {
  const layer = LayerDescriptor.view(viewOf(bytes));
  const elementBytes = inputBytesOf(config, layer.flags);
  const { groups: rows, list_length: columns, inputs: inputPitch, outputs: outputPitch } = layer;
  if (rows === 0 || columns === 0) throw parameterFault('a copy of nothing');
  const span = (pitch: number): number => ((rows - 1) * pitch + columns) * elementBytes;
  return {
    operation: 'copy',
    values: { rows, columns, elementBytes, inputPitch, outputPitch },
    operands: [
      { field: 'input', va: layer.input, bytes: span(inputPitch), access: 'read' },
      { field: 'output', va: layer.output, bytes: span(outputPitch), access: 'write' },
    ],
    macs: 0,
    inputBytes: elementBytes,
  };
}

export function planTranspose({ config, bytes }: LayerSource): LayerPlan {
  const layer = LayerDescriptor.view(viewOf(bytes));
  const elementBytes = inputBytesOf(config, layer.flags);
  const { inputs, groups } = layer;
  if (inputs === 0 || groups === 0) throw parameterFault('a transpose of nothing');
  const interleave = layer.op === LayerOp.INTERLEAVE;
  const total = inputs * groups * elementBytes;
  return {
    operation: 'transpose',
    values: {
      rows: interleave ? groups : inputs,
      columns: interleave ? inputs : groups,
      elementBytes,
      inputPitch: 0,
      outputPitch: 0,
    },
    operands: [
      { field: 'input', va: layer.input, bytes: total, access: 'read' },
      { field: 'output', va: layer.output, bytes: total, access: 'write' },
    ],
    macs: 0,
    inputBytes: elementBytes,
  };
}
