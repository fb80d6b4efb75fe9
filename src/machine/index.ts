// Puts systems together: DRAM, buses, models, engines, faults.
// Not a platform: threads and files are node/'s and web/'s.
export {};
