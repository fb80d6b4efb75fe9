// Plans of affine, active list, multibias, diagonal and recurrent layers. Sections 4 and 5.1 to 5.5.
// Not arithmetic: chunk lengths are decided here, what happens at their ends in kernels/gna/affine.ts.
import { inputBufferElements } from '../../../hw/gna/config.js';
import { LayerDescriptor, LayerOp, PwlSegment } from '../../../hw/gna/descriptors.js';
import type { ValueOf } from '../../../base/struct.js';
import { parameterFault } from '../fault.js';
import type { Operand } from '../mmu.js';
import type { LayerPlan, LayerSource } from './plan.js';
import { precisionOf, segmentsOf, viewOf, type Precision } from './precision.js';

type Layer = ValueOf<typeof LayerDescriptor>;

/** Bytes of a bias entry with multiplier, and of a weight scale record; the multiplier's place in both. */
const RECORD_BYTES = 8;
const MULTIPLIER_AT = 4;

/** Inputs come eight at a time. */
const INPUT_STEP = 8;
const GROUPS_MAX = 8;
const RECURRENT_OUTPUT_STEP = 32;

interface Common {
  readonly layer: Layer;
  readonly precision: Precision;
  readonly operands: Operand[];
  readonly values: Record<string, number>;
}

function common(source: LayerSource): Common {
  const { config, bytes } = source;
  const layer = LayerDescriptor.view(viewOf(bytes));
  if (config.format3 && layer.bias_flags & 0xf8) {
    throw parameterFault('external bias or threshold: embedded parts only');
  }
  const precision = precisionOf(config, layer.flags, layer.bias_flags);
  if (layer.outputs === 0) throw parameterFault('no outputs');
  const values: Record<string, number> = {
    inputs: layer.inputs,
    outputs: layer.outputs,
    inputBytes: precision.inputBytes,
    weightBytes: precision.weightBytes,
    bias: 0,
    biasBytes: precision.biasBytes,
    biasStride: precision.compound ? RECORD_BYTES : precision.biasBytes,
    scale: 0,
    list: 0,
    outputBytes: precision.outputBytes,
    segments: 0,
    segmentCount: 0,
  };
  const operands: Operand[] = [];
  if (precision.outputBytes > 0) {
    const count = segmentsOf(config, layer.pwl_segments);
    values['segmentCount'] = count;
    operands.push({ field: 'segments', va: layer.pwl, bytes: count * PwlSegment.size, access: 'read' });
  }
  return { layer, precision, operands, values };
}

/** Biases of rows 0 to rows - 1: one column, with multipliers where 8-bit weights meet 16-bit inputs. */
function addBias({ layer, precision, operands, values }: Common, rows: number): void {
  const scaled = precision.weightBytes === 1 && precision.inputBytes === 2;
  if (scaled !== precision.compound) throw parameterFault('multipliers go with 8-bit weights, 16-bit inputs');
  const { biasBytes } = precision;
  if (biasBytes > 0) {
    const bytes = (rows - 1) * values['biasStride']! + biasBytes;
    operands.push({ field: 'bias', va: layer.bias, bytes, access: 'read' });
  }
  if (scaled) addScale(operands, layer.bias, rows);
}

function addScale(operands: Operand[], records: number, rows: number): void {
  const bytes = (rows - 1) * RECORD_BYTES + 1;
  operands.push({ field: 'scale', va: records + MULTIPLIER_AT, bytes, access: 'read' });
}

/** One column of an array of bias vectors. Section 5.4. */
function addMultibias({ layer, precision, operands, values }: Common, legacy: boolean): void {
  const vectors = layer.list_length;
  const index = layer.vector_index;
  if (index >= vectors) throw parameterFault(`bias vector ${index} of ${vectors}`);
  // Before 3.0 the weight size alone decides on multipliers, which lie apart from the biases here.
  const biasBytes = legacy ? 4 : precision.biasBytes;
  if (biasBytes === 0 || (!legacy && precision.compound)) throw parameterFault('bias precision of multibias');
  values['biasBytes'] = biasBytes;
  values['biasStride'] = vectors * biasBytes;
  operands.push({
    field: 'bias',
    va: layer.active_list + index * biasBytes,
    bytes: (layer.outputs - 1) * vectors * biasBytes + biasBytes,
    access: 'read',
  });
  if (precision.weightBytes === 1 && precision.inputBytes === 2) {
    addScale(operands, layer.bias, layer.outputs);
  }
}

/** Results: activated elements, or int32 sums at their own address. */
function addOutput({ layer, precision, operands }: Common, count: number): void {
  const activated = precision.outputBytes > 0;
  const va = activated ? layer.output : layer.sum;
  const bytes = count * (activated ? precision.outputBytes : 4);
  operands.push({ field: 'output', va, bytes, access: 'write' });
}

function checkGroups(layer: Layer): void {
  if (layer.groups < 1 || layer.groups > GROUPS_MAX) throw parameterFault(`${layer.groups} groups`);
}

function checkInputs(layer: Layer): void {
  if (layer.inputs === 0 || layer.inputs % INPUT_STEP !== 0) throw parameterFault(`${layer.inputs} inputs`);
}

/** Inputs after which sums saturate: 8-bit inputs with 16-bit weights count as 16-bit ones. Section 6. */
function chunkOf(source: LayerSource, { weightBytes, inputBytes }: Precision, groups: number): number {
  const bytes = weightBytes === 1 && inputBytes === 1 ? 1 : 2;
  return Math.floor(inputBufferElements(source.config.format3, groups, bytes) / groups);
}

export function planAffine(source: LayerSource): LayerPlan {
  const parts = common(source);
  const { layer, precision, operands, values } = parts;
  checkGroups(layer);
  checkInputs(layer);
  const { inputs, groups } = layer;
  let rows = layer.outputs;
  let results = rows;
  if (layer.op === LayerOp.AFFINE_ACTIVE_LIST) {
    results = layer.list_length;
    if (results === 0) throw parameterFault('empty active list');
    if (precision.biasBytes !== 4) throw parameterFault('active lists go with 32-bit biases');
    rows = source.largest(layer.active_list, results) + 1;
    values['outputs'] = results;
    operands.push({ field: 'list', va: layer.active_list, bytes: results * 4, access: 'read' });
  }
  if (layer.op === LayerOp.AFFINE_MULTIBIAS) addMultibias(parts, !source.config.format3);
  else addBias(parts, rows);
  const rowBytes = inputs * precision.weightBytes;
  operands.push(
    { field: 'input', va: layer.input, bytes: inputs * groups * precision.inputBytes, access: 'read' },
    { field: 'weights', va: layer.weights, bytes: rows * rowBytes, access: 'read' },
  );
  addOutput(parts, results * groups);
  values['groups'] = groups;
  values['chunk'] = chunkOf(source, precision, groups);
  const macs = results * inputs * groups;
  return { operation: 'affine', values, operands, macs, inputBytes: precision.inputBytes };
}

export function planDiagonal(source: LayerSource): LayerPlan {
  const parts = common(source);
  const { layer, precision, operands, values } = parts;
  checkGroups(layer);
  const { outputs, groups } = layer;
  addBias(parts, outputs);
  operands.push(
    { field: 'input', va: layer.input, bytes: outputs * groups * precision.inputBytes, access: 'read' },
    { field: 'weights', va: layer.weights, bytes: outputs * precision.weightBytes, access: 'read' },
  );
  addOutput(parts, outputs * groups);
  values['groups'] = groups;
  values['chunk'] = 0;
  return {
    operation: 'diagonal',
    values,
    operands,
    macs: outputs * groups,
    inputBytes: precision.inputBytes,
  };
}

export function planRecurrent(source: LayerSource): LayerPlan {
  const parts = common(source);
  const { layer, precision, operands, values } = parts;
  checkGroups(layer);
  checkInputs(layer);
  const { inputs, outputs, groups } = layer;
  const { outputBytes } = precision;
  if (outputBytes === 0) throw parameterFault('a recurrent layer needs an activation');
  if (outputBytes === 4) throw parameterFault('32-bit feedback');
  if (outputs % RECURRENT_OUTPUT_STEP !== 0) throw parameterFault(`${outputs} outputs of a recurrent layer`);
  addBias(parts, outputs);
  const all = outputs * groups * outputBytes;
  operands.push(
    { field: 'input', va: layer.input, bytes: inputs * groups * precision.inputBytes, access: 'read' },
    {
      field: 'weights',
      va: layer.weights,
      bytes: outputs * (inputs + outputs) * precision.weightBytes,
      access: 'read',
    },
    { field: 'feedback', va: layer.feedback, bytes: all, access: 'read' },
  );
  addOutput(parts, outputs * groups);
  values['vectors'] = groups;
  values['chunk'] = chunkOf(source, precision, 1);
  return {
    operation: 'recurrent',
    values,
    operands,
    macs: groups * outputs * (inputs + outputs),
    inputBytes: precision.inputBytes,
  };
}
