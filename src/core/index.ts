// The core, for drivers and whoever puts a machine together.
// Not a driver and not a device.
export * from './accel-file.js';
export * from './address-space.js';
export * from './core.js';
export * from './device.js';
export * from './driver.js';
export * from './entity.js';
export * from './events.js';
export * from './fd-table.js';
export * from './fence.js';
export * from './file.js';
export * from './gem.js';
export * from './health.js';
export * from './histogram.js';
export * from './job.js';
export * from './local-file.js';
export * from './prime.js';
export * from './process.js';
export * from './reservation.js';
export { priorities, type Priority } from './run-queue.js';
export * from './scheduler.js';
export * from './trace.js';
export * from './usage.js';
export * from './user-memory.js';
export * from './wait.js';
export * from './manifest.js';
