// A sum of products at every place of a grid: the windows of a convolution, the rows of a product, as hardware layers.
// Not operators: linear.ts says which elements a window has.
//
// An input window is a list of places in memory from its first element on, whatever lies between them: zero weights meet that. So a
// window over lines, over padded borders, or over channels that lie apart is one filter of a 1D convolution, as long as it spans no more
// than 768 elements. Operands begin on 64 bytes: a window that does not is begun earlier, with zero weights in front.
import { nameOf, type Node, nodeError } from '../../ir/index.js';
import type { Blob, Constants } from './layers.js';
import { blob, compoundBlob, int32Blob, type Lowering, type Margins, noMargins } from './lowering.js';
import {
  align,
  ALIGN,
  ELEMENT_STEP,
  ELEMENTS_MAX,
  FILTER_SIZE_MAX,
  FILTERS_MAX,
  hasConvolution,
  POOL_MAX,
} from './limits.js';
import { INT16_MAX, type Table, tableBytes } from './pwl.js';
import type { Linear, Quantities } from './scale.js';
import type { At, Dim, Plane, View } from './view.js';

/** Where the elements of a filter's window lie, from the window's first element on. */
export interface Taps {
  /** Place of weight `i` of filter `f`. */
  place(f: number, i: number): number;
  /** Elements from the first to the last of all filters' windows. */
  readonly span: number;
}

/** Windows `step` elements apart. */
export interface Run {
  readonly count: number;
  readonly step: number;
}

export interface Grid {
  readonly rows: Run;
  readonly columns: Run;
}

/** Maximum over neighbouring columns, in one layer with the sums. */
export interface Pooling {
  readonly window: number;
  readonly stride: number;
  readonly outputs: number;
}

export interface Windows {
  readonly node: Node;
  readonly linear: Linear;
  readonly quantities: Quantities;
  readonly taps: Taps;
  readonly input: At;
  readonly grid: Grid;
  readonly pool?: Pooling;
  /** Zeros that the users of the result want around it. */
  readonly margins?: Margins;
  /** Multiply-accumulates that the model asks for. */
  readonly macs: number;
}

/** Where the results lie: result (row, column, filter) is at offset + row * line + column * pitch + filter. */
export interface Results {
  readonly plane: Plane;
  readonly offset: number;
  readonly line: number;
  readonly pitch: number;
  /** Zeros that really are around the results. */
  readonly margins: Margins;
}

/** Most layers of one operator when each makes the results of one place. */
const PLACES_MAX = 2048;

/** Whether windows of this span fit a filter, wherever they begin. */
export function fitsFilter(span: number): boolean {
  return align(span + ALIGN - 1, ELEMENT_STEP) <= FILTER_SIZE_MAX;
}

/** Adds the layers. @throws CompileError EOPNOTSUPP with the limit that does not let it */
export function addWindows(lowering: Lowering, windows: Windows): Results {
  const { node, linear, grid, taps, pool } = windows;
  const places = grid.rows.count * grid.columns.count;
  const filters = align(linear.filters, ELEMENT_STEP);
  if (places === 1) return addPlaces(lowering, windows);
  if (hasConvolution(lowering.config) && fitsFilter(taps.span) && filters <= FILTERS_MAX)
    return addLines(lowering, windows, filters);
  if (pool !== undefined)
    throw nodeError(
      node,
      'EOPNOTSUPP',
      `a pooled window of ${taps.span} elements, at most ${FILTER_SIZE_MAX}`,
    );
  if (places > PLACES_MAX)
    throw nodeError(
      node,
      'EOPNOTSUPP',
      hasConvolution(lowering.config)
        ? `its windows span ${taps.span} elements, filters have at most ${FILTER_SIZE_MAX}; ${places} affine layers are too many`
        : `GNA ${lowering.config.generation} has no convolution; ${places} affine layers are too many`,
    );
  return addPlaces(lowering, windows);
}

/** An affine layer per place. */
function addPlaces(lowering: Lowering, windows: Windows): Results {
  const { node, linear, quantities, taps, input, grid, macs } = windows;
  const places = grid.rows.count * grid.columns.count;
  const { filters } = linear;
  const margins = windows.margins ?? noMargins;
  const results = resultPlane(lowering, node, grid, places === 1 ? filters : align(filters, ALIGN), margins);
  const rows = new Rows(windows, filters, true);
  for (let y = 0; y < grid.rows.count; y++)
    for (let x = 0; x < grid.columns.count; x++) {
      const { at, lead } = aligned(input, y * grid.rows.step + x * grid.columns.step);
      const inputs = align(lead + taps.span, ELEMENT_STEP);
      if (inputs > ELEMENTS_MAX)
        throw nodeError(node, 'EOPNOTSUPP', `its input spans ${inputs} elements, at most ${ELEMENTS_MAX}`);
      lowering.add({
        kind: 'affine',
        nodes: [nameOf(node)],
        input: at,
        output: { plane: results.plane, offset: results.offset + y * results.line + x * results.pitch },
        inputs,
        outputs: filters,
        ...rows.constants(lead, inputs),
        macs: macs / places,
        hardwareMacs: inputs * filters,
        detail: { ...quantities.detail, weightBits: rows.bits },
      });
    }
  return results;
}

/** A 1D convolution per line; all lines in one where they follow each other without a gap. */
function addLines(lowering: Lowering, windows: Windows, filters: number): Results {
  const { node, quantities, taps, input, pool, macs } = windows;
  let { rows, columns } = windows.grid;
  const asked = windows.margins ?? noMargins;
  const size = align(taps.span, ELEMENT_STEP);
  const plain = Object.values(asked).every((margin) => margin === 0) && pool === undefined;
  const gapless = rows.count === 1 || rows.step === columns.count * columns.step;
  const reach = size + ALIGN + (rows.count * columns.count - 1) * columns.step;
  const joined = plain && rows.count > 1 && gapless && reach <= ELEMENTS_MAX;
  if (joined) {
    columns = { count: rows.count * columns.count, step: columns.step };
    rows = { count: 1, step: 0 };
  }
  if (columns.count === 1) columns = { count: 1, step: ELEMENT_STEP };
  if (columns.step === 0 || columns.step > 65535)
    throw nodeError(node, 'EOPNOTSUPP', `windows ${columns.step} elements apart`);
  // A line's inputs come in eights: where windows are less than that apart, there may be more results than wanted.
  const positions = Math.floor(align((columns.count - 1) * columns.step, ELEMENT_STEP) / columns.step) + 1;
  const outputs = pool === undefined ? positions : pooledOutputs(lowering, node, positions, pool);
  const spill = outputs - (pool?.outputs ?? columns.count);
  const margins = spill > 0 ? { ...asked, right: 0 } : asked;
  const grid = { rows, columns: { count: pool?.outputs ?? columns.count, step: columns.step } };
  const results = resultPlane(lowering, node, grid, filters, margins, spill);
  const constants = new Rows(windows, filters, false);
  for (let y = 0; y < rows.count; y++) {
    const { at, lead } = aligned(input, y * rows.step);
    const filterSize = align(lead + taps.span, ELEMENT_STEP);
    const inputs = align(filterSize + (columns.count - 1) * columns.step, ELEMENT_STEP);
    if (inputs > ELEMENTS_MAX)
      throw nodeError(node, 'EOPNOTSUPP', `a line of ${inputs} elements, at most ${ELEMENTS_MAX}`);
    lowering.add({
      kind: 'conv1d',
      nodes: [nameOf(node)],
      input: at,
      output: { plane: results.plane, offset: results.offset + y * results.line },
      inputs,
      filters,
      size: filterSize,
      stride: columns.step,
      positions,
      outputs,
      ...(pool === undefined ? {} : { pool: { method: 'max', window: pool.window, stride: pool.stride } }),
      ...constants.constants(lead, filterSize),
      macs: macs / rows.count,
      hardwareMacs: positions * filters * filterSize,
      detail: { ...quantities.detail, filter: filterSize },
    });
  }
  if (!joined) return results;
  const { count } = windows.grid.columns;
  return { ...results, line: count * results.pitch };
}

/** Results of pooling that the hardware makes: before 3.0 a window begins at every stride, 3.0 leaves out covered ones. */
function pooledOutputs(lowering: Lowering, node: Node, positions: number, pool: Pooling): number {
  const { window, stride, outputs } = pool;
  if (window > POOL_MAX || stride > POOL_MAX)
    throw nodeError(node, 'EOPNOTSUPP', `pooling windows and strides are at most ${POOL_MAX}`);
  const made = lowering.config.format3
    ? Math.ceil((positions - window) / stride) + 1
    : Math.floor((positions - 1) / stride) + 1;
  if (made < outputs)
    throw nodeError(node, 'EOPNOTSUPP', `${made} results of pooling, ${outputs} are wanted`);
  return made;
}

/** The place `from` elements on, begun on 64 bytes, and how many elements earlier that is. */
function aligned({ plane, offset }: At, from: number): { at: At; lead: number } {
  const place = offset + from;
  const lead = ((place % ALIGN) + ALIGN) % ALIGN;
  return { at: { plane, offset: place - lead }, lead };
}

/** A plane for the results. Lines begin on 64 bytes when there is more than one. */
function resultPlane(
  lowering: Lowering,
  node: Node,
  { rows, columns }: Grid,
  pitch: number,
  margins: Margins,
  spill = 0,
): Results {
  const before = align(margins.left * pitch, ALIGN);
  const length = before + (columns.count + spill + margins.right) * pitch;
  const line = rows.count + margins.top + margins.bottom === 1 ? length : align(length, ALIGN);
  // Layers that read lines in eights, or kernels' lines at once, go a little further.
  const elements = line * (rows.count + margins.top + margins.bottom + 1) + ALIGN;
  return {
    plane: lowering.plane(node, elements),
    offset: margins.top * line + before,
    line,
    pitch,
    margins,
  };
}

type Weighted = Pick<Windows, 'linear' | 'quantities' | 'taps'>;

/** Weights of all filters behind each other, as they meet an input that begins `lead` elements early. */
export class Rows {
  readonly #windows: Weighted;
  readonly #filters: number;
  readonly #narrow: boolean;
  readonly #bias: Blob;
  readonly #segments: Blob;
  readonly #byLead = new Map<number, Constants>();

  /** `narrow`: 8-bit weights where they are exact. */
  constructor(windows: Weighted, filters: number, narrow: boolean) {
    const { quantities } = windows;
    this.#windows = windows;
    this.#filters = filters;
    this.#narrow = narrow && quantities.multiplier !== undefined;
    const bias = new Int32Array(filters);
    bias.set(quantities.bias);
    this.#bias = this.#narrow ? compoundBlob(bias, quantities.multiplier!) : int32Blob(bias);
    this.#segments = segmentsBlob(quantities.table);
  }

  get bits(): number {
    return this.#narrow ? 8 : 16;
  }

  constants(lead: number, length: number): Constants {
    let known = this.#byLead.get(lead);
    if (known === undefined) {
      const weightBytes = this.#narrow ? 1 : 2;
      known = {
        weightBytes,
        weights: blob(this.#filters * length * weightBytes, () => this.#make(lead, length)),
        bias: this.#bias,
        segments: this.#segments,
        segmentCount: this.#windows.quantities.table.length,
      };
      this.#byLead.set(lead, known);
    }
    return known;
  }

  #make(lead: number, length: number): Uint8Array {
    const { linear, quantities, taps } = this.#windows;
    const { filters, inner, weights } = linear;
    const narrow = this.#narrow;
    const rows = narrow ? new Int8Array(this.#filters * length) : new Int16Array(this.#filters * length);
    for (let f = 0; f < filters; f++) {
      const factor = narrow ? 1 : quantities.factor[f]!;
      const base = f * length + lead;
      // What rounding takes from one weight the next one gets: inputs that are alike next to each other cancel it.
      let rest = 0;
      for (let i = 0; i < inner; i++) {
        const wanted = weights[f * inner + i]! * factor + rest;
        const rounded = Math.max(-INT16_MAX, Math.min(INT16_MAX, Math.round(wanted)));
        rows[base + taps.place(f, i)] = rounded;
        rest = wanted - rounded;
      }
    }
    return new Uint8Array(rows.buffer);
  }
}

export function segmentsBlob(table: Table): Blob {
  const bytes = tableBytes(table);
  return blob(bytes.length, () => bytes);
}

/** The results as a view of a tensor whose row-major strides of filter, row and column are given. */
export function viewOf(
  results: Results,
  stored: View['stored'],
  sizes: { filters: number; rows: number; columns: number },
  tensor: { filter: number; row: number; column: number },
): View {
  const { plane, offset, line, pitch, margins } = results;
  const dims: Dim[] = [
    { size: sizes.filters, tensor: tensor.filter, memory: 1, before: 0, after: 0 },
    { size: sizes.rows, tensor: tensor.row, memory: line, before: margins.top, after: margins.bottom },
    { size: sizes.columns, tensor: tensor.column, memory: pitch, before: margins.left, after: margins.right },
  ];
  return { plane, offset, dims, stored };
}
