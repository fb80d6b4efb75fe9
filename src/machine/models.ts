// All device models by name: a worker thread finds its engine here.
// Not boards: where a model sits and with which options is boards.ts.
import { gna } from '../devices/gna/index.js';
import { nullDevice } from '../devices/null/index.js';
import { nvdla } from '../devices/nvdla/index.js';
import type { DeviceModel } from '../bus/port.js';

export const models: readonly DeviceModel[] = [nvdla, gna, nullDevice];

export function modelByName(name: string): DeviceModel | undefined {
  return models.find((model) => model.name === name);
}
