// Kernels of the NVDLA model: inner loops over DRAM addresses, called by src/devices/nvdla/engine.
// Not a model: shapes, registers and order are the engine's business.
export * from './cube';
export * from './move';
export * from './sdp';
export * from './sdp-chain';
export * from './sdp-convert';
export * from './sdp-half';
export * from './pdp';
export * from './pdp-half';
export * from './lut';
export * from './lut-half';
export * from './cdp';
export * from './cdp-half';
export * from './conv-features';
export * from './conv-pixels';
export * from './conv-expand';
export * from './conv-pack';
export * from './conv-panels';
export * from './conv-dot';
export * from './conv-wide';
export * from './conv-converter';
export { convDecodeHalf, convHalf, convHalfWork, convNansHalf, convPackHalf, convWord } from './conv-half';
export * from './winograd';
export { convPreAddHalf, convWinogradHalf, convWinogradWork } from './winograd-half';
