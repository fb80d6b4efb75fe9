// A compiled program made ready: segments loaded on their devices and on the host, run one after the other.
// Not the compiler, and no queue: the context orders dispatches.
import { AccelError } from '../base/errors.js';
import type { CompiledProgram, Segment } from '../compiler/targets/program.js';
import { AsyncStack } from './async-stack.js';
import type { Backend, Values } from './backends/backend.js';
import type { HostExecutor } from './host-executor.js';
import { prepareHost } from './host/segment.js';
import { noTimes, type DispatchReport, type Ticks } from './stats.js';

interface Stage {
  run(values: Values, report: DispatchReport): Promise<void>;
}

export interface ProgramWiring {
  readonly backends: readonly Backend[];
  readonly host: HostExecutor | undefined;
  readonly ticks: Ticks;
}

export class LoadedProgram implements AsyncDisposable {
  readonly compiled: CompiledProgram;
  readonly #stages: readonly Stage[];
  readonly #owned: AsyncStack;

  private constructor(compiled: CompiledProgram, stages: readonly Stage[], owned: AsyncStack) {
    this.compiled = compiled;
    this.#stages = stages;
    this.#owned = owned;
  }

  /** @throws AccelError with nothing left behind */
  static async load(compiled: CompiledProgram, wiring: ProgramWiring): Promise<LoadedProgram> {
    const owned = new AsyncStack();
    try {
      const stages: Stage[] = [];
      for (const segment of compiled.segments) stages.push(await stageOf(segment, wiring, owned));
      return new LoadedProgram(compiled, stages, owned);
    } catch (error) {
      await owned.dispose();
      throw error;
    }
  }

  /** One inference. `values` holds the program's inputs; afterwards its outputs too. */
  async run(values: Values): Promise<DispatchReport> {
    const report: DispatchReport = { times: noTimes() };
    for (const stage of this.#stages) await stage.run(values, report);
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.dispose();
  }
}

async function stageOf(segment: Segment, wiring: ProgramWiring, owned: AsyncStack): Promise<Stage> {
  if (segment.kind === 'host') {
    const session = await prepareHost(segment.graph, wiring.host);
    owned.defer(() => session[Symbol.asyncDispose]());
    return {
      run: async (values, { times }) => {
        const start = wiring.ticks.now();
        await session.run(values);
        times.host += wiring.ticks.now() - start;
      },
    };
  }
  const backend = wiring.backends.find(({ kind }) => kind === segment.kind);
  if (backend === undefined)
    throw new AccelError('ENODEV', {
      call: 'build',
      reason: `the program has a part for ${segment.kind}, and the context no such device`,
    });
  const loaded = await backend.load(segment);
  owned.defer(() => loaded[Symbol.asyncDispose]());
  return loaded;
}
