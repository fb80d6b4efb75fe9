// accel compile: a model to a loadable, the file that NVDLA's runtimes take; its inputs as DIMG files.
// Not a run: accel run takes the file.
import { writeFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { AccelError } from '../../base/errors.js';
import { exportLoadable, type ExportedLoadable, writeLoadable } from '../../compiler/loadable/index.js';
import { targets } from '../../compiler/index.js';
import { compileOnnx } from '../../runtime/index.js';
import { BoundTensor } from '../../runtime/layout.js';
import { dimgOf, takePixels, writeDimg } from '../../runtime/loadable/index.js';
import { loadInput, readFile, type InputDescriptor } from '../input/load.js';
import { sidecarFor, type Sidecar } from '../input/sidecar.js';
import { DEFAULT_BOARD } from '../system.js';
import { columns } from './columns.js';
import { compilation } from './compilation.js';
import { bytes as byteText } from './format.js';
import { importOptions, type ImportArguments, inferences } from './input-files.js';
import { UsageError, type CommandIo } from './io.js';
import { Progress } from './progress.js';

export interface CompileOptions extends ImportArguments {
  readonly output: string;
  readonly device?: string;
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
  const exported = exportLoadable(program);
  const loadable = writeLoadable(exported.loadable);
  const inputs =
    options.input === undefined ? [] : inputFiles(exported, options.input, sidecar, options.output);
  write(options.output, loadable);
  for (const { path, data } of inputs) write(path, data);
  progress[Symbol.dispose]();
  const report = {
    model,
    target,
    file: options.output,
    bytes: loadable.length,
    layers: exported.segment.layers.length,
    calibrationInputs: calibrated ?? 0,
    tensors: exported.loadable.tensor_desc_list.map(({ name, c, h, w }, i) => ({
      name,
      direction: i < exported.segment.inputs.length ? 'input' : 'output',
      shape: [1, c, h, w],
    })),
    inputs: inputs.map(({ path }) => path),
    left: exported.left,
  };
  if (options.json === true) io.out(`${JSON.stringify(report, undefined, 2)}\n`);
  else print(report, io);
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

interface Report {
  readonly target: string;
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

function print({ target, file, bytes, layers, tensors, inputs, left }: Report, io: CommandIo): void {
  const { colours } = io;
  io.out(`${colours.bold(file)}: ${byteText(bytes)}, ${layers} layers for ${target}\n\n`);
  const rows = tensors.map(({ name, direction, shape }) => [direction, name, `[${shape.join(',')}]`]);
  io.out(columns(['', 'tensor', 'cube'], rows, { colours }));
  if (inputs.length > 0) io.out(`\nwritten too: ${inputs.join(', ')}\n`);
  if (left.length > 0) io.out(colours.dim(`\nnot in it, since the host computes it: ${left.join(', ')}\n`));
}
