// The text of /proc/PID/fdinfo/FD of a device file: busy time and memory of one client. Core fact sheet section 9.
// Not a parser: readers are programs like gputop.
import type { AnyFile } from './ioctl.js';

const PCI_ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** As drm_fdinfo_print_size: the largest unit that divides the value. */
function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (unit < 2 && value !== 0 && value % 1024 === 0) {
    value /= 1024;
    unit++;
  }
  return `${value}${['', ' KiB', ' MiB'][unit]}`;
}

/** Bytes of a client's buffers, each object once. */
export interface MemoryUsage {
  readonly total: number;
  /** Of objects with more than one handle. */
  readonly shared: number;
  /** Of objects that a job uses. */
  readonly active: number;
}

export function memoryUsage(file: AnyFile): MemoryUsage {
  let total = 0;
  let shared = 0;
  let active = 0;
  for (const gem of file.objects()) {
    total += gem.size;
    if (gem.handles > 1) shared += gem.size;
    if (!gem.reservation.idle) active += gem.size;
  }
  return { total, shared, active };
}

/** One `key:<tab>value` per line. */
export function fdinfo(file: AnyFile): string {
  const { device, clientId } = file;
  const now = device.clock.now();
  const lines = [`drm-driver:\t${device.driver.name}`, `drm-client-id:\t${clientId}`];
  if (device.staging !== undefined)
    lines.push(`accel-staging:\t${device.staging.driver} until ${device.staging.until}`);
  if (PCI_ADDRESS.test(device.busName)) lines.push(`drm-pdev:\t${device.busName}`);
  // Equal engines share a name; a client that has used none of them still lists it, so that readers know it.
  const capacity = new Map<string, number>();
  for (const { name } of device.schedulers) capacity.set(name, (capacity.get(name) ?? 0) + 1);
  for (const name of file.busyTimes.keys()) if (!capacity.has(name)) capacity.set(name, 1);
  for (const [name, count] of capacity) {
    lines.push(`drm-engine-${name}:\t${Math.floor(file.busyTimes.get(name)?.busyNs(now) ?? 0)} ns`);
    if (count > 1) lines.push(`drm-engine-capacity-${name}:\t${count}`);
  }
  const { total, shared, active } = memoryUsage(file);
  lines.push(
    `drm-total-memory:\t${size(total)}`,
    `drm-shared-memory:\t${size(shared)}`,
    `drm-active-memory:\t${size(active)}`,
    `drm-resident-memory:\t${size(total)}`,
  );
  return `${lines.join('\n')}\n`;
}
