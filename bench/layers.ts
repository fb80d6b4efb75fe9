// How fast is each convolution layer of a network in the engine, next to the kernel's own matrix product in the same run?
// Not the whole inference: bench/models.ts has that.
import pc from 'picocolors';
import { Process } from '../src/core/index.js';
import { InlineEngines, Machine, type EngineHost } from '../src/machine/index.js';
import { RealClock } from '../src/node/clock.js';
import { columns } from '../src/node/cli/columns.js';
import { loadKernels } from '../src/node/kernels.js';
import { today } from '../src/node/system.js';
import { buildGraph, createContext } from '../src/runtime/index.js';
import { matrixRate } from './conv.js';
import { networks, tensorsOf } from './networks.js';

const BOARD = 'nvdla:nv_large';
const RUNS = 6;
/** Layers that take the longest are printed. */
const SHOWN = 12;

/** The inline host, with the milliseconds of every command of the convolution engine. */
class TimedEngines implements EngineHost {
  readonly kind = 'inline';
  readonly #host: InlineEngines;
  readonly times: number[] = [];

  constructor(clock: RealClock) {
    // A command is posted alone: what is timed is one command between two turns of the clock's queue.
    this.#host = new InlineEngines(clock, loadKernels());
  }

  start(request: Parameters<EngineHost['start']>[0]): ReturnType<EngineHost['start']> {
    const model = request.model;
    if (!request.name.endsWith('/conv') || model.engine === undefined) return this.#host.start(request);
    const { times } = this;
    const make = model.engine;
    return this.#host.start({
      ...request,
      model: {
        ...model,
        engine: (context) => {
          const engine = make(context);
          return {
            ...engine,
            execute: (command, result) => {
              const start = performance.now();
              engine.execute(command, result);
              times.push(performance.now() - start);
            },
          };
        },
      },
    });
  }

  [Symbol.dispose](): void {
    this.#host[Symbol.dispose]();
  }
}

export async function layers(): Promise<void> {
  const limit = matrixRate();
  for (const { name, graph: make } of networks()) {
    const clock = new RealClock();
    using engines = new TimedEngines(clock);
    using machine = new Machine({
      boards: [BOARD],
      clock,
      engines,
      staging: false,
      today: today(),
      drivers: [],
      bare: false,
      onGuestError: (device, text) => console.error(`${device}: ${text}`),
    });
    const file = machine.core.open(machine.devices[0]!.accel!, new Process());
    const context = await createContext({ file, target: BOARD, owns: true, clock });
    const graph = await buildGraph(context, make(), { name });
    const { inputs, outputs } = await tensorsOf(context, graph);
    const reports = graph.compiled.segments.flatMap((segment) =>
      segment.kind === 'host' ? [] : segment.layers.filter(({ unit }) => unit.startsWith('CONV')),
    );
    const least = reports.map(() => Infinity);
    for (let run = 0; run < RUNS; run++) {
      engines.times.length = 0;
      await context.dispatch(graph, inputs, outputs);
      if (engines.times.length !== reports.length)
        throw new Error(`${name}: ${engines.times.length} commands for ${reports.length} layers`);
      engines.times.forEach((time, i) => (least[i] = Math.min(least[i]!, time)));
    }
    await context.destroy();
    const all = reports.map((report, i) => ({ report, ms: least[i]! })).sort((a, b) => b.ms - a.ms);
    const rateOf = (macs: number, ms: number): number => macs / ms / 1e6;
    const row = (what: string, output: string, macs: number, hardware: number, ms: number): string[] => [
      ...[what, output, ms.toFixed(3), (hardware / 1e6).toFixed(2)],
      ...[rateOf(macs, ms).toFixed(1), rateOf(hardware, ms).toFixed(1)],
      `${((100 * rateOf(hardware, ms)) / limit).toFixed(0)} %`,
    ];
    const sum = (of: (entry: (typeof all)[number]) => number): number =>
      all.reduce((total, entry) => total + of(entry), 0);
    const rows = all
      .slice(0, SHOWN)
      .map(({ report, ms }) =>
        row(
          report.nodes.join('+').slice(0, 40),
          report.output.join('x'),
          report.macs,
          report.hardwareMacs,
          ms,
        ),
      );
    rows.push(
      row(
        `all ${all.length} layers`,
        '',
        sum(({ report }) => report.macs),
        sum(({ report }) => report.hardwareMacs),
        sum(({ ms }) => ms),
      ),
    );
    console.log(
      `\n${name} on ${BOARD}: convolution engine, one thread; peak is the kernel's matrix product, ${limit.toFixed(1)} G MAC/s`,
    );
    const head = ['layer', 'output', 'ms', 'M MAC', 'useful G MAC/s', 'G MAC/s', 'of peak'];
    console.log(columns(head, rows, { right: [2, 3, 4, 5, 6], colours: pc.createColors(false) }));
  }
}
