// The daemon: a system's devices for the processes that connect to a socket. docs/wire.md is the protocol.
// Not the command: cli/serve.ts.
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { AccelError } from '../../base/errors.js';
import { SwSyncTimeline } from '../../core/index.js';
import type { System } from '../system.js';
import { Reactor } from '../wire/reactor.js';
import type { SharedPages } from '../wire/shared-pages.js';
import { accept, close, connect, EPOLLIN, listen, type Credentials } from '../wire/sockets.js';
import { Accounts, DEFAULT_LIMITS, type Account, type Limits } from './account.js';
import { Buffers } from './buffers.js';
import { Client, Connection } from './client.js';
import { OpenNode } from './node.js';
import { Objects, type WireObject } from './objects.js';
import { Tree, type TreeEntry } from './tree.js';

const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;

/** How long close waits for jobs, milliseconds, unless told. */
export const DRAIN_MS = 10_000;
/** How long a client that has files open may still ask for results after the last job, milliseconds. */
const ASK_MS = 200;
/** How often a daemon that stops looks whether jobs are left, milliseconds. */
const LOOK_MS = 5;
/** How long nobody is let in when no descriptor is free. */
const PAUSE_MS = 50;

export interface DaemonOptions {
  /** Not owned. */
  readonly system: System;
  /** The system's buffers as files. */
  readonly pages: SharedPages;
  /** Path of the socket. One that nobody listens at is replaced. */
  readonly socket: string;
  /** Shows all devices as /dev/dri/cardN and renderDN too. Default false: render nodes of drivers whose programs look there. */
  readonly dri?: boolean;
  readonly limits?: Partial<Limits>;
  /** False: user memory is reached by messages only. Default true: where the system allows it, directly. */
  readonly direct?: boolean;
  /** False: this thread never sleeps for the next message, since clients are in it. Default true. */
  readonly linger?: boolean;
  /** Told of defects: a request that ended in what is no AccelError. */
  onDefect?(error: unknown): void;
}

/** What connections need of the daemon. */
export interface Service {
  readonly reactor: Reactor;
  readonly buffers: Buffers;
  readonly objects: Objects;
  readonly tree: Tree;
  readonly accounts: Accounts;
  readonly direct: boolean;
  readonly prefixes: Uint8Array;
  readonly connections: Set<Connection>;
  readonly clients: Map<string, Client>;
  addClient(key: string, name: string, credentials: Credentials, memoryPid: number, account: Account): Client;
  /** @throws AccelError as open(2) */
  openNode(
    client: Client,
    entry: TreeEntry & { readonly type: 'node' },
    flags: number,
  ): { fd: number; object: WireObject };
  openSwSync(client: Client): { fd: number; object: WireObject };
  defect(error: unknown): AccelError;
}

export interface DaemonStats {
  readonly clients: number;
  readonly connections: number;
  /** Descriptors in client processes. */
  readonly objects: number;
  /** Requests under way. */
  readonly calls: number;
  /** Jobs of clients that are not finished. */
  readonly jobs: number;
}

export class Daemon implements AsyncDisposable {
  readonly socket: string;
  readonly #system: System;
  readonly #reactor: Reactor;
  readonly #buffers: Buffers;
  readonly #objects: Objects;
  readonly #service: Service;
  readonly #listening: number;
  /** Nodes whose jobs are not over. */
  readonly #hungUp = new Set<Promise<void>>();
  #clients = 0;
  #closing: Promise<number> | undefined;
  /** The socket is not looked at: no descriptor is free. */
  #paused = false;

  /** @throws AccelError EBUSY when a daemon listens at `socket`, EACCES, ENOENT */
  constructor(options: DaemonOptions) {
    const { system, socket } = options;
    this.socket = socket;
    this.#system = system;
    this.#listening = listenAt(socket);
    this.#reactor = new Reactor({
      linger: options.linger ?? true,
      busy: () => system.machine.devices.some(({ inFlight }) => inFlight > 0),
    });
    const { clock } = system;
    this.#buffers = new Buffers({
      reactor: this.#reactor,
      pages: options.pages,
      clock,
      onRelease: (buffer) => this.#objects.forgetBuffer(buffer),
    });
    this.#objects = new Objects({ reactor: this.#reactor, buffers: this.#buffers });
    const tree = new Tree(system.machine, { dri: options.dri ?? false });
    const connections = new Set<Connection>();
    this.#service = {
      reactor: this.#reactor,
      buffers: this.#buffers,
      objects: this.#objects,
      tree,
      accounts: new Accounts({ ...DEFAULT_LIMITS, ...options.limits }),
      direct: options.direct ?? true,
      prefixes: Buffer.from(tree.prefixes.map((prefix) => `${prefix}\0`).join('')),
      connections,
      clients: new Map(),
      addClient: (key, name, credentials, memoryPid, account) => {
        const client = new Client(++this.#clients, key, name, credentials, memoryPid, account);
        this.#service.clients.set(key, client);
        return client;
      },
      openNode: (client, entry, flags) => this.#openNode(client, entry, flags),
      openSwSync: (client) => {
        const timeline = new SwSyncTimeline(clock, client.name);
        return this.#objects.exportFile(timeline, 0, client.account);
      },
      defect: (error) => {
        options.onDefect?.(error);
        return new AccelError('EIO', { reason: 'a defect of the daemon', cause: error });
      },
    };
    this.#reactor.add(this.#listening, EPOLLIN, () => this.#accept());
  }

  get stats(): DaemonStats {
    const { clients, connections, accounts } = this.#service;
    let calls = 0;
    for (const connection of connections) calls += connection.calls;
    return {
      clients: clients.size,
      connections: connections.size,
      objects: this.#objects.count,
      calls,
      jobs: accounts.unfinished,
    };
  }

  /**
   * Stops as a device that goes away: files can no more be opened and jobs no more be submitted (ENODEV), all other calls go on. The
   * jobs there are finish, for at most `drainMs`, and who waits for them is told. Then every connection is cut and every file
   * closed. Resolves to how many jobs were not finished; the same when it is called again.
   */
  close({ drainMs = DRAIN_MS }: { readonly drainMs?: number } = {}): Promise<number> {
    return (this.#closing ??= this.#close(drainMs));
  }

  async #close(drainMs: number): Promise<number> {
    const { accounts } = this.#service;
    accounts.refuseJobs('ENODEV');
    await this.#drain(drainMs);
    const left = accounts.unfinished;
    this.#paused = false;
    this.#reactor.remove(this.#listening);
    close(this.#listening);
    try {
      unlinkSync(this.socket);
    } catch {
      // Somebody else has removed it.
    }
    // What is left had its time: files do not wait for it once more.
    for (const client of this.#service.clients.values()) client.orderly = left === 0;
    for (const connection of [...this.#service.connections]) connection.end();
    this.#objects.closeAll();
    await Promise.all(this.#hungUp);
    this.#buffers[Symbol.dispose]();
    this.#reactor.close();
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #drain(ms: number): Promise<void> {
    const { accounts, connections } = this.#service;
    const end = performance.now() + ms;
    while (accounts.unfinished > 0 && performance.now() < end) await sleep(LOOK_MS);
    // Who has not asked yet how its job ended is about to.
    const asked = Math.min(end, performance.now() + ASK_MS);
    while (connections.size > 0 && this.#files > 0 && performance.now() < asked) await sleep(LOOK_MS);
  }

  /** Device files that somebody holds. */
  get #files(): number {
    return this.#system.machine.core.devices().reduce((sum, { files }) => sum + files.size, 0);
  }

  #accept(): void {
    let fd: number | undefined;
    try {
      fd = accept(this.#listening);
      if (fd !== undefined) this.#service.connections.add(new Connection(this.#service, fd));
    } catch {
      // The peer is gone already, or no descriptor is free for it: it sees the hang-up.
      if (fd !== undefined) close(fd);
      else this.#pause();
    }
  }

  /** No descriptor is free for who waits at the socket, which stays ready: nobody is let in for a while. */
  #pause(): void {
    this.#paused = true;
    this.#reactor.modify(this.#listening, 0);
    setTimeout(() => {
      if (this.#paused) this.#reactor.modify(this.#listening, EPOLLIN);
      this.#paused = false;
    }, PAUSE_MS).unref();
  }

  #openNode(
    client: Client,
    entry: TreeEntry & { readonly type: 'node' },
    flags: number,
  ): { fd: number; object: WireObject } {
    if (this.#closing !== undefined)
      throw new AccelError('ENODEV', { call: 'open', reason: 'the daemon stops' });
    const process = client.newProcess();
    const local = this.#system.machine.core.open(entry.device, process, {
      exclusive: (flags & O_EXCL) !== 0,
      nonblock: true,
    });
    let over: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => {
      over = resolve;
    });
    const node: OpenNode = new OpenNode(
      local,
      process,
      this.#reactor,
      () => {
        client.closing.add(node);
        this.#hungUp.add(closed);
        if (client.gone && !client.orderly) node.kill();
      },
      () => {
        client.closing.delete(node);
        this.#hungUp.delete(closed);
        over();
      },
    );
    try {
      const nonblock = (flags & O_NONBLOCK) !== 0;
      const { fd, object, end } = this.#objects.exportNode(node, entry.number, nonblock, client.account);
      node.attach(end);
      return { fd, object };
    } catch (error) {
      node.hangUp();
      throw error;
    }
  }
}

/** Listens at `path`, mode 0600, in place of a socket that nobody listens at any more. */
function listenAt(path: string): number {
  const known = lstatSync(path, { throwIfNoEntry: false });
  if (known?.isSocket() === true) {
    let there: number | undefined;
    try {
      there = connect(path);
    } catch {
      unlinkSync(path);
    }
    if (there !== undefined) {
      close(there);
      throw new AccelError('EBUSY', { field: 'socket', reason: `a daemon listens at ${path} already` });
    }
  }
  const before = process.umask(0o177);
  try {
    const fd = listen(path);
    chmodSync(path, 0o600);
    return fd;
  } finally {
    process.umask(before);
  }
}
