// Runs models: WebNN's API over any AccelFile.
// Not a driver or a device: it only opens files.
export {};
