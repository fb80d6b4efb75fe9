// Where engines run: the host interface, the inline host, and the faults and traces around every handle.
// Not a data path: that is the models'. Worker threads are node/'s.
import type { Clock } from '../base/clock.js';
import type { SystemMemory } from '../base/memory.js';
import { instantiate, type WasmModule } from '../base/wasm.js';
import type { DeviceModel, Engine, EngineDone, EngineHandle, FaultHooks } from '../bus/port.js';

/** Words of the largest command and of every result. */
export const COMMAND_WORDS = 512;
export const RESULT_WORDS = 16;

/** Kernel modules by model name. */
export type Kernels = Readonly<Record<string, WasmModule>>;

export interface EngineRequest {
  readonly model: DeviceModel;
  /** `nvdla0/conv`. */
  readonly name: string;
  readonly memory: SystemMemory;
  readonly scratch: { readonly address: number; readonly bytes: number };
}

/** Starts engines. `inline` computes in the core's thread, a worker host in threads; the bytes are the same. */
export interface EngineHost extends Disposable {
  readonly kind: 'inline' | 'worker';
  start(request: EngineRequest): EngineHandle;
}

/** Makes the engine of a request; used by every host. A model without kernels gets none. */
export function createEngine(request: EngineRequest, module: WasmModule | undefined): Engine {
  const { model, memory, scratch } = request;
  if (model.engine === undefined) throw new Error(`model ${model.name} has no engine`);
  const kernels = module === undefined ? undefined : instantiate(module, memory.memory);
  return model.engine({ memory: memory.memory, kernels, scratch });
}

/** Runs each command when the caller's stack has unwound: deterministic, one after the other. */
export class InlineEngines implements EngineHost {
  readonly kind = 'inline';
  readonly #clock: Clock;
  readonly #kernels: Kernels;

  constructor(clock: Clock, kernels: Kernels) {
    this.#clock = clock;
    this.#kernels = kernels;
  }

  start(request: EngineRequest): EngineHandle {
    const engine = createEngine(request, this.#kernels[request.model.name]);
    const clock = this.#clock;
    const result = new Int32Array(RESULT_WORDS);
    let generation = 0;
    return {
      commandWords: COMMAND_WORDS,
      submit(command: Int32Array, done: EngineDone): void {
        const copy = command.slice();
        const mine = generation;
        clock.post(() => {
          if (mine !== generation) return;
          result.fill(0);
          engine.execute(copy, result);
          done(result);
        });
      },
      abort(): void {
        generation++;
      },
    };
  }

  [Symbol.dispose](): void {
    // Nothing outlives the call that posted it.
  }
}

/** What a handle reports, and what it does for faults that strike when a command starts. */
export interface EngineObserver {
  started(): void;
  finished(): void;
  /** Raises the device's interrupt without a cause. */
  spurious(): void;
  unplug(): void;
}

/** A handle with faults: a command that hangs is taken and never answered. */
export interface FaultyHandle extends EngineHandle {
  /** Commands the engine is at work on; not those that hang. */
  readonly inFlight: number;
}

export function faultyHandle(
  handle: EngineHandle,
  faults: FaultHooks,
  observer: EngineObserver,
): FaultyHandle {
  let inFlight = 0;
  return {
    commandWords: handle.commandWords,
    get inFlight() {
      return inFlight;
    },
    submit(command, done) {
      observer.started();
      if (faults.take('spurious-irq')) observer.spurious();
      if (faults.take('unplug')) observer.unplug();
      if (faults.take('hang')) return;
      inFlight++;
      handle.submit(command, (result) => {
        inFlight--;
        observer.finished();
        done(result);
      });
    },
    abort() {
      handle.abort();
      inFlight = 0;
    },
  };
}
