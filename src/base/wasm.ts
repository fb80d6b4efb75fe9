// Types for the parts of WebAssembly used here: no platform library is loaded outside node/ and web/.
// Not a loader: modules are handed in by whoever can read files or fetch.

export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}
/** A compiled module: can be posted to workers. */
export interface WasmModule {
  readonly kind?: 'wasm-module';
}
interface WasmNamespace {
  Memory: new (options: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  Instance: new (
    module: WasmModule,
    imports: Record<string, Record<string, unknown>>,
  ) => { exports: unknown };
  Module: new (bytes: Uint8Array) => WasmModule;
}
const wasm = (globalThis as unknown as { WebAssembly: WasmNamespace }).WebAssembly;

/** One WebAssembly page, bytes. */
export const WASM_PAGE = 65536;

/** A shared memory of exactly `bytes` (rounded up to 64 KiB). Pages cost nothing until touched. */
export function sharedMemory(bytes: number): WasmMemory {
  const pages = Math.ceil(bytes / WASM_PAGE);
  return new wasm.Memory({ initial: pages, maximum: 65536, shared: true });
}

export function compileModule(bytes: Uint8Array): WasmModule {
  return new wasm.Module(bytes);
}

/** Instantiates a kernel module over the machine's memory. `E` is the set of its exports. */
export function instantiate<E>(module: WasmModule, memory: WasmMemory): E {
  const abort = (): never => {
    throw new Error('kernel aborted');
  };
  return new wasm.Instance(module, { env: { memory, abort } }).exports as E;
}
