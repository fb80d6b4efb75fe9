// The daemon: a system's devices for the processes that connect to a socket. docs/wire.md is the protocol.
// Not the command: cli/serve.ts.
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { AccelError } from '../../base/errors.js';
import { SwSyncTimeline } from '../../core/index.js';
import type { System } from '../system.js';
import { Reactor } from '../wire/reactor.js';
import type { SharedPages } from '../wire/shared-pages.js';
import { accept, close, connect, EPOLLIN, listen, type Credentials } from '../wire/sockets.js';
import { Buffers } from './buffers.js';
import { Client, Connection } from './client.js';
import { OpenNode } from './node.js';
import { Objects, type WireObject } from './objects.js';
import { Tree, type TreeEntry } from './tree.js';

const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;

/** What one process may have at most. */
export interface Limits {
  /** Descriptors of ours: EMFILE. */
  readonly files: number;
  /** Bytes of buffers: ENOMEM. */
  readonly bytes: number;
  /** Unfinished jobs in one queue of one open file: EBUSY. */
  readonly jobs: number;
}

export const DEFAULT_LIMITS: Limits = { files: 8192, bytes: 2 ** 31, jobs: 4096 };

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
  /** Told of defects: a request that ended in what is no AccelError. */
  onDefect?(error: unknown): void;
}

/** What connections need of the daemon. */
export interface Service {
  readonly reactor: Reactor;
  readonly buffers: Buffers;
  readonly objects: Objects;
  readonly tree: Tree;
  readonly limits: Limits;
  readonly direct: boolean;
  readonly prefixes: Uint8Array;
  readonly connections: Set<Connection>;
  readonly clients: Map<string, Client>;
  addClient(key: string, name: string, credentials: Credentials, memoryPid: number): Client;
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
  readonly #closing = new Set<Promise<void>>();
  #clients = 0;
  #closed = false;

  /** @throws AccelError EBUSY when a daemon listens at `socket`, EACCES, ENOENT */
  constructor(options: DaemonOptions) {
    const { system, socket } = options;
    this.socket = socket;
    this.#system = system;
    this.#listening = listenAt(socket);
    this.#reactor = new Reactor({ busy: () => system.machine.devices.some(({ inFlight }) => inFlight > 0) });
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
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      direct: options.direct ?? true,
      prefixes: Buffer.from(tree.prefixes.map((prefix) => `${prefix}\0`).join('')),
      connections,
      clients: new Map(),
      addClient: (key, name, credentials, memoryPid) => {
        const client = new Client(++this.#clients, key, name, credentials, memoryPid, this.#service.limits);
        this.#service.clients.set(key, client);
        return client;
      },
      openNode: (client, entry, flags) => this.#openNode(client, entry, flags),
      openSwSync: (client) => {
        const timeline = new SwSyncTimeline(clock, client.name);
        return this.#objects.exportFile(timeline, 0, client);
      },
      defect: (error) => {
        options.onDefect?.(error);
        return new AccelError('EIO', { reason: 'a defect of the daemon', cause: error });
      },
    };
    this.#reactor.add(this.#listening, EPOLLIN, () => this.#accept());
  }

  get stats(): DaemonStats {
    const { clients, connections } = this.#service;
    let calls = 0;
    for (const connection of connections) calls += connection.calls;
    return { clients: clients.size, connections: connections.size, objects: this.#objects.count, calls };
  }

  /** Takes no more clients, cuts those there are, and resolves when their files are closed and their jobs over. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#reactor.remove(this.#listening);
    close(this.#listening);
    try {
      unlinkSync(this.socket);
    } catch {
      // Somebody else has removed it.
    }
    for (const client of this.#service.clients.values()) client.orderly = true;
    for (const connection of [...this.#service.connections]) connection.end();
    this.#objects.closeAll();
    await Promise.all(this.#closing);
    this.#buffers[Symbol.dispose]();
    this.#reactor.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(): void {
    let fd: number | undefined;
    try {
      fd = accept(this.#listening);
      if (fd !== undefined) this.#service.connections.add(new Connection(this.#service, fd));
    } catch {
      // No descriptor is free, or the peer is gone already: it sees the hang-up.
      if (fd !== undefined) close(fd);
    }
  }

  #openNode(
    client: Client,
    entry: TreeEntry & { readonly type: 'node' },
    flags: number,
  ): { fd: number; object: WireObject } {
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
        this.#closing.add(closed);
        if (client.gone && !client.orderly) node.kill();
      },
      () => {
        client.closing.delete(node);
        this.#closing.delete(closed);
        over();
      },
    );
    try {
      const nonblock = (flags & O_NONBLOCK) !== 0;
      const { fd, object, end } = this.#objects.exportNode(node, entry.number, nonblock, client);
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
