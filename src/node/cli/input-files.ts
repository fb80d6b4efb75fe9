// What a command line says of a model's inputs: which file is for which, and what is known when it is compiled.
// Not reading them: node/input does.
import type { ImportOptions } from '../../compiler/index.js';
import type { InputDescriptor } from '../input/load.js';
import { UsageError } from './io.js';

/**
 * Files by input name, per inference: NAME=FILE, files in the order of the inputs, or many files for one input.
 * @throws UsageError that says what the model takes
 */
export function inferences(
  files: readonly string[],
  inputs: readonly InputDescriptor[],
): Record<string, string>[] {
  const names = inputs.map(({ name }) => name);
  const wanted = inputs
    .map(({ name, dataType, shape }) => `${name} (${dataType} [${shape.join(',')}])`)
    .join(', ');
  if (files.length === 0) throw new UsageError(`--input is missing: the model takes ${wanted}`);
  const named = files.map((file) => {
    const name = names.find((candidate) => file.startsWith(`${candidate}=`));
    return name === undefined ? { file } : { name, file: file.slice(name.length + 1) };
  });
  if (names.length === 1) return named.map(({ file }) => ({ [names[0]!]: file }));
  if (files.length !== names.length)
    throw new UsageError(`${files.length} inputs given, the model takes ${names.length}: ${wanted}`);
  const job: Record<string, string> = {};
  for (const { name, file } of named) if (name !== undefined) job[name] = file;
  const rest = names.filter((name) => !(name in job));
  for (const { name, file } of named) if (name === undefined) job[rest.shift()!] = file;
  if (names.some((name) => !(name in job)))
    throw new UsageError(`an input is given twice; the model takes ${wanted}`);
  return [job];
}

export interface ImportArguments {
  readonly dim?: readonly string[];
  readonly constant?: readonly string[];
}

/** `--dim NAME=SIZE` and `--constant NAME=NUMBER`. */
export function importOptions({ dim = [], constant = [] }: ImportArguments): ImportOptions {
  const pairs = (list: readonly string[], option: string): [string, number][] =>
    list.map((text) => {
      const [, name, value] = /^(.+)=(-?\d+)$/.exec(text) ?? [];
      if (name === undefined) throw new UsageError(`${option} ${text}: NAME=NUMBER is needed`);
      return [name, Number(value)];
    });
  return {
    dimensions: Object.fromEntries(pairs(dim, '--dim')),
    constants: Object.fromEntries(
      pairs(constant, '--constant').map(([name, value]) => [name, BigInt64Array.of(BigInt(value))]),
    ),
  };
}
