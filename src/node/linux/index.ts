// The kernel's own accelerators: files over its nodes, and what nodes there are.
// Not our daemon's: under its preload library these same calls reach it.
export { LinuxFile, type LinuxOpenOptions } from './linux-file.js';
export { linuxNode, linuxNodes, type LinuxNode } from './nodes.js';
