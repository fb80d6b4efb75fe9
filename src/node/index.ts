// What needs Node: worker threads, files, the command line.
// Not a place for behaviour of devices or drivers.
export {};
