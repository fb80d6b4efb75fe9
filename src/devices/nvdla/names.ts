// Registers and interrupts of a configuration by the names that register traces use.
// Not storage: offsets and bits only.
import { AccelError } from '../../base/errors.js';
import type { Register } from '../../base/registers.js';
import {
  configs,
  interruptBit,
  registerMaps,
  type ConfigName,
  type UnitName,
} from '../../hw/nvdla/config.js';

/** What a trace needs to know about a configuration. */
export interface TraceNames {
  /** Byte offset in the CSB window of `NVDLA_SDP.D_STATUS_0`. @throws AccelError EINVAL unknown name */
  offset(name: string): number;
  /** Bits of GLB S_INTR_STATUS that `SDP_0`, `CDMA_DAT_1` ... stand for. @throws AccelError EINVAL unknown name */
  interrupt(name: string): number;
  /** Byte offset of GLB S_INTR_STATUS. */
  readonly interruptStatus: number;
}

/** @throws AccelError EINVAL for a configuration that does not exist */
export function traceNames(configName: string): TraceNames {
  if (!Object.hasOwn(configs, configName)) {
    throw new AccelError('EINVAL', { field: 'config', reason: `${configName} is no NVDLA configuration` });
  }
  const map = registerMaps[configs[configName as ConfigName].family];
  const glb = map.base.GLB ?? 0;
  return {
    offset(name) {
      const match = /^NVDLA_(\w+)\.(\w+)_0$/.exec(name);
      const unit = match?.[1] as UnitName;
      const base = match === null || !Object.hasOwn(map.base, unit) ? undefined : map.base[unit];
      const table = map.units[unit] as Readonly<Record<string, Register>> | undefined;
      const register = table === undefined ? undefined : table[match?.[2] ?? ''];
      if (base === undefined || register === undefined) {
        throw new AccelError('EINVAL', { field: name, reason: `no such register in ${configName}` });
      }
      return base + register.at;
    },
    interrupt(name) {
      const match = /^(\w+)_([01])$/.exec(name.toUpperCase());
      const unit = match?.[1] ?? '';
      if (match === null || !Object.hasOwn(interruptBit, unit)) {
        throw new AccelError('EINVAL', { field: name, reason: 'no such interrupt' });
      }
      return 1 << (interruptBit[unit as keyof typeof interruptBit] + Number(match[2]));
    },
    interruptStatus: glb + map.units.GLB.S_INTR_STATUS.at,
  };
}
