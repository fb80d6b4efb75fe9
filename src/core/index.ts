// The core, for drivers and whoever puts a machine together.
// Not a driver and not a device.
export * from './accel-file.js';
export * from './driver.js';
export * from './usage.js';
