#!/usr/bin/env node
// The program accel: the command line on this process's streams.
// Not the commands.
import { cli } from './cli.js';
import { processIo } from './io.js';

// Whoever reads a pipe may leave: `accel check nvdla | head`. What is left unsaid is nobody's loss.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });

process.exitCode = await cli(process.argv.slice(2), processIo());
