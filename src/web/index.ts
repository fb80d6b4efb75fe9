// A machine in a browser: core, drivers and devices on a page, engines in the page's thread.
// Not a page: whoever embeds it fetches the kernel modules and draws.
import '../base/symbols.js';
import { compileModule } from '../base/wasm.js';
import type { AccelFile } from '../core/accel-file.js';
import { Process } from '../core/process.js';
import { InlineEngines, Machine } from '../machine/index.js';
import { BrowserClock } from './clock.js';

export interface BrowserSystemOptions {
  /** Board names. */
  readonly devices: readonly string[];
  /** Bytes of each model's kernel module: dist/kernels/<model>.wasm. */
  readonly kernels: Readonly<Record<string, Uint8Array>>;
  readonly dram?: number;
  /** Lets drivers in staging load. Default false. */
  readonly staging?: boolean;
}

export interface BrowserSystem extends Disposable {
  readonly machine: Machine;
  open(device: string): AccelFile;
}

/** @throws AccelError ENODEV for a board that is not known */
export function openBrowserSystem(options: BrowserSystemOptions): BrowserSystem {
  const clock = new BrowserClock();
  const kernels = Object.fromEntries(
    Object.entries(options.kernels).map(([name, bytes]) => [name, compileModule(bytes)]),
  );
  const machine = new Machine({
    boards: options.devices,
    clock,
    staging: options.staging ?? false,
    today: new Date().toISOString().slice(0, 10),
    engines: new InlineEngines(clock, kernels),
    dram: options.dram ?? 256,
  });
  return {
    machine,
    open: (name) => machine.core.open(machine.device(name)?.accel ?? name, new Process()),
    [Symbol.dispose]: () => machine[Symbol.dispose](),
  };
}
