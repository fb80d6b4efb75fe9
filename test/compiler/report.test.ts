// The compile report: that it says of every layer what the device model counts when the layers run, and that its picture is the one in docs/.
// Not silicon: the rules of the estimate are tested with the model (devices/nvdla-cycles).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { OperationCost } from '../../src/bus/port.js';
import { pictureOf, type ProgramReport, reportOf, timeline } from '../../src/compiler/index.js';
import type { LayerReport } from '../../src/compiler/targets/program.js';
import { silicon } from '../../src/hw/nvdla/index.js';
import { cli } from '../../src/node/cli/cli.js';
import { MODELS_FOLDER } from '../../src/node/input/sidecar.js';
import { openSystem } from '../../src/node/system.js';
import { compileOnnx, createContext, loadOnnx } from '../../src/runtime/index.js';
import { root } from '../support/shared.js';
import { collected } from '../testing/io.js';

const CLOCK = 1000;
const model = (name: string): string => join(MODELS_FOLDER, `${name}.onnx`);
const bytesOf = (name: string): Uint8Array => readFileSync(model(name));

/** Costs of the operations of one inference, as the device model completes them. */
async function operationsOf(name: string, target: string): Promise<OperationCost[]> {
  const system = openSystem({ devices: [target] });
  using _ = system;
  const operations: OperationCost[] = [];
  system.device().model.onOperation = (cost) => operations.push(cost);
  const context = await createContext({ file: system.open(), target, owns: true, clock: system.clock });
  try {
    const graph = await loadOnnx(context, bytesOf(name));
    const tensors = async (
      of: typeof graph.inputs,
      usage: object,
    ): Promise<Record<string, Awaited<ReturnType<typeof context.createTensor>>>> => {
      const made: Record<string, Awaited<ReturnType<typeof context.createTensor>>> = {};
      for (const [key, { dataType, shape }] of Object.entries(of))
        made[key] = await context.createTensor({ dataType, shape, ...usage });
      return made;
    };
    await context.dispatch(
      graph,
      await tensors(graph.inputs, { writable: true }),
      await tensors(graph.outputs, { readable: true }),
    );
    return operations;
  } finally {
    await context.destroy();
  }
}

describe('compile report', () => {
  for (const [name, target] of [
    ['resnet8-cifar10-int8-qdq', 'nvdla:nv_small'],
    ['resnet8-cifar10-int8-qdq', 'nvdla:nv_large'],
    ['mnist-8', 'nvdla:nv_full'],
  ] as const)
    it(`${name} for ${target}: every layer costs what the model counts when it runs`, async () => {
      const report = reportOf(compileOnnx(bytesOf(name), target), CLOCK);
      const estimated = report.segments.flatMap(({ layers }) =>
        layers.map(({ cycles, read, write }) => ({ cycles, read, write })),
      );
      const counted = (await operationsOf(name, target)).map((cost) => ({
        cycles: silicon(cost, CLOCK).cycles,
        read: cost.traffic[0].read + cost.traffic[1].read,
        write: cost.traffic[0].write + cost.traffic[1].write,
      }));
      const order = (a: { cycles: number; read: number }, b: { cycles: number; read: number }): number =>
        a.cycles - b.cycles || a.read - b.read;
      assert.deepEqual(estimated.sort(order), counted.sort(order));
    });

  it('sums its layers, and counts what the host computes with the reason', () => {
    const report = reportOf(compileOnnx(bytesOf('resnet8-cifar10-int8-qdq'), 'nvdla:nv_small'), 500);
    const { totals, segments, host } = report;
    const layers = segments.flatMap((segment) => segment.layers);
    assert.equal(totals.layers, layers.length);
    assert.equal(
      totals.macs,
      layers.reduce((sum, { macs }) => sum + macs, 0),
    );
    assert.equal(totals.macs, 12501632);
    assert.ok(totals.hardwareMacs > totals.macs);
    assert.equal(totals.ns, (totals.cycles * 1000) / 500);
    assert.ok(Math.abs(totals.framesPerSecond * totals.ns - 1e9) < 1);
    assert.equal(totals.peakMacs, 64);
    assert.ok(totals.shareOfPeak > 0 && totals.shareOfPeak < 1);
    assert.ok(host.some(({ operator, reason }) => operator === 'Softmax' && reason !== ''));
  });

  it('is drawn as docs/compile-report.svg shows it', () => {
    // accel compile calls a program by its file.
    const name = 'resnet8-cifar10-int8-qdq.onnx';
    const program = compileOnnx(bytesOf('resnet8-cifar10-int8-qdq'), 'nvdla:nv_large', { name });
    assert.equal(
      pictureOf(reportOf(program, CLOCK)),
      readFileSync(join(root, 'docs/compile-report.svg'), 'utf8'),
      'draw it again: npx accel compile models/resnet8-cifar10-int8-qdq.onnx --svg docs/compile-report.svg',
    );
  });

  it('is printed by accel compile as a table, as JSON, and for GNA', async () => {
    const io = collected();
    assert.equal(await cli(['compile', model('resnet8-cifar10-int8-qdq'), '-d', 'nvdla:nv_small'], io), 0);
    assert.match(io.stdout, /unit +operator +in +out +kernel +type +banks/);
    assert.match(io.stdout, /CONV\+SDP +Conv_10 +16x32x32 +16x32x32 +3x3 +int8 +\d+\+\d+ +all/);
    assert.match(io.stdout, /host: Softmax "Softmax_75": /);
    assert.match(io.stdout, /per inference, \d+ per second at 1000 MHz/);
    const rows = io.stdout.split('\n').filter((line) => /CONV\+SDP/.test(line));
    assert.equal(new Set(rows.map((row) => row.indexOf('CONV+SDP'))).size, 1, 'columns are aligned');

    const json = collected();
    await cli(['compile', model('resnet8-cifar10-int8-qdq'), '--clock', '500', '--json'], json);
    const { report } = JSON.parse(json.stdout) as { report: ProgramReport };
    assert.equal(report.clockMhz, 500);
    assert.equal(report.totals.layers, report.segments[0]!.layers.length);

    const gna = collected();
    const digit = join(MODELS_FOLDER, 'samples/digits/seven.pgm');
    assert.equal(await cli(['compile', model('mnist-8'), '-d', 'gna:3.0', '-c', digit], gna), 0);
    assert.match(gna.stdout, /conv \dD +Convolution28/);
    assert.match(gna.stdout, /per second at 1000 MHz/);
  });
});

describe('timeline of a report', () => {
  const layer = (
    index: number,
    unit: string,
    compute: number,
    bytes: number,
    after: number[] = [],
  ): LayerReport => ({
    index,
    unit,
    nodes: [],
    input: [],
    output: [],
    detail: {},
    constantBytes: 0,
    macs: 0,
    hardwareMacs: 0,
    precision: 'int8',
    cost: {
      compute,
      traffic: [
        { read: bytes, write: 0 },
        { read: 0, write: 0 },
      ],
    },
    after,
  });
  const rates = { dram: 10, sramRead: 25, sramWrite: 25 };

  it('starts a layer when what it waits for is complete, and its units have come to it', () => {
    const spans = timeline(
      [
        layer(0, 'CONV+SDP', 100, 0),
        layer(1, 'PDP', 30, 0),
        layer(2, 'SDP', 50, 0),
        layer(3, 'PDP', 10, 0, [2]),
      ],
      rates,
    );
    assert.deepEqual(spans, [
      { start: 0, end: 100 },
      { start: 0, end: 30 },
      { start: 100, end: 150 },
      { start: 150, end: 160 },
    ]);
  });

  it('shares memory between layers that run at the same time', () => {
    const spans = timeline([layer(0, 'CONV+SDP', 0, 1000), layer(1, 'PDP', 0, 500)], rates);
    // Each has half until the smaller has all of its bytes.
    assert.deepEqual(spans, [
      { start: 0, end: 150 },
      { start: 0, end: 100 },
    ]);
  });
});
