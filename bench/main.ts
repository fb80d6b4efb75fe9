// Runs the benchmarks; each prints a ratio against a named peer.
// Not a test: no time is asserted.
export {};
