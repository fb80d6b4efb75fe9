// How fast is the NVDLA convolution path, per layer shape? Against a plain loop and against its own matrix product.
// Not a test: figures of one thread in CPU time; only the ratios carry from machine to machine.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { compileModule, instantiate, sharedMemory } from '../src/base/wasm.js';
import { convLayout, precision, type ConvParams } from '../src/devices/nvdla/engine/conv-params.js';
import type { ConvKernels } from '../src/devices/nvdla/engine/conv-kernels.js';
import { CONV_SCRATCH, prepareConv } from '../src/devices/nvdla/engine/conv.js';
import { readFigures, type Figures } from './figures.js';

const INPUT = 1 << 20;
const WEIGHTS = 16 << 20;
const OUTPUT = 48 << 20;
const SCRATCH = { address: 80 << 20, bytes: CONV_SCRATCH };

const BAND_BYTES = 128 << 10;

interface Shape {
  readonly name: string;
  readonly size: readonly [width: number, height: number, channels: number, kernels: number];
  readonly kernel?: readonly [width: number, height: number];
  readonly stride?: number;
  readonly pad?: number;
  /** Kernels read only channels of their own group of this many; the other weights are zero. */
  readonly group?: number;
  readonly image?: boolean;
}

/**
 * Layers whose rate on the vendor's C model is on record: about so many million multiply-accumulates a second on a machine
 * of the same class. A figure from documentation, not measured here.
 */
const recorded = [
  { name: 'int8 3x3 64->64, 28x28', of: precision.int8, size: [28, 28, 64, 64], peer: 300 },
  { name: 'int8 3x3 512->512, 7x7', of: precision.int8, size: [7, 7, 512, 512], peer: 250 },
  { name: 'int16 3x3 64->64, 14x14', of: precision.int16, size: [14, 14, 64, 64], peer: 20 },
  { name: 'fp16 3x3 64->64, 14x14', of: precision.fp16, size: [14, 14, 64, 64], peer: 5 },
] as const;

/** The first is the matrix product that the others are compared with. */
const shapes: readonly Shape[] = [
  { name: 'matrix 256x256x256', size: [16, 16, 256, 256] },
  { name: '3x3 64->64, 32x32', size: [32, 32, 64, 64], kernel: [3, 3], pad: 1 },
  { name: '3x3 32->32, 16x16', size: [16, 16, 32, 32], kernel: [3, 3], pad: 1 },
  { name: '3x3 16->16, 32x32', size: [32, 32, 16, 16], kernel: [3, 3], pad: 1 },
  { name: '3x3 256->512, 14x14', size: [14, 14, 256, 512], kernel: [3, 3], pad: 1 },
  { name: '1x1 128->128, 16x16', size: [16, 16, 128, 128] },
  { name: '1x1 8->16, 48x48', size: [48, 48, 8, 16] },
  { name: '1x1 64->64, 25x5', size: [25, 5, 64, 64] },
  { name: '1x1 stride 2 64->128, 32x32', size: [32, 32, 64, 128], stride: 2 },
  {
    name: '3x3 stride 2 image 3->16, 96x96',
    size: [96, 96, 4, 16],
    kernel: [3, 3],
    stride: 2,
    pad: 1,
    image: true,
  },
  { name: '10x4 stride 2 1->64, 10x49', size: [10, 49, 1, 64], kernel: [4, 10], stride: 2, pad: 1 },
  { name: 'fully connected 640->128', size: [1, 1, 640, 128] },
  { name: 'fully connected 5x5x64->1024', size: [5, 5, 64, 1024], kernel: [5, 5] },
  { name: 'depthwise 3x3 32, 25x5', size: [25, 5, 32, 32], kernel: [3, 3], pad: 1, group: 1 },
  { name: 'depthwise 3x3 64, 25x5', size: [25, 5, 64, 64], kernel: [3, 3], pad: 1, group: 1 },
  { name: 'depthwise 3x3 128, 12x12', size: [12, 12, 128, 128], kernel: [3, 3], pad: 1, group: 1 },
];

function params(shape: Shape): ConvParams {
  const [width, height, channels, kernels] = shape.size;
  const [kernelWidth, kernelHeight] = shape.kernel ?? [1, 1];
  const pad = shape.pad ?? 0;
  const stride = shape.stride ?? 1;
  const image = shape.image === true;
  const zero = Object.fromEntries(Object.keys(convLayout).map((key) => [key, 0]));
  const line = width * (image ? 4 : 32);
  return {
    ...(zero as ConvParams),
    image: image ? 1 : 0,
    pixelFormat: 12,
    cvt: image ? 1 : 0,
    cvtOffset: 128,
    cvtScale: 1,
    inputAddress: INPUT,
    lineStride: line,
    surfaceStride: line * height,
    width,
    height,
    channels,
    batches: 1,
    kernelWidth: image ? 1 : kernelWidth,
    kernelHeight,
    kernelChannels: image ? channels * kernelWidth : channels,
    kernels,
    strideX: stride,
    strideY: stride,
    dilationX: 1,
    dilationY: 1,
    padLeft: pad,
    padTop: pad,
    weightAddress: WEIGHTS,
    weightBytes: kernels * kernelWidth * kernelHeight * channels,
    jointRows: 1,
    atomicC: 64,
    atomicK: 32,
    atom: 32,
    inputAtom: 32,
    outWidth: Math.floor((width + 2 * pad - kernelWidth) / stride) + 1,
    outHeight: Math.floor((height + 2 * pad - kernelHeight) / stride) + 1,
  };
}

/** The loop a TypeScript programmer would write: channels last, int8 arrays, int32 sums. */
function plainLoop(p: ConvParams, input: Int8Array, weights: Int8Array, out: Int32Array): void {
  const { width, height, channels, kernelHeight, kernels } = p;
  const kernelWidth = p.image ? p.kernelChannels / channels : p.kernelWidth;
  let o = 0;
  for (let y = 0; y < p.outHeight; y++)
    for (let x = 0; x < p.outWidth; x++)
      for (let k = 0; k < kernels; k++) {
        let sum = 0;
        for (let r = 0; r < kernelHeight; r++) {
          const iy = y * p.strideY + r - p.padTop;
          if (iy < 0 || iy >= height) continue;
          for (let s = 0; s < kernelWidth; s++) {
            const ix = x * p.strideX + s - p.padLeft;
            if (ix < 0 || ix >= width) continue;
            const a = (iy * width + ix) * channels;
            const w = ((k * kernelHeight + r) * kernelWidth + s) * channels;
            for (let c = 0; c < channels; c++) sum = (sum + input[a + c] * weights[w + c]) | 0;
          }
        }
        out[o++] = sum;
      }
}

/** CPU seconds of one call, the best of several rounds of at least 60 ms. */
function cpuSeconds(call: () => void): number {
  const time = (count: number): number => {
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) call();
    const used = process.cpuUsage(before);
    return (used.user + used.system) / 1e6;
  };
  let count = 1;
  while (time(count) < 0.06) count *= 2;
  return Math.min(...Array.from({ length: 5 }, () => time(count))) / count;
}

/** G MAC/s of the kernel's matrix product, int8, one thread: what layers of networks can reach. */
export function matrixRate(): number {
  const module = compileModule(readFileSync(new URL('../kernels/nvdla.wasm', import.meta.url)));
  const memory = sharedMemory(96 << 20);
  const kernels = instantiate<ConvKernels>(module, memory);
  const p = params(shapes[0]!);
  // Zeros would be skipped.
  const bytes = new Int8Array(memory.buffer);
  for (const start of [INPUT, WEIGHTS])
    for (let i = start; i < start + (1 << 20); i++) bytes[i] = Math.imul(i, 0x9e3779b1) >>> 24;
  const layer = prepareConv(kernels, p, SCRATCH);
  // Until the compiler's second tier has it, it is half as fast.
  for (const start = performance.now(); performance.now() - start < 500;) layer.run(0, p.outHeight, OUTPUT);
  return (
    (p.outWidth * p.outHeight * p.kernels * p.kernelChannels) /
    cpuSeconds(() => layer.run(0, p.outHeight, OUTPUT)) /
    1e9
  );
}

/**
 * Prints G MAC/s per shape: with the kernels packed before, packing included, and the plain loop; then the layers on record.
 * @param options `peer`: a file of figures (figures.ts) in M MAC/s that replace those on record
 */
export async function conv(options: { readonly peer?: string | undefined } = {}): Promise<void> {
  const module = compileModule(readFileSync(new URL('../kernels/nvdla.wasm', import.meta.url)));
  const memory = sharedMemory(96 << 20);
  const kernels = instantiate<ConvKernels>(module, memory);
  const bytes = new Int8Array(memory.buffer);
  for (let i = INPUT; i < INPUT + (4 << 20); i++) bytes[i] = Math.imul(i, 0x9e3779b1) >>> 24;

  console.log('NVDLA convolution, int8, one thread, G MAC/s (zero weights of groups not counted)');
  console.log(`${'layer'.padEnd(34)} bands  whole layer  plain loop  whole/plain  bands/matrix`);
  let matrix = 0;
  for (const shape of shapes) {
    const p = params(shape);
    const group = shape.group ?? p.kernelChannels;
    for (let i = 0; i < p.weightBytes; i++) bytes[WEIGHTS + i] = Math.imul(i, 0x85ebca6b) >>> 24;
    if (shape.group !== undefined) zeroOutside(p, group, bytes);
    const macs = p.outWidth * p.outHeight * p.kernels * p.kernelHeight * p.kernelWidth * group;
    const layer = prepareConv(kernels, p, SCRATCH);
    // As the engine does: result buffers that stay in the second-level cache.
    const rows = Math.max(1, Math.floor(BAND_BYTES / layer.outRowBytes));
    const run = (from: typeof layer): void => {
      for (let y = 0; y < p.outHeight; y += rows) from.run(y, Math.min(y + rows, p.outHeight), OUTPUT);
    };
    const bands = cpuSeconds(() => run(layer));
    const whole = cpuSeconds(() => run(prepareConv(kernels, p, SCRATCH)));
    const input = bytes.slice(INPUT, INPUT + p.width * p.height * p.channels);
    const weights = bytes.slice(WEIGHTS, WEIGHTS + p.weightBytes);
    const out = new Int32Array(p.outWidth * p.outHeight * p.kernels);
    // A plain loop over a grouped layer has as many products as there are weights that are not zero.
    const dense = shape.group === undefined;
    const narrow = dense ? p : { ...p, channels: group, kernelChannels: group };
    const plain = cpuSeconds(() => plainLoop(narrow, input, weights, out));
    const rate = (seconds: number): string => (macs / seconds / 1e9).toFixed(1);
    matrix ||= macs / bands;
    console.log(
      `${shape.name.padEnd(34)} ${rate(bands).padStart(5)} ${rate(whole).padStart(12)} ${rate(plain).padStart(11)} ` +
        `${(plain / whole).toFixed(1).padStart(12)} ${(macs / bands / matrix).toFixed(2).padStart(13)}`,
    );
  }
  beside(kernels, memory, options.peer === undefined ? undefined : readFigures(options.peer));
}

/** Numbers of roughly normal distribution, the same in every run. */
function* normal(): Generator<number, never> {
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (;;) yield Array.from({ length: 12 }, uniform).reduce((sum, x) => sum + x, -6);
}

/** fp16 bits of a number, truncated; small ones are 0. */
function half(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0];
  const exponent = ((bits >>> 23) & 255) - 112;
  return ((bits >>> 16) & 0x8000) | (exponent <= 0 ? 0 : (exponent << 10) | ((bits >>> 13) & 0x3ff));
}

/** Prints simulated M MAC/s of the layers on record, kernels packed anew each time, beside the C model's figure. */
function beside(kernels: ConvKernels, memory: ReturnType<typeof sharedMemory>, given?: Figures): void {
  const source = given?.name ?? "the C model's, from documentation, not of this run";
  console.log(`\nnv_full, one thread, M MAC/s; peer: ${source}`);
  console.log(`${'layer'.padEnd(34)} ${'whole layer'.padStart(11)}    peer  ratio`);
  const bytes = new Int8Array(memory.buffer);
  const words = new Uint16Array(memory.buffer);
  for (const { name, of, size, peer: onRecord } of recorded) {
    const peer = given?.figures[name] ?? onRecord;
    const small = of === precision.int8;
    const plain = params({ name, size, kernel: [3, 3], pad: 1 });
    const p: ConvParams = {
      ...plain,
      weightBytes: plain.weightBytes * (small ? 1 : 2),
      ...{ input: of, precision: of, atom: small ? 32 : 16, inputAtom: small ? 32 : 16 },
      ...{ atomicK: small ? 32 : 16, clipTruncate: of === precision.int16 ? 16 : 0 },
    };
    const inputs = p.width * p.height * p.channels;
    if (of === precision.fp16) {
      // What a network sees: activations behind a batch normalisation, weights of a few hundredths.
      const numbers = normal();
      for (let i = 0; i < inputs; i++) words[INPUT / 2 + i] = half(numbers.next().value);
      for (let i = 0; i < p.weightBytes / 2; i++) words[WEIGHTS / 2 + i] = half(0.06 * numbers.next().value);
    } else {
      for (let i = 0; i < inputs * 2; i++) bytes[INPUT + i] = Math.imul(i, 0x9e3779b1) >>> 24;
      for (let i = 0; i < p.weightBytes; i++) bytes[WEIGHTS + i] = Math.imul(i, 0x85ebca6b) >>> 24;
    }
    const seconds = cpuSeconds(() => {
      const layer = prepareConv(kernels, p, SCRATCH);
      const rows = Math.max(1, Math.floor(BAND_BYTES / layer.outRowBytes));
      for (let y = 0; y < p.outHeight; y += rows) layer.run(y, Math.min(y + rows, p.outHeight), OUTPUT);
    });
    const rate = (p.outWidth * p.outHeight * p.kernels * 9 * p.channels) / seconds / 1e6;
    console.log(
      `${name.padEnd(34)} ${rate.toFixed(0).padStart(11)} ${peer.toFixed(0).padStart(7)} ${(rate / peer).toFixed(0).padStart(6)}`,
    );
  }
}

/** Zeroes the weights of kernel k for channels outside its own group. */
function zeroOutside(p: ConvParams, group: number, bytes: Int8Array): void {
  let at = WEIGHTS;
  for (let first = 0; first < p.kernels; first += p.atomicK)
    for (let block = 0; block < p.kernelChannels; block += p.atomicC)
      for (let tap = 0; tap < p.kernelHeight * p.kernelWidth; tap++)
        for (let k = first; k < Math.min(first + p.atomicK, p.kernels); k++)
          for (let c = block; c < Math.min(block + p.atomicC, p.kernelChannels); c++, at++)
            if (Math.floor(c / group) !== Math.floor(k / group)) bytes[at] = 0;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await conv();
