#!/usr/bin/env node
// The program accel: the command line on this process's streams.
// Not the commands.
import { cli } from './cli.js';
import { processIo } from './io.js';

process.exitCode = await cli(process.argv.slice(2), processIo());
