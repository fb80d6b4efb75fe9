// What the convolution buffer holds from one layer to the next: lines and kernels that were not released.
// Not the layer: plan/conv.ts. Not a copy in transit: what a layer leaves is written by the engine. Fact sheet section 1.5.
import type { ConvParams } from '../engine/conv-params.js';
import { rowBytes } from '../engine/conv-rows.js';
import { Refused, type Plan, type Units } from './plan.js';

/** What reuse compares: lines of another shape are of no use. */
type Shape = Pick<
  ConvParams,
  'precision' | 'image' | 'width' | 'channels' | 'winograd' | 'strideX' | 'strideY' | 'padLeft' | 'padTop'
>;

/** A layer's leavings. Addresses are the device's own memory. */
interface Left {
  /** Mode, format of data and banks: a layer in which one differs starts from an empty buffer. */
  readonly key: number;
  readonly skippedData: boolean;
  readonly skippedWeights: boolean;
  readonly lines?: {
    readonly shape: Shape;
    readonly area: number;
    readonly first: number;
    readonly count: number;
  };
  /** Lines stayed that nobody kept. */
  readonly lost: boolean;
  readonly weights?: { readonly area: number; readonly bytes: number; readonly compressed: boolean };
}

type Fields = Pick<ConvParams, 'rowsAddress' | 'rowsFrom' | 'rowsKept' | 'weightKeep' | 'height'>;

const nothing = { rowsAddress: 0, rowsFrom: 0, rowsKept: 0, weightKeep: 0 } as const;

export class ConvBuffer {
  #left: Left | undefined;
  /** Of the layer being planned. */
  #next: Left | undefined;
  readonly #allocated: number[] = [];
  readonly #allocate: (bytes: number) => number;
  readonly #free: (address: number) => void;
  /** What the layer that was planned last does not fetch. */
  skipped = { data: false, weights: false };

  constructor(memory: { allocate(bytes: number): number; free(address: number): void }) {
    this.#allocate = (bytes) => memory.allocate(bytes);
    this.#free = (address) => memory.free(address);
  }

  /** The armed layer takes from the buffer, or leaves something in it: what it is depends on more than its registers. */
  involved(units: Units): boolean {
    const { CDMA, CSC } = units;
    if (flags(CDMA) !== 0 || flags(CSC) !== 0) return true;
    return CSC.get('D_RELEASE', 'RLS_SLICES') < CSC.get('D_DATAIN_SIZE_EXT_0', 'DATAIN_HEIGHT_EXT');
  }

  /**
   * Where the layer's lines and kernels come from and stay: fields to put over `params`.
   * @throws Refused
   */
  plan(plan: Plan, params: ConvParams): Partial<ConvParams> {
    const { CDMA, CSC } = plan.units;
    const key = keyOf(plan.units);
    this.skipped = { data: false, weights: false };
    if (!this.involved(plan.units)) {
      this.#next = { key, skippedData: false, skippedWeights: false, lost: false };
      return nothing;
    }
    if (flags(CDMA) !== flags(CSC)) throw new Refused('CDMA and CSC differ in what is reused and released');
    const former = this.#left?.key === key ? this.#left : undefined;
    const skipsData = CDMA.get('D_MISC_CFG', 'SKIP_DATA_RLS') !== 0;
    const skipsWeights = CDMA.get('D_MISC_CFG', 'SKIP_WEIGHT_RLS') !== 0;
    const data = this.#planData(plan, params, former, skipsData);
    const kernels = this.#planWeights(plan, params, former, skipsWeights);
    this.#next = {
      key,
      skippedData: skipsData,
      skippedWeights: skipsWeights,
      lines: data.lines,
      lost: data.lost,
      weights: kernels.weights,
    };
    return { ...data.fields, ...kernels.fields };
  }

  /** The layer was handed to its engine: what it does not take over is given back when `plan` is. */
  settle(plan: Plan, units: Units): void {
    const next = this.#next ?? { key: keyOf(units), skippedData: false, skippedWeights: false, lost: false };
    const kept = [next.lines?.area, next.weights?.area];
    for (const area of [this.#left?.lines?.area, this.#left?.weights?.area, ...this.#allocated])
      if (area !== undefined && !kept.includes(area)) plan.adopt(area);
    this.#allocated.length = 0;
    if (this.#next === undefined) this.skipped = { data: false, weights: false };
    this.#left = next;
    this.#next = undefined;
  }

  /** The layer was refused. */
  abandon(): void {
    for (const area of this.#allocated.splice(0)) this.#free(area);
    this.#next = undefined;
  }

  reset(): void {
    this.abandon();
    for (const area of [this.#left?.lines?.area, this.#left?.weights?.area])
      if (area !== undefined) this.#free(area);
    this.#left = undefined;
  }

  #area(bytes: number): number {
    const area = this.#allocate(bytes);
    this.#allocated.push(area);
    return area;
  }

  #planData(
    plan: Plan,
    params: ConvParams,
    former: Left | undefined,
    skips: boolean,
  ): { fields: Partial<Fields>; lines?: Left['lines']; lost: boolean } {
    const { CDMA, CSC } = plan.units;
    const reuses = CDMA.get('D_MISC_CFG', 'DATA_REUSE') !== 0;
    if ((reuses || skips) && params.batches > 1) throw new Refused('CDMA: batches are not reused');
    const seen = CSC.get('D_DATAIN_SIZE_EXT_0', 'DATAIN_HEIGHT_EXT') + 1;
    const released = skips ? 0 : CSC.get('D_RELEASE', 'RLS_SLICES') + 1;
    if (reuses && former?.lost === true)
      throw new Refused(
        'CDMA: the former layer left lines that are not kept: part of a batch or of Winograd',
      );
    const kept = reuses ? former?.lines : undefined;
    const whole = kept !== undefined && former!.skippedData;
    if (kept !== undefined && !sameShape(kept.shape, params))
      throw new Refused('CDMA: the lines in the buffer are of another shape');
    if (kept !== undefined && params.winograd !== 0 && !whole)
      throw new Refused('CDMA: Winograd reuses all lines or none');
    const fetched = whole ? 0 : params.height;
    const held = (kept?.count ?? 0) + fetched;
    this.skipped.data = whole;
    // Winograd's lines are those of the extended cube, which padding and strides make.
    const expected = params.winograd === 0 ? seen : params.height;
    if (kept !== undefined && held !== expected)
      throw new Refused(`CSC: ${expected} lines are expected, the buffer holds ${held}`);
    const stays = params.winograd !== 0 ? (released < seen ? held : 0) : Math.max(0, held - released);
    const lost = stays > 0 && !skips && (params.batches > 1 || params.winograd !== 0);
    const bytes = rowBytes(params);
    if (kept === undefined && (stays === 0 || lost)) return { fields: nothing, lost };
    const { banks, bytesPerEntry, entriesPerBank } = plan.config.cbuf;
    const room = Math.min(banks, CDMA.get('D_BANK', 'DATA_BANK') + 1) * bytesPerEntry * entriesPerBank;
    const size = params.precision === 0 ? 1 : 2;
    if (held * params.width * params.channels * size > room) {
      if (!skips && kept === undefined) return { fields: nothing, lost: true };
      throw new Refused(`CDMA: ${held} lines that stay do not fit the data banks`);
    }
    const area = whole ? kept.area : this.#area(held * bytes);
    const first = whole ? kept.first : area;
    const shape = pick(params);
    return {
      fields: {
        height: held,
        rowsAddress: first,
        rowsFrom: whole ? 0 : (kept?.first ?? 0),
        rowsKept: kept?.count ?? 0,
      },
      lines: stays === 0 ? undefined : { shape, area, first: first + (held - stays) * bytes, count: stays },
      lost: false,
    };
  }

  #planWeights(
    plan: Plan,
    params: ConvParams,
    former: Left | undefined,
    skips: boolean,
  ): { fields: Partial<ConvParams>; weights?: Left['weights'] } {
    const { CDMA } = plan.units;
    const reuses = CDMA.get('D_MISC_CFG', 'WEIGHT_REUSE') !== 0;
    const compressed = CDMA.get('D_WEIGHT_FORMAT', 'WEIGHT_FORMAT') !== 0;
    if (reuses && former !== undefined && !former.skippedWeights)
      throw new Refused('CDMA: kernels that the former layer released are reused');
    const kept = reuses ? former?.weights : undefined;
    if (kept !== undefined) {
      if (kept.compressed !== compressed)
        throw new Refused('CDMA: kernels in the buffer are of another format');
      this.skipped.weights = true;
      const fields = { weightAddress: kept.area, weightBytes: kept.bytes };
      return { fields, weights: skips ? kept : undefined };
    }
    if (!skips) return { fields: {} };
    const bank = plan.config.cbuf.entriesPerBank * plan.config.cbuf.bytesPerEntry;
    if (params.weightBytes > (CDMA.get('D_BANK', 'WEIGHT_BANK') + 1) * bank)
      throw new Refused('CDMA: kernels that stay do not fit the weight banks');
    const elements = params.kernels * params.kernelWidth * params.kernelHeight * params.kernelChannels;
    const bytes = compressed ? elements * (params.precision === 0 ? 1 : 2) : params.weightBytes;
    const area = this.#area(bytes);
    return { fields: { weightKeep: area }, weights: { area, bytes, compressed } };
  }
}

function pick(params: ConvParams): Shape {
  const { precision, image, width, channels, winograd, strideX, strideY, padLeft, padTop } = params;
  // CSC's own strides and padding may change from layer to layer; Winograd's are in the buffer already.
  const made =
    winograd !== 0
      ? { strideX, strideY, padLeft, padTop }
      : { strideX: 0, strideY: 0, padLeft: 0, padTop: 0 };
  return { precision, image, width, channels, winograd, ...made };
}

function sameShape(shape: Shape, params: ConvParams): boolean {
  const own = pick(params);
  return (Object.keys(shape) as (keyof Shape)[]).every((name) => shape[name] === own[name]);
}

/** Reuse and skipped releases of CDMA or CSC. */
function flags(unit: Units['CDMA'] | Units['CSC']): number {
  const { D_MISC_CFG } = unit.table;
  const { DATA_REUSE, WEIGHT_REUSE, SKIP_DATA_RLS, SKIP_WEIGHT_RLS } = D_MISC_CFG.f;
  const mask = DATA_REUSE.mask | WEIGHT_REUSE.mask | SKIP_DATA_RLS.mask | SKIP_WEIGHT_RLS.mask;
  return unit.word(D_MISC_CFG) & mask;
}

function keyOf({ CDMA }: Units): number {
  const mode = CDMA.get('D_MISC_CFG', 'CONV_MODE') * 2 + CDMA.get('D_DATAIN_FORMAT', 'DATAIN_FORMAT');
  return CDMA.word(CDMA.table.D_BANK) * 4 + mode;
}
