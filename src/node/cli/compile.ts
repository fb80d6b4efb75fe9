// accel compile: what a model becomes on a device, and for NVDLA the loadable, with its inputs as DIMG files.
// Not a run: accel run takes the model, or the loadable.
import { writeFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { AccelError } from '../../base/errors.js';
import { exportLoadable, type ExportedLoadable, writeLoadable } from '../../compiler/loadable/index.js';
import { type CompiledProgram, pictureOf, reportOf, targets } from '../../compiler/index.js';
import { compileOnnx } from '../../runtime/index.js';
import { BoundTensor } from '../../runtime/layout.js';
import { dimgOf, takePixels, writeDimg } from '../../runtime/loadable/index.js';
import { loadInput, readFile, type InputDescriptor } from '../input/load.js';
import { sidecarFor, type Sidecar } from '../input/sidecar.js';
import { DEFAULT_BOARD } from '../system.js';
import { columns } from './columns.js';
import { compilation } from './compilation.js';
import { reportText } from './compile-report.js';
import { bytes as byteText } from './format.js';
import { importOptions, type ImportArguments, inferences } from './input-files.js';
import { UsageError, type CommandIo } from './io.js';
import { Progress } from './progress.js';

export interface CompileOptions extends ImportArguments {
  /** The loadable. */
  readonly output?: string;
  readonly report?: boolean;
  /** File of the report's picture. */
  readonly svg?: string;
  /** MHz. */
  readonly clock: number;
  readonly device?: string;
  readonly precision?: 'int8' | 'fp16';
  readonly input?: readonly string[];
  readonly calibrate?: readonly string[];
  readonly fallback?: 'host' | 'forbid';
  readonly json?: boolean;
}

export function compileModel(model: string, options: CompileOptions, io: CommandIo): void {
  const target = options.device ?? DEFAULT_BOARD;
  if (!targets.includes(target)) throw new UsageError(`no target ${target}; there are ${targets.join(', ')}`);
  const file = readFile(model);
  const sidecar = sidecarFor(model);
  let calibrated: number | undefined;
  using progress = new Progress(io, `compiling ${basename(model)} for ${target}`);
  const settings = { ...options, model, calibrationFiles: options.calibrate, import: importOptions(options) };
  const program = compileOnnx(
    file,
    target,
    compilation(settings, sidecar, progress, (count) => (calibrated = count)),
  );
  const loadable =
    options.output === undefined ? undefined : loadableOf(program, sidecar, options.output, options);
  const wanted = options.report === true || options.svg !== undefined || loadable === undefined;
  const report = wanted ? reportOf(program, options.clock) : undefined;
  if (options.svg !== undefined) write(options.svg, new TextEncoder().encode(pictureOf(report!)));
  progress[Symbol.dispose]();
  if (options.json === true) {
    const all = { model, target, ...loadable, calibrationInputs: calibrated ?? 0, report };
    io.out(`${JSON.stringify(all, undefined, 2)}\n`);
    return;
  }
  if (loadable !== undefined) print(target, loadable, io);
  if (report !== undefined) io.out(`${loadable === undefined ? '' : '\n'}${reportText(report, io)}`);
  if (options.svg !== undefined) io.out(io.colours.dim(`\nthe picture: ${options.svg}\n`));
}

/** Writes the loadable, and inputs where some are given. */
function loadableOf(
  program: CompiledProgram,
  sidecar: Sidecar | undefined,
  output: string,
  options: CompileOptions,
): Loadable {
  const exported = exportLoadable(program);
  const loadable = writeLoadable(exported.loadable);
  const inputs = options.input === undefined ? [] : inputFiles(exported, options.input, sidecar, output);
  write(output, loadable);
  for (const { path, data } of inputs) write(path, data);
  return {
    file: output,
    bytes: loadable.length,
    layers: exported.segment.layers.length,
    tensors: exported.loadable.tensor_desc_list.map(({ name, c, h, w }, i) => ({
      name,
      direction: i < exported.segment.inputs.length ? 'input' : 'output',
      shape: [1, c, h, w],
    })),
    inputs: inputs.map(({ path }) => path),
    left: exported.left,
  };
}

function write(path: string, data: Uint8Array): void {
  try {
    writeFileSync(path, data);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const known =
      code === 'EACCES' || code === 'ENOENT' || code === 'ENOSPC' || code === 'EROFS' ? code : 'EIO';
    throw new AccelError(known, { field: path, reason: 'cannot be written', cause: error });
  }
}

/** What the device takes, made of files as the model's sidecar says: `net.nvdla` and input x give `net.x.dimg`. */
function inputFiles(
  { segment, loadable }: ExportedLoadable,
  files: readonly string[],
  sidecar: Sidecar | undefined,
  output: string,
): { path: string; data: Uint8Array }[] {
  const descriptors = segment.inputs.map(({ tensor }): InputDescriptor => ({
    name: tensor.name,
    dataType: tensor.type,
    shape: tensor.shape,
  }));
  const stem = output.slice(0, output.length - extname(output).length);
  const jobs = inferences(files, descriptors);
  return jobs.flatMap((job, index) =>
    segment.inputs.map((binding, i) => {
      const memory = new Uint8Array(binding.bytes);
      const elements = loadInput(job[binding.tensor.name]!, descriptors[i]!, sidecar);
      new BoundTensor({ ...binding, offset: 0 }, memory).pack(elements as Int8Array);
      const desc = loadable.tensor_desc_list[i]!;
      const number = jobs.length > 1 ? `.${index}` : '';
      const name = binding.tensor.name.replace(/[^\w.-]/g, '_');
      return {
        path: `${stem}${number}.${name}.dimg`,
        data: writeDimg(dimgOf(desc, takePixels(desc, memory))),
      };
    }),
  );
}

/** What was written. */
interface Loadable {
  readonly file: string;
  readonly bytes: number;
  readonly layers: number;
  readonly tensors: readonly {
    readonly name: string;
    readonly direction: string;
    readonly shape: readonly number[];
  }[];
  readonly inputs: readonly string[];
  readonly left: readonly string[];
}

function print(
  target: string,
  { file, bytes, layers, tensors, inputs, left }: Loadable,
  io: CommandIo,
): void {
  const { colours } = io;
  io.out(`${colours.bold(file)}: ${byteText(bytes)}, ${layers} layers for ${target}\n\n`);
  const rows = tensors.map(({ name, direction, shape }) => [direction, name, `[${shape.join(',')}]`]);
  io.out(columns(['', 'tensor', 'cube'], rows, { colours }));
  if (inputs.length > 0) io.out(`\nwritten too: ${inputs.join(', ')}\n`);
  if (left.length > 0) io.out(colours.dim(`\nnot in it, since the host computes it: ${left.join(', ')}\n`));
}
