// What does one register access cost, and does it allocate?
// Not a device's work: it reads and writes a register that only keeps its value.
import { openSystem } from '../src/node/system.js';
import { registerMaps } from '../src/hw/nvdla/index.js';
import { platformDevice } from '../src/bus/platform.js';
import { print } from './harness.js';

const ACCESSES = 2_000_000;

export function mmio(): Promise<void> {
  const system = openSystem({ devices: ['nvdla:nv_small'], bare: true });
  const { slot } = system.device();
  const window = platformDevice(slot, []).mmio(0);
  const { base, units } = registerMaps.small;
  const at = base.CDMA! + units.CDMA.D_CVT_OFFSET.at;
  const plain = new Uint32Array(1 << 16);
  let sum = 0;
  const time = (run: (i: number) => void): number => {
    for (let i = 0; i < 100_000; i++) run(i);
    const start = performance.now();
    for (let i = 0; i < ACCESSES; i++) run(i);
    return ((performance.now() - start) * 1e6) / ACCESSES;
  };
  const array = time((i) => (sum += plain[i & 0xffff]!));
  const before = process.memoryUsage().heapUsed;
  const read = time(() => (sum += window.read32(at)));
  const write = time((i) => window.write32(at, i));
  const grown = (process.memoryUsage().heapUsed - before) / (2 * ACCESSES);
  const row = (what: string, ns: number) => ({
    what,
    ours: `${ns.toFixed(1)} ns`,
    peer: `${array.toFixed(1)} ns`,
    peerName: 'Uint32Array read in the same loop',
    ratio: ns / array,
    aim: '< 1000 ns',
  });
  print(`register access; heap growth ${grown.toFixed(2)} bytes per access, checksum ${sum >>> 0}`, [
    row('MMIO read', read),
    row('MMIO write', write),
  ]);
  system[Symbol.dispose]();
  return Promise.resolve();
}
