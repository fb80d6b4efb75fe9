// The NVDLA device model.
// Not a driver: it knows registers and memory only.
export {};
