// The lookup tables of SDP and CDP: checks a dla_lut_param and encodes its upload.
// Not shared state: which table is in a unit, and when it may change, is the engine's business.
import type { Register } from '../../base/registers.js';
import { LUT_BYTES, LutParam, Precision } from '../../hw/nvdla/index.js';
import type { Unit } from './hardware.js';
import type { Layer } from './layer.js';
import type { RegisterProgram } from './program.js';

const LE_ENTRIES = 65;
const LO_ENTRIES = 257;
const LINEAR = 1;

const at = LutParam.offsets;

/** A bound: SDP holds 32 bits, CDP 38 in two registers. */
export type Bound = readonly [low: Register, high?: Register];

export interface LutRegisters {
  readonly unit: { readonly base: number };
  readonly r: Pick<
    Unit<'SDP'>['r'],
    | 'S_LUT_ACCESS_CFG'
    | 'S_LUT_ACCESS_DATA'
    | 'S_LUT_CFG'
    | 'S_LUT_INFO'
    | 'S_LUT_LE_SLOPE_SCALE'
    | 'S_LUT_LE_SLOPE_SHIFT'
    | 'S_LUT_LO_SLOPE_SCALE'
    | 'S_LUT_LO_SLOPE_SHIFT'
  >;
  readonly bounds: {
    readonly leStart: Bound;
    readonly leEnd: Bound;
    readonly loStart: Bound;
    readonly loEnd: Bound;
  };
}

/** Appends the upload of table `index`. @throws AccelError EINVAL */
export function encodeLut(
  layer: Layer,
  index: number,
  precision: number,
  to: LutRegisters,
  out: RegisterProgram,
): void {
  layer.between('lut_index', index, 0, layer.lutCount - 1);
  const { view } = layer;
  const lut = layer.luts + index * LUT_BYTES;
  const { unit, r } = to;
  const method = layer.between('lut.method', view.getUint8(lut + at.method), 0, LINEAR);
  const hybrid = layer.between('lut.hybrid_priority', view.getUint8(lut + at.hybrid_priority), 0, 1);
  const uflow = layer.between('lut.underflow_priority', view.getUint8(lut + at.underflow_priority), 0, 1);
  const oflow = layer.between('lut.overflow_priority', view.getUint8(lut + at.overflow_priority), 0, 1);

  // Entries follow one another: the unit counts the address up at each write of ACCESS_DATA.
  const access = r.S_LUT_ACCESS_CFG.f;
  out.put(unit, r.S_LUT_ACCESS_CFG, access.LUT_ACCESS_TYPE.of(1));
  for (let i = 0; i < LE_ENTRIES; i++)
    out.put(unit, r.S_LUT_ACCESS_DATA, view.getUint16(lut + at.linear_exp_table + 2 * i, true));
  out.put(unit, r.S_LUT_ACCESS_CFG, access.LUT_TABLE_ID.of(1) | access.LUT_ACCESS_TYPE.of(1));
  for (let i = 0; i < LO_ENTRIES; i++)
    out.put(unit, r.S_LUT_ACCESS_DATA, view.getUint16(lut + at.linear_only_table + 2 * i, true));

  const cfg = r.S_LUT_CFG.f;
  out.put(
    unit,
    r.S_LUT_CFG,
    cfg.LUT_LE_FUNCTION.of(method) |
      cfg.LUT_HYBRID_PRIORITY.of(hybrid) |
      cfg.LUT_UFLOW_PRIORITY.of(uflow) |
      cfg.LUT_OFLOW_PRIORITY.of(oflow),
  );
  // One byte means the exponent's offset or the fraction's width, by method.
  const info = r.S_LUT_INFO.f;
  const le = view.getUint8(lut + at.linear_exp_offset);
  out.put(
    unit,
    r.S_LUT_INFO,
    (method === LINEAR ? info.LUT_LE_INDEX_SELECT : info.LUT_LE_INDEX_OFFSET).of(le) |
      info.LUT_LO_INDEX_SELECT.of(view.getUint8(lut + at.linear_only_offset)),
  );
  bound(view, lut + at.linear_exp_start, unit, to.bounds.leStart, out);
  bound(view, lut + at.linear_exp_end, unit, to.bounds.leEnd, out);
  bound(view, lut + at.linear_only_start, unit, to.bounds.loStart, out);
  bound(view, lut + at.linear_only_end, unit, to.bounds.loEnd, out);

  // fp16 slopes are the bits of a half and have no shift.
  const shifts = precision !== Precision.FP16;
  const leUnder = lut + at.linear_exp_underflow_slope;
  const leOver = lut + at.linear_exp_overflow_slope;
  out.put(
    unit,
    r.S_LUT_LE_SLOPE_SCALE,
    r.S_LUT_LE_SLOPE_SCALE.f.LUT_LE_SLOPE_UFLOW_SCALE.of(view.getUint16(leUnder, true)) |
      r.S_LUT_LE_SLOPE_SCALE.f.LUT_LE_SLOPE_OFLOW_SCALE.of(view.getUint16(leOver, true)),
  );
  if (shifts) {
    out.put(
      unit,
      r.S_LUT_LE_SLOPE_SHIFT,
      r.S_LUT_LE_SLOPE_SHIFT.f.LUT_LE_SLOPE_UFLOW_SHIFT.of(view.getUint8(leUnder + 2)) |
        r.S_LUT_LE_SLOPE_SHIFT.f.LUT_LE_SLOPE_OFLOW_SHIFT.of(view.getUint8(leOver + 2)),
    );
  }
  const loUnder = lut + at.linear_only_underflow_slope;
  const loOver = lut + at.linear_only_overflow_slope;
  out.put(
    unit,
    r.S_LUT_LO_SLOPE_SCALE,
    r.S_LUT_LO_SLOPE_SCALE.f.LUT_LO_SLOPE_UFLOW_SCALE.of(view.getUint16(loUnder, true)) |
      r.S_LUT_LO_SLOPE_SCALE.f.LUT_LO_SLOPE_OFLOW_SCALE.of(view.getUint16(loOver, true)),
  );
  if (shifts) {
    out.put(
      unit,
      r.S_LUT_LO_SLOPE_SHIFT,
      r.S_LUT_LO_SLOPE_SHIFT.f.LUT_LO_SLOPE_UFLOW_SHIFT.of(view.getUint8(loUnder + 2)) |
        r.S_LUT_LO_SLOPE_SHIFT.f.LUT_LO_SLOPE_OFLOW_SHIFT.of(view.getUint8(loOver + 2)),
    );
  }
}

function bound(
  view: DataView,
  from: number,
  unit: { readonly base: number },
  [low, high]: Bound,
  out: RegisterProgram,
): void {
  out.put(unit, low, view.getUint32(from, true));
  if (high !== undefined) out.put(unit, high, view.getUint32(from + 4, true));
}
