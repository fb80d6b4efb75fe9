// Register-level test vectors: the readers and the player.
// Not test data: files are read by whoever calls.
export * from './cmod.js';
export * from './crc32.js';
export * from './gna.js';
export * from './play.js';
export * from './trace.js';
export * from './txn.js';
export * from './vector.js';
