// Reads the look-up registers of SDP and CDP into the block of a command. Fact sheet sections 1.5, 2.5, 2.7.
// Not the tables' contents: lut.ts in the folder above.
import type { Lut } from '../engine/command.js';
import type { Plan } from './plan.js';

/** The table of SDP's stage Y. */
export function sdpLut(plan: Plan): Lut {
  const { SDP } = plan.units;
  const { table } = SDP;
  const wide = (register: 'S_LUT_LE_START' | 'S_LUT_LE_END' | 'S_LUT_LO_START' | 'S_LUT_LO_END'): number =>
    SDP.word(table[register]);
  return {
    tables: plan.luts.sdp.address,
    ...indexing(SDP),
    leStartHigh: wide('S_LUT_LE_START') >> 31,
    leStart: wide('S_LUT_LE_START'),
    leEndHigh: wide('S_LUT_LE_END') >> 31,
    leEnd: wide('S_LUT_LE_END'),
    loStartHigh: wide('S_LUT_LO_START') >> 31,
    loStart: wide('S_LUT_LO_START'),
    loEndHigh: wide('S_LUT_LO_END') >> 31,
    loEnd: wide('S_LUT_LO_END'),
  };
}

/** The table of CDP: starts and ends have 38 bits. */
export function cdpLut(plan: Plan): Lut {
  const { CDP } = plan.units;
  const { table } = CDP;
  return {
    tables: plan.luts.cdp.address,
    ...indexing(CDP),
    leStartHigh: CDP.signed('S_LUT_LE_START_HIGH', 'LUT_LE_START_HIGH'),
    leStart: CDP.word(table.S_LUT_LE_START_LOW),
    leEndHigh: CDP.signed('S_LUT_LE_END_HIGH', 'LUT_LE_END_HIGH'),
    leEnd: CDP.word(table.S_LUT_LE_END_LOW),
    loStartHigh: CDP.signed('S_LUT_LO_START_HIGH', 'LUT_LO_START_HIGH'),
    loStart: CDP.word(table.S_LUT_LO_START_LOW),
    loEndHigh: CDP.signed('S_LUT_LO_END_HIGH', 'LUT_LO_END_HIGH'),
    loEnd: CDP.word(table.S_LUT_LO_END_LOW),
  };
}

type Bounds =
  | 'tables'
  | 'leStartHigh'
  | 'leStart'
  | 'leEndHigh'
  | 'leEnd'
  | 'loStartHigh'
  | 'loStart'
  | 'loEndHigh'
  | 'loEnd';

/** What the two units have at the same fields. */
function indexing(unit: Plan['units']['SDP'] | Plan['units']['CDP']): Omit<Lut, Bounds> {
  const of = unit as Plan['units']['SDP'];
  return {
    // LE_FUNCTION 0 is the exponential index.
    exponential: of.get('S_LUT_CFG', 'LUT_LE_FUNCTION') === 0 ? 1 : 0,
    underflowPriority: of.get('S_LUT_CFG', 'LUT_UFLOW_PRIORITY'),
    overflowPriority: of.get('S_LUT_CFG', 'LUT_OFLOW_PRIORITY'),
    hybridPriority: of.get('S_LUT_CFG', 'LUT_HYBRID_PRIORITY'),
    leOffset: of.signed('S_LUT_INFO', 'LUT_LE_INDEX_OFFSET'),
    leSelect: of.signed('S_LUT_INFO', 'LUT_LE_INDEX_SELECT'),
    loSelect: of.signed('S_LUT_INFO', 'LUT_LO_INDEX_SELECT'),
    leUnderflowScale: of.signed('S_LUT_LE_SLOPE_SCALE', 'LUT_LE_SLOPE_UFLOW_SCALE'),
    leUnderflowShift: of.signed('S_LUT_LE_SLOPE_SHIFT', 'LUT_LE_SLOPE_UFLOW_SHIFT'),
    leOverflowScale: of.signed('S_LUT_LE_SLOPE_SCALE', 'LUT_LE_SLOPE_OFLOW_SCALE'),
    leOverflowShift: of.signed('S_LUT_LE_SLOPE_SHIFT', 'LUT_LE_SLOPE_OFLOW_SHIFT'),
    loUnderflowScale: of.signed('S_LUT_LO_SLOPE_SCALE', 'LUT_LO_SLOPE_UFLOW_SCALE'),
    loUnderflowShift: of.signed('S_LUT_LO_SLOPE_SHIFT', 'LUT_LO_SLOPE_UFLOW_SHIFT'),
    loOverflowScale: of.signed('S_LUT_LO_SLOPE_SCALE', 'LUT_LO_SLOPE_OFLOW_SCALE'),
    loOverflowShift: of.signed('S_LUT_LO_SLOPE_SHIFT', 'LUT_LO_SLOPE_OFLOW_SHIFT'),
  };
}
