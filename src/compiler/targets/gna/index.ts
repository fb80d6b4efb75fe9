// The GNA target. One place to import it from outside.
// Not a device.
export { compileGna, type GnaOptions } from './compile.js';
