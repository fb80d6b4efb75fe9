// The thread of one engine: takes commands from its ring, executes them, reports. Started by worker-engines.ts.
// Not a server of several engines: each hardware unit has its own thread.
import { workerData } from 'node:worker_threads';
import { createEngine } from '../machine/engines.js';
import { modelByName } from '../machine/models.js';
import type { DeviceModel } from '../bus/port.js';
import type { SystemMemory } from '../base/memory.js';
import type { WasmMemory, WasmModule } from '../base/wasm.js';
import { EngineRing } from './engine-ring.js';

export interface EngineWorkerData {
  readonly model: string;
  /** Module of a model that is not ours. */
  readonly url: string | undefined;
  readonly name: string;
  readonly memory: WasmMemory;
  readonly module: WasmModule | undefined;
  readonly scratch: { readonly address: number; readonly bytes: number };
  readonly ring: SharedArrayBuffer;
}

const data = workerData as EngineWorkerData;
const model = await findModel();
const ring = new EngineRing(data.ring);
// An engine sees the memory only: the rest of SystemMemory stays in the core's thread.
const memory = { memory: data.memory } as SystemMemory;
const engine = createEngine({ model, name: data.name, memory, scratch: data.scratch }, data.module);

async function findModel(): Promise<DeviceModel> {
  if (data.url !== undefined) return ((await import(data.url)) as { model: DeviceModel }).model;
  const found = modelByName(data.model);
  if (found === undefined) throw new Error(`no model ${data.model}`);
  return found;
}

for (;;) {
  ring.waitForCommand();
  if (ring.stopped) break;
  const at = ring.completed;
  if (!ring.aborting) {
    const result = ring.result(at);
    result.fill(0);
    engine.execute(ring.command(at), result);
  }
  ring.complete();
}
