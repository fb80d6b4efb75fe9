// Reads the kernel modules that the build put into dist/kernels.
// Not a build: a missing module is an error that says how to make it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compileModule, type WasmModule } from '../base/wasm.js';
import type { Kernels } from '../machine/engines.js';
import { models } from '../machine/models.js';

let loaded: Kernels | undefined;

/** Every model's module, compiled once per process. */
export function loadKernels(): Kernels {
  loaded ??= Object.fromEntries(
    models
      .filter((model) => model.engine !== undefined && model.kernels !== false)
      .map((model) => [model.name, load(model.name)]),
  );
  return loaded;
}

function load(name: string): WasmModule {
  const path = fileURLToPath(new URL(`../../kernels/${name}.wasm`, import.meta.url));
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new Error(`kernel module ${name}.wasm is missing: run npm run build`, { cause });
  }
  return compileModule(bytes);
}
