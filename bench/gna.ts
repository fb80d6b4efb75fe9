// How fast is each kind of GNA layer, in the engine? Against plain loops over typed arrays in the same run, or the figures of
// another program. CPU time of one thread.
// Not the whole path: commands go to the engine, without registers and page tables.
import { readFileSync } from 'node:fs';
import { compileModule, instantiate, sharedMemory } from '../src/base/wasm.js';
import { encode, type Operation } from '../src/devices/gna/command.js';
import { createGnaEngine, SCRATCH_BYTES } from '../src/devices/gna/engine.js';
import type { EngineHandle } from '../src/bus/port.js';
import { gna as gnaModel } from '../src/devices/gna/index.js';
import { Dram } from '../src/machine/dram.js';
import { loadKernels } from '../src/node/kernels.js';
import { WorkerEngines } from '../src/node/worker-engines.js';
import { readFigures, writeFigures } from './figures.js';
import { best, bestCpu, print, type Row } from './harness.js';

const INPUT = 1 << 20;
const WEIGHTS = 2 << 20;
const BIAS = 12 << 20;
const SEGMENTS = 13 << 20;
const OUTPUT = 14 << 20;
const SCRATCH = 20 << 20;

const memory = sharedMemory(SCRATCH + SCRATCH_BYTES);
const view = new DataView(memory.buffer);

interface Layer {
  readonly what: string;
  readonly operation: Operation;
  readonly fields: Readonly<Record<string, number>>;
  /** Multiply-accumulates, or elements, of one run. */
  readonly work: number;
  readonly unit: string;
  /** The loop a TypeScript programmer would write, over operands of its own. Called when memory is filled. */
  plain(): () => void;
  /** Largest absolute input. */
  readonly reach?: number;
}

/** The peer's operands: ordinary arrays of one type, so that its loops see no other. */
function operand(at: number, count: number, bytes: 1 | 2): Int16Array {
  return bytes === 1
    ? Int16Array.from(new Int8Array(memory.buffer, at, count))
    : new Int16Array(memory.buffer, at, count).slice();
}

/** Deterministic values of the whole range of their type, or up to `reach`. */
function fill(at: number, count: number, bytes: number, reach = 32768): void {
  let x = 1;
  for (let i = 0; i < count; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    if (bytes === 1) view.setInt8(at + i, x >>> 24);
    else view.setInt16(at + 2 * i, Math.trunc(((x >> 16) * reach) / 32768), true);
  }
}

function affine(
  what: string,
  options: {
    inputs?: number;
    outputs?: number;
    groups: number;
    weightBytes: 1 | 2;
    reach: number;
    segments?: number;
  },
): Layer {
  const { inputs = 2048, outputs = 2048, groups, weightBytes, reach, segments = 0 } = options;
  const scaled = weightBytes === 1;
  const fields = {
    inputs,
    outputs,
    groups,
    inputBytes: 2,
    weightBytes,
    chunk: Math.floor(12288 / groups),
    input: INPUT,
    weights: WEIGHTS,
    bias: BIAS,
    biasBytes: 4,
    biasStride: scaled ? 8 : 4,
    scale: scaled ? BIAS + 4 : 0,
    list: 0,
    output: OUTPUT,
    outputBytes: segments > 0 ? 2 : 0,
    segments: SEGMENTS,
    segmentCount: segments,
  };
  const plain = (): (() => void) => {
    const x = operand(INPUT, inputs * groups, 2);
    const w = operand(WEIGHTS, inputs * outputs, weightBytes);
    const out = new Int32Array(outputs * groups);
    return (): void => {
      for (let m = 0; m < outputs; m++)
        for (let n = 0; n < groups; n++) {
          let sum = 0;
          for (let k = 0; k < inputs; k++) sum += w[m * inputs + k]! * x[k * groups + n]!;
          out[m * groups + n] = Math.min(Math.max(sum, -(2 ** 31)), 2 ** 31 - 1);
        }
    };
  };
  return {
    what,
    operation: 'affine',
    fields,
    work: inputs * outputs * groups,
    unit: 'G MAC/s',
    plain,
    reach,
  };
}

function conv(
  what: string,
  shape: {
    width: number;
    height: number;
    depth: number;
    filters: number;
    kernel: readonly [number, number];
    pad: number;
    elementBytes: 1 | 2;
    legacy?: boolean;
    reach: number;
    stride?: number;
  },
): Layer {
  const { width, height, depth, filters, kernel, pad, elementBytes, reach, stride = 1 } = shape;
  const [kernelHeight, kernelWidth] = kernel;
  const padWidth = pad;
  const padHeight = height === 1 ? 0 : pad;
  const convWidth = 1 + Math.floor((width + 2 * padWidth - kernelWidth) / stride);
  const convHeight = 1 + (height + 2 * padHeight - kernelHeight);
  const fields = {
    legacy: shape.legacy ? 1 : 0,
    width,
    height,
    depth,
    elementBytes,
    filters,
    kernelWidth,
    kernelHeight,
    strideWidth: stride,
    strideHeight: 1,
    padWidth,
    padHeight,
    filterPitch: kernelWidth * kernelHeight * depth * elementBytes,
    convWidth,
    convHeight,
    pool: 0,
    poolWidth: 0,
    poolHeight: 0,
    poolStrideWidth: 0,
    poolStrideHeight: 0,
    outWidth: convWidth,
    outHeight: convHeight,
    input: INPUT,
    weights: WEIGHTS,
    bias: BIAS,
    biasBytes: 4,
    output: OUTPUT,
    outputBytes: 0,
    segments: SEGMENTS,
    segmentCount: 0,
  };
  const taps = kernelWidth * kernelHeight * depth;
  const plain = (): (() => void) => {
    const x = operand(INPUT, width * height * depth, elementBytes);
    const w = operand(WEIGHTS, filters * taps, elementBytes);
    const out = new Int32Array(convWidth * convHeight * filters);
    return (): void => {
      let o = 0;
      for (let y = 0; y < convHeight; y++)
        for (let c = 0; c < convWidth; c++)
          for (let f = 0; f < filters; f++) {
            let sum = 0;
            for (let r = 0; r < kernelHeight; r++) {
              const iy = y + r - padHeight;
              if (iy < 0 || iy >= height) continue;
              for (let s = 0; s < kernelWidth; s++) {
                const ix = c * stride + s - padWidth;
                if (ix < 0 || ix >= width) continue;
                const from = (iy * width + ix) * depth;
                const tap = f * taps + (r * kernelWidth + s) * depth;
                for (let d = 0; d < depth; d++) sum += x[from + d]! * w[tap + d]!;
              }
            }
            out[o++] = Math.min(Math.max(sum, -(2 ** 31)), 2 ** 31 - 1);
          }
    };
  };
  return {
    what,
    operation: 'conv',
    fields,
    work: convWidth * convHeight * filters * taps,
    unit: 'G MAC/s',
    plain,
    reach,
  };
}

/** A diagonal layer with an activation: one product per element, so the activation is what takes the time. */
function activation(segments: number): Layer {
  const count = 8192;
  const groups = 8;
  const fields = {
    inputs: count,
    outputs: count,
    groups,
    inputBytes: 2,
    weightBytes: 2,
    chunk: 0,
    input: INPUT,
    weights: WEIGHTS,
    bias: BIAS,
    biasBytes: 4,
    biasStride: 4,
    scale: 0,
    list: 0,
    output: OUTPUT,
    outputBytes: 2,
    segments: SEGMENTS,
    segmentCount: segments,
  };
  const plain = (): (() => void) => {
    const x = operand(INPUT, count * groups, 2);
    const w = operand(WEIGHTS, count, 2);
    const out = new Int16Array(count * groups);
    const bases = Array.from({ length: segments }, (_, i) => view.getInt32(SEGMENTS + 8 * i, true) & ~3);
    const shifts = Array.from(
      { length: segments },
      (_, i) => 2 ** (8 * ((view.getInt32(SEGMENTS + 8 * i, true) & 3) + 1)),
    );
    return (): void => {
      for (let m = 0; m < count; m++)
        for (let n = 0; n < groups; n++) {
          const sum = w[m]! * x[m * groups + n]!;
          let low = 0;
          let high = segments;
          while (high - low > 1) {
            const middle = (low + high) >> 1;
            if (bases[middle]! <= sum) low = middle;
            else high = middle;
          }
          let y = view.getInt16(SEGMENTS + 8 * low + 4, true);
          if (sum > bases[0]!)
            y += Math.floor(
              ((sum - bases[low]!) * view.getInt16(SEGMENTS + 8 * low + 6, true)) / shifts[low]!,
            );
          out[m * groups + n] = Math.min(Math.max(y, -32768), 32767);
        }
    };
  };
  return {
    what: `diagonal and activation, ${segments} segments`,
    operation: 'diagonal',
    fields,
    work: count * groups,
    unit: 'G elements/s',
    plain,
    reach: 32767,
  };
}

function gmm(varianceBytes: 1 | 2): Layer {
  const [states, mixtures, length, vectors] = [64, 32, 40, 8];
  const means = mixtures * length;
  const fields = {
    vectors,
    length,
    mixtures,
    rows: states,
    features: INPUT,
    featurePitch: 64,
    means: WEIGHTS,
    meanStride: means,
    variances: WEIGHTS + (4 << 20),
    varianceStride: means * varianceBytes,
    varianceBytes,
    constants: BIAS,
    constantStride: mixtures * 4,
    maxScore: -1,
    list: 0,
    scores: OUTPUT,
  };
  const bytes = new Uint8Array(memory.buffer);
  const plain = (): (() => void) => {
    const out = new Uint32Array(states * vectors);
    return (): void => {
      for (let s = 0; s < states; s++)
        for (let n = 0; n < vectors; n++) {
          let least = 0xffffffff;
          for (let m = 0; m < mixtures; m++) {
            let sum = view.getUint32(BIAS + (s * mixtures + m) * 4, true);
            for (let i = 0; i < length; i++) {
              const d = bytes[INPUT + n * 64 + i]! - bytes[WEIGHTS + (s * mixtures + m) * length + i]!;
              const at = fields.variances + ((s * mixtures + m) * length + i) * varianceBytes;
              sum += d * d * (varianceBytes === 1 ? bytes[at]! : view.getUint16(at, true));
            }
            least = Math.min(least, sum);
          }
          out[s * vectors + n] = least;
        }
    };
  };
  return {
    what: `Gaussian mixtures, ${8 * varianceBytes}-bit variances`,
    operation: 'gmm',
    fields,
    work: states * vectors * mixtures * length,
    unit: 'G MAC/s',
    plain,
  };
}

function fillSegments(count: number): void {
  for (let i = 0; i < count; i++) {
    const base = Math.round((i / Math.max(1, count - 1) - 0.5) * 2 ** 31) & ~3;
    view.setInt32(SEGMENTS + 8 * i, base | 1, true);
    view.setInt16(SEGMENTS + 8 * i + 4, -8000 + Math.round((16000 * i) / count), true);
    view.setInt16(SEGMENTS + 8 * i + 6, 3, true);
  }
}

export interface GnaOptions {
  /** Figures to compare with, in G MAC/s or G elements/s, by the names of the layers. Without: the plain loop. */
  readonly peer?: string | undefined;
  /** Where to leave ours. */
  readonly out?: string | undefined;
}

/** Prints the rate of each kind of layer, and how often faster than the peer it is. */
export async function gna({ peer: peerFile, out }: GnaOptions): Promise<void> {
  const peer = peerFile === undefined ? undefined : readFigures(peerFile);
  const module = compileModule(readFileSync(new URL('../kernels/gna.wasm', import.meta.url)));
  const engine = createGnaEngine({
    memory,
    kernels: instantiate(module, memory),
    scratch: { address: SCRATCH, bytes: SCRATCH_BYTES },
  });
  const layers: (() => Layer)[] = [];
  for (const weightBytes of [2, 1] as const)
    for (const groups of [1, 8])
      for (const reach of [32767, 2000])
        layers.push(() =>
          affine(`affine 2048x2048, int${8 * weightBytes} weights, batch ${groups}, |x| <= ${reach}`, {
            groups,
            weightBytes,
            reach,
          }),
        );
  layers.push(
    () =>
      affine('affine 2048x512, int16, batch 4, 64 segments', {
        outputs: 512,
        groups: 4,
        weightBytes: 2,
        reach: 16383,
        segments: 64,
      }),
    ...[32767, 200].map(
      (reach) => () =>
        conv(`1D convolution, 32 filters of 48, |x| <= ${reach}`, {
          width: 8000,
          height: 1,
          depth: 1,
          filters: 32,
          kernel: [1, 48],
          pad: 0,
          elementBytes: 2,
          legacy: true,
          reach,
          stride: 8,
        }),
    ),
    () =>
      conv('2D convolution 3x3 32->32 on 56x56, int8', {
        width: 56,
        height: 56,
        depth: 32,
        filters: 32,
        kernel: [3, 3],
        pad: 1,
        elementBytes: 1,
        reach: 127,
      }),
    ...[32767, 200].map(
      (reach) => () =>
        conv(`2D convolution 3x3 32->32 on 56x56, int16, |x| <= ${reach}`, {
          width: 56,
          height: 56,
          depth: 32,
          filters: 32,
          kernel: [3, 3],
          pad: 1,
          elementBytes: 2,
          reach,
        }),
    ),
    ...[4, 16, 128].map((count) => () => {
      fillSegments(count);
      return activation(count);
    }),
    () => gmm(1),
    () => gmm(2),
  );
  const rows: Row[] = [];
  const rates: Record<string, number> = {};
  for (const make of layers) {
    fillSegments(64);
    const layer = make();
    const { fields } = layer;
    fill(INPUT, 1 << 18, fields['elementBytes'] ?? 2, layer.reach);
    fill(WEIGHTS, 5 << 20, (fields['weightBytes'] ?? fields['elementBytes']) === 1 ? 1 : 2, 16384);
    const command = new Int32Array(64);
    const result = new Int32Array(16);
    const run = command.subarray(0, encode(layer.operation, fields, command));
    const rateOf = (run: () => void, runs?: number): number => layer.work / bestCpu(run, runs) / 1e6;
    const ours = rateOf(() => engine.execute(run, result));
    rates[layer.what] = ours;
    const theirs = peer === undefined ? rateOf(layer.plain(), 3) : peer.figures[layer.what];
    if (theirs === undefined) continue;
    rows.push({
      what: layer.what,
      ours: `${ours.toFixed(2)} ${layer.unit}`,
      peer: `${theirs.toFixed(2)} ${layer.unit}`,
      peerName: peer?.name ?? 'plain loop',
      ratio: ours / theirs,
      aim: '> 1',
    });
  }
  print('GNA layers in the engine, one thread', rows);
  await threads();
  if (out !== undefined) writeFigures(out, { name: 'accel', figures: rates });
}

/** Large layers in threads of the worker host, two against one. Wall time: what is won is waiting. */
async function threads(): Promise<void> {
  const kernels = loadKernels();
  using one = new WorkerEngines(kernels, 1);
  using two = new WorkerEngines(kernels, 2);
  const dram = new Dram(64);
  const start = (host: WorkerEngines, name: string): EngineHandle => {
    const address = dram.allocate(SCRATCH_BYTES);
    return host.start({ model: gnaModel, name, memory: dram, scratch: { address, bytes: SCRATCH_BYTES } });
  };
  const [single, double] = [start(one, 'bench/one'), start(two, 'bench/two')];
  const layers = [
    ...([2, 1] as const).map((weightBytes) =>
      affine(`affine 2048x2048, int${8 * weightBytes} weights, batch 8`, {
        groups: 8,
        weightBytes,
        reach: 2000,
      }),
    ),
    conv('2D convolution 3x3 32->32 on 56x56, int16', {
      width: 56,
      height: 56,
      depth: 32,
      filters: 32,
      kernel: [3, 3],
      pad: 1,
      elementBytes: 2,
      reach: 200,
    }),
    gmm(1),
  ];
  // Operands all in memory of their own: zeros take as long as any where sums fit.
  const base = dram.allocate(OUTPUT + (4 << 20));
  const rows: Row[] = [];
  for (const layer of layers) {
    const fields: Record<string, number> = { ...layer.fields, apart: 1 };
    for (const [field, value] of Object.entries(fields)) if (value >= INPUT) fields[field] = base + value;
    const command = new Int32Array(64);
    const words = command.subarray(0, encode(layer.operation, fields, command));
    const run = (engine: EngineHandle) => (): Promise<void> =>
      new Promise((resolve) => {
        engine.submit(words, () => {
          resolve();
        });
      });
    const [theirs, ours] = [await best(run(single), 60), await best(run(double), 60)];
    const rate = (ms: number): string => `${(layer.work / ms / 1e6).toFixed(2)} ${layer.unit}`;
    const what = `${layer.what}, two threads`;
    rows.push({
      what,
      ours: rate(ours),
      peer: rate(theirs),
      peerName: 'one',
      ratio: theirs / ours,
      aim: '> 1',
    });
  }
  print('GNA layers in threads, wall time', rows);
}
