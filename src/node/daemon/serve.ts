// A system with its daemon: what serve and with start.
// Not the command line.
import { AccelError } from '../../base/errors.js';
import type { MachineOptions } from '../../machine/index.js';
import { openSystem, type System, type SystemOptions } from '../system.js';
import { Daemon, type DaemonOptions } from './daemon.js';
import { ClientFiles } from './client-files.js';

export interface ServeOptions
  extends
    Pick<SystemOptions, 'devices' | 'engines' | 'staging' | 'dram' | 'clock' | 'today' | 'onGuestError'>,
    Pick<DaemonOptions, 'socket' | 'dri' | 'limits' | 'direct' | 'linger' | 'onDefect'> {}

/** MiB: all there can be, since many clients share it; costs nothing until touched. */
const DRAM = 4095;

/** A running daemon and the devices it serves. */
export interface Served extends AsyncDisposable {
  readonly system: System;
  readonly daemon: Daemon;
}

/** @throws AccelError as openSystem and Daemon */
export function serve(options: ServeOptions): Served {
  let pages: ClientFiles | undefined;
  const backing: MachineOptions['backing'] = (memory) => (pages = new ClientFiles(memory));
  const { devices, engines, staging, dram = DRAM, clock, today, onGuestError } = options;
  const system = openSystem({
    backing,
    ...(devices === undefined ? {} : { devices }),
    ...(engines === undefined ? {} : { engines }),
    ...(staging === undefined ? {} : { staging }),
    dram,
    ...(clock === undefined ? {} : { clock }),
    ...(today === undefined ? {} : { today }),
    ...(onGuestError === undefined ? {} : { onGuestError }),
  });
  let daemon: Daemon;
  try {
    if (pages === undefined) throw new AccelError('ENOMEM', { reason: 'DRAM has no pages to share' });
    daemon = new Daemon({ ...options, system, pages });
  } catch (error) {
    system[Symbol.dispose]();
    throw error;
  }
  return {
    system,
    daemon,
    async [Symbol.asyncDispose]() {
      await daemon.close();
      system[Symbol.dispose]();
    },
  };
}
