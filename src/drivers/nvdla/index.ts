// The NVDLA driver.
// Not the device: nothing here reaches round the bus.
export {};
