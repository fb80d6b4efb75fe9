// Buses for whoever puts a machine together. Drivers import ./device.js, models ./port.js, and nothing else.
export * from './device.js';
export * from './iommu.js';
export * from './irq.js';
export * from './mmio.js';
export * from './pci-config.js';
export * from './pci.js';
export * from './platform.js';
export * from './port.js';
