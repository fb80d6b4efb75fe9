// Runs models: WebNN's API over any AccelFile.
// Not a driver or a device: it only opens files.
export type { Values } from './backends/backend.js';
export * from './builder.js';
export * from './builder-options.js';
export * from './compile.js';
export * from './context.js';
export * from './graph.js';
export * from './host-executor.js';
export { prepareHost } from './host/segment.js';
export * from './limits.js';
export * from './loadable/index.js';
export * from './operand.js';
export type { MLPlacement } from './placement.js';
export * from './stats.js';
export * from './tensor.js';
