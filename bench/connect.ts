// What does an inference cost more when the device is a daemon's, in another process, than when it is in this one?
// Not how fast the device is: models.ts. The outputs are the same bytes, test/node/wire-run.test.ts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processIo } from '../src/node/cli/io.js';
import { Session } from '../src/node/cli/session.js';
import { print, type Row } from './harness.js';

const cli = fileURLToPath(new URL('../src/node/cli/main.js', import.meta.url));
const folder = fileURLToPath(new URL('../../models/', import.meta.url));
const boards = ['nvdla:nv_large', 'gna:3.0'];
const models = ['mnist-8', 'resnet8-cifar10-int8-qdq', 'resnet8-cifar10-fp32'];
/** Rounds of both sides in turn: others work on this machine too. */
const ROUNDS = 60;

/** Inferences with the tensors made once, and with tensors made, written, read and destroyed each time. */
async function inferences(session: Session) {
  const { context, graph } = session;
  const inputs: Record<string, Awaited<ReturnType<typeof context.createTensor>>> = {};
  const outputs: typeof inputs = {};
  const arrays: Parameters<Session['infer']>[0] = {};
  for (const [name, { dataType, shape }] of Object.entries(graph.inputs)) {
    inputs[name] = await context.createTensor({ dataType, shape, writable: true });
    const elements = shape.reduce((product, size) => product * size, 1);
    (arrays as Record<string, unknown>)[name] =
      dataType === 'float32' ? new Float32Array(elements) : new Int8Array(elements);
  }
  for (const [name, { dataType, shape }] of Object.entries(graph.outputs))
    outputs[name] = await context.createTensor({ dataType, shape, readable: true });
  return {
    dispatch: () => context.dispatch(graph, inputs, outputs),
    whole: () => session.infer(arrays),
  };
}

const timed = async (run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await run();
  return performance.now() - start;
};

export async function connect(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'accel-bench-'));
  const socket = join(scratch, 'accel.sock');
  const words = boards.flatMap((board) => ['--device', board]);
  const daemon = spawn(process.execPath, [cli, 'serve', '--json', '--socket', socket, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(daemon.stdout, 'data');
    const rows: Row[] = [];
    for (const [number, board] of boards.entries()) {
      for (const name of models) {
        const model = join(folder, `${name}.onnx`);
        if (!existsSync(model)) continue;
        await using here = await Session.open({ model, device: board }, processIo());
        await using there = await Session.open(
          { model, device: `accel${number}`, connect: socket },
          processIo(),
        );
        const [local, remote] = [await inferences(here), await inferences(there)];
        for (const what of ['dispatch', 'whole'] as const) {
          const least = [Infinity, Infinity];
          for (let round = 0; round < ROUNDS; round++) {
            least[0] = Math.min(least[0]!, await timed(local[what]));
            least[1] = Math.min(least[1]!, await timed(remote[what]));
          }
          rows.push({
            what: `${name} on ${board}, ${what === 'whole' ? 'tensors made, written, read' : 'dispatch'}`,
            ours: `${least[1]!.toFixed(2)} ms`,
            peer: `${least[0]!.toFixed(2)} ms`,
            peerName: 'in one process',
            ratio: least[0]! / least[1]!,
            aim: '>= 0.9',
          });
        }
      }
    }
    print(`one inference by --connect, the best of ${ROUNDS}; ratio is in one process over --connect`, rows);
  } finally {
    daemon.kill('SIGTERM');
    await once(daemon, 'exit');
    rmSync(scratch, { recursive: true, force: true });
  }
}
