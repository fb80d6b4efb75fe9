// A client process and its connections: requests become calls of the core, results and descriptors go back.
// Not a device and not a driver: what a request means is in the core.
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { requestDirection, requestSize, type Ioctl } from '../../abi/ioctl.js';
import * as syncAbi from '../../abi/sync-file.js';
import { AccelError, errno } from '../../base/errors.js';
import { fd32 } from '../../base/struct.js';
import { dispatch } from '../../core/ioctl.js';
import { fdinfo, O_CLOEXEC, type Process } from '../../core/index.js';
import { memfdCreate, MFD_ALLOW_SEALING, MFD_CLOEXEC, fcntl, F_ADD_SEALS } from '../libc.js';
import { Endpoint, type Message } from '../wire/endpoint.js';
import {
  DirentType,
  HELLO_DETAILS,
  KEY_BYTES,
  Kind,
  MAX_PLACES,
  PathQuery,
  Reply,
  Request,
  WIRE_VERSION,
} from '../wire/messages.js';
import { close, peerCredentials, readProcess, type Credentials } from '../wire/sockets.js';
import type { Account } from './account.js';
import { Call, current, type Caller } from './call.js';
import type { Service } from './daemon.js';
import { OpenNode } from './node.js';
import type { WireObject } from './objects.js';
import { remoteProcess } from './remote-process.js';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, type TreeEntry } from './tree.js';

/** Requests of one connection that may be under way; only our own client has more than one. */
const MAX_CALLS = 1024;
const NO_PLACE = 0xffff;
const F_SEAL_ALL = 0x1 | 0x2 | 0x4 | 0x8;

/** The calls of descriptors other than nodes, by request, for their marked fields. */
const fdCalls = new Map<number, Ioctl>(
  Object.values(syncAbi)
    .filter((value) => typeof value === 'object' && 'request' in value)
    .map((def) => [(def as Ioctl).request, def as Ioctl]),
);

/** The argument of a call that is over, for the next one. Handlers get copies of the fields: nothing of a call that is over looks here. */
let spare: Uint8Array | undefined;

function takeArgument(bytes: number): Uint8Array {
  const known = spare;
  if (known?.length !== bytes) return new Uint8Array(bytes);
  spare = undefined;
  return known;
}

/** Offsets of the descriptor fields of a struct. */
const markedFields = new WeakMap<object, readonly number[]>();

function descriptorFields(def: Ioctl | undefined): readonly number[] {
  if (def?.layout === undefined) return [];
  let found = markedFields.get(def);
  if (found === undefined) {
    const { fields, offsets } = def.layout as {
      fields: Readonly<Record<string, unknown>>;
      offsets: Readonly<Record<string, number>>;
    };
    found = Object.keys(fields)
      .filter((name) => fields[name] === fd32)
      .map((name) => offsets[name]!);
    markedFields.set(def, found);
  }
  return found;
}

/** A process, over all its connections. */
export class Client {
  readonly key: string;
  readonly credentials: Credentials;
  readonly process: Process;
  /** Its pid when its memory may be read and written, else 0. */
  readonly memoryPid: number;
  readonly name: string;
  readonly id: number;
  readonly connections = new Set<Connection>();
  readonly account: Account;
  /** Objects it was given: it held a descriptor of each. Not their numbers, which are used again. */
  readonly attached = new WeakSet<WireObject>();
  /** Nodes it opened that are closing. */
  readonly closing = new Set<OpenNode>();
  /** It said BYE. */
  orderly = false;
  gone = false;

  constructor(
    id: number,
    key: string,
    name: string,
    credentials: Credentials,
    memoryPid: number,
    account: Account,
  ) {
    this.id = id;
    this.key = key;
    this.name = name;
    this.credentials = credentials;
    this.memoryPid = memoryPid;
    this.account = account;
    this.process = this.newProcess();
  }

  /** Who opens a node, to the core. One for each: it ends with the file, not with the process. */
  newProcess(): Process {
    const { pid, uid } = this.credentials;
    return remoteProcess({ pid, uid, admin: uid === 0, name: this.name, jobs: this.account.jobs });
  }

  /** The last connection is closed. Killed, unless it said BYE: files that only it had are not waited for. */
  end(): void {
    this.gone = true;
    if (this.orderly) return;
    for (const node of [...this.closing]) node.kill();
  }
}

/** The calls of one thread. */
export class Connection {
  readonly #service: Service;
  readonly #endpoint: Endpoint;
  readonly #credentials: Credentials;
  readonly #account: Account;
  readonly #calls = new Map<number, Call>();
  #client: Client | undefined;
  #caller: Caller | undefined;
  #details = false;

  /** Owns `fd` once it returns. @throws AccelError when the peer is gone already, EMFILE when it has too many */
  constructor(service: Service, fd: number) {
    this.#service = service;
    this.#credentials = peerCredentials(fd);
    this.#account = service.accounts.of(this.#credentials);
    this.#account.addConnection();
    this.#endpoint = new Endpoint({
      reactor: service.reactor,
      fd,
      onMessage: (message) => this.#message(message),
      onEnd: () => this.#ended(),
    });
  }

  /** Requests under way. */
  get calls(): number {
    return this.#calls.size;
  }

  end(): void {
    this.#endpoint.end();
  }

  #ended(): void {
    for (const call of [...this.#calls.values()]) call.lost();
    this.#service.connections.delete(this);
    this.#account.dropConnection();
    const client = this.#client;
    if (client === undefined) return;
    client.connections.delete(this);
    if (client.connections.size === 0) {
      this.#service.clients.delete(client.key);
      client.end();
    }
  }

  /** A throw cuts the connection: the message is none of docs/wire.md. */
  #message(message: Message): void {
    const { type, tag, fds } = message;
    if (type !== Request.ATTACH && type !== Request.GOT && fds.length > 0) {
      for (const fd of fds) close(fd);
      throw new Error('descriptors come along with ATTACH and GOT only');
    }
    if (type === Request.HELLO) return this.#hello(message);
    const client = this.#client;
    if (client === undefined) {
      for (const fd of fds) close(fd);
      throw new Error('HELLO comes first');
    }
    switch (type) {
      case Request.CALL:
        return this.#call(client, message);
      case Request.GOT: {
        const { result, payload } = message;
        const asked = this.#calls.get(tag);
        if (asked?.answered({ result, payload: payload.slice(), fds }) === true) return undefined;
        for (const fd of fds) close(fd);
        throw new Error('nobody asked');
      }
      case Request.CANCEL:
        this.#calls.get(tag)?.abort();
        return undefined;
      case Request.BYE:
        client.orderly = true;
        return undefined;
      default:
        this.#simple(client, message);
        return undefined;
    }
  }

  #hello({ tag, object, a, b, payload }: Message): void {
    if (this.#client !== undefined || payload.length < KEY_BYTES)
      throw new Error('HELLO comes once, with a key');
    if (object !== WIRE_VERSION) {
      this.#endpoint.send({ type: Reply.WELCOME, tag, object: WIRE_VERSION, result: -errno.EPROTO });
      throw new Error(`version ${object}`);
    }
    this.#details = (b & HELLO_DETAILS) !== 0n;
    const key = payload.slice(0, KEY_BYTES);
    const text = Buffer.from(key).toString('hex');
    const { pid, uid } = this.#credentials;
    let client = this.#service.clients.get(text);
    if (client !== undefined && (client.credentials.pid !== pid || client.credentials.uid !== uid))
      throw new Error('the key is of another process');
    if (client === undefined) {
      const name = new TextDecoder('latin1')
        .decode(payload.slice(KEY_BYTES, KEY_BYTES + 15))
        .replace(/\0.*$/s, '');
      client = this.#service.addClient(
        text,
        name,
        this.#credentials,
        this.#memoryPid(pid, a, key),
        this.#account,
      );
    }
    this.#client = client;
    this.#caller = {
      charged: client.account,
      endpoint: this.#endpoint,
      pid: client.memoryPid,
      identify: (fd) => this.#service.objects.identify(fd),
      see: (pid, number) => this.#service.objects.see(pid, number),
    };
    client.connections.add(this);
    this.#endpoint.send(
      { type: Reply.WELCOME, tag, object: WIRE_VERSION, a: this.#service.buffers.device, b: client.id },
      this.#service.prefixes,
    );
  }

  /** Whether the key can be read where the process says it is: then the pid is the right one, and so are the rights. */
  #memoryPid(pid: number, pointer: bigint, key: Uint8Array): number {
    if (pid === 0 || pointer === 0n || !this.#service.direct) return 0;
    const seen = readProcess(pid, Number(pointer), KEY_BYTES);
    return typeof seen !== 'number' && Buffer.compare(seen, key) === 0 ? pid : 0;
  }

  #call(client: Client, message: Message): void {
    const { tag, object: id, payload } = message;
    const request = message.result >>> 0;
    const size = requestSize(request);
    const direction = requestDirection(request);
    if (this.#calls.has(tag) || this.#calls.size >= MAX_CALLS) throw new Error(`tag ${tag} is under way`);
    // A copy: the reply overwrites the packet that the payload lies in, and a sleeping call keeps its argument. One that is too
    // short stays so, for the core to say what is wrong with it.
    const argument = direction.write && payload.length < size ? payload.slice() : takeArgument(size);
    if (!direction.write) argument.fill(0);
    else argument.set(payload.length === argument.length ? payload : payload.subarray(0, size));
    const call = new Call(this.#caller!, tag);
    let result: number | Promise<number>;
    let object: WireObject | undefined;
    try {
      object = this.#object(client, id);
      result = current.run(call, run, object, request, argument, client, call);
    } catch (error) {
      this.#reply(client, call, object, request, argument, error);
      spare = argument;
      return;
    }
    if (typeof result === 'number') {
      this.#reply(client, call, object, request, argument, result);
      spare = argument;
      return;
    }
    this.#calls.set(tag, call);
    // It may have asked a question, and found nobody there any more.
    if (this.#endpoint.ended) call.lost();
    const { reactor } = this.#service;
    reactor.begin();
    result.then(
      (value) => {
        reactor.end();
        this.#reply(client, call, object, request, argument, value);
      },
      (error: unknown) => {
        reactor.end();
        this.#reply(client, call, object, request, argument, error);
      },
    );
  }

  #object(client: Client, id: number): WireObject {
    const object = this.#service.objects.get(id);
    if (object !== undefined && client.attached.has(object)) return object;
    throw new AccelError('ESTALE', { field: 'object', reason: `${id} is no object that this process knows` });
  }

  #finish(call: Call): void {
    if (this.#calls.size > 0) this.#calls.delete(call.tag);
    call.finish();
  }

  #reply(
    client: Client,
    call: Call,
    object: WireObject | undefined,
    request: number,
    argument: Uint8Array,
    outcome: unknown,
  ): void {
    const { tag } = call;
    const back = requestDirection(request).read ? argument : undefined;
    const { placed } = call;
    if (typeof outcome === 'number' && placed === undefined) {
      // By far the usual case.
      this.#finish(call);
      this.#endpoint.send({ type: Reply.REPLY, tag, result: outcome }, back);
      return;
    }
    const fds: number[] = [];
    let error = typeof outcome === 'number' ? undefined : outcome;
    let places = 0n;
    let open = 0;
    if (error === undefined && placed !== undefined) {
      try {
        const def = object?.node?.file.device.ioctls[request & 0xff]?.def ?? fdCalls.get(request);
        const view = new DataView(argument.buffer, argument.byteOffset, argument.byteLength);
        for (const at of descriptorFields(def)) {
          if (at + 4 > argument.length) continue;
          const value = view.getInt32(at, true);
          const one = placed.find(({ placeholder }) => placeholder === value);
          if (one === undefined || fds.length === MAX_PLACES) continue;
          const { fd, object: made } = this.#service.objects.exportFile(one.file, one.flags, client.account);
          client.attached.add(made);
          if ((one.flags & O_CLOEXEC) === 0) open |= 1 << fds.length;
          places |= BigInt(at) << BigInt(16 * fds.length);
          fds.push(fd);
        }
      } catch (failure) {
        for (const fd of fds.splice(0)) close(fd);
        error = failure;
      }
    }
    for (let i = fds.length; i < MAX_PLACES; i++) places |= BigInt(NO_PLACE) << BigInt(16 * i);
    this.#finish(call);
    if (error !== undefined) {
      // The kernel copies out on errors too.
      this.#fail(tag, error, back);
      return;
    }
    this.#endpoint.send({ type: Reply.REPLY, tag, result: outcome as number, a: places, b: open }, back, fds);
  }

  #fail(tag: number, error: unknown, argument: Uint8Array = new Uint8Array(0)): void {
    const known = error instanceof AccelError ? error : this.#service.defect(error);
    let payload = argument;
    if (this.#details) {
      const { call, field, reason } = known;
      payload = Buffer.concat([argument, Buffer.from(JSON.stringify({ call, field, reason }))]);
    }
    this.#endpoint.send({ type: Reply.REPLY, tag, result: -known.errno, a: argument.length }, payload);
  }

  /** Requests that are over at once. */
  #simple(client: Client, message: Message): void {
    const { type, tag } = message;
    try {
      switch (type) {
        case Request.ATTACH:
          return this.#attach(client, message);
        case Request.OPEN:
          return this.#open(client, message);
        case Request.PATH:
          return this.#path(message);
        case Request.MMAP:
          return this.#mmap(client, message);
        case Request.FDINFO: {
          const { node } = this.#object(client, message.object);
          const text = node === undefined ? '' : fdinfo(node.file);
          this.#endpoint.send({ type: Reply.REPLY, tag }, Buffer.from(text));
          return undefined;
        }
      }
    } catch (error) {
      this.#fail(tag, error);
      return undefined;
    }
    throw new Error(`message ${type}`);
  }

  #attach(client: Client, { tag, fds }: Message): void {
    const [fd] = fds;
    const object = fds.length === 1 ? this.#service.objects.find(fd!) : undefined;
    for (const one of fds) close(one);
    if (object === undefined) {
      this.#endpoint.send({ type: Reply.REPLY, tag, a: Kind.NONE });
      return;
    }
    client.attached.add(object);
    this.#endpoint.send({
      type: Reply.REPLY,
      tag,
      object: object.id,
      a: object.kind,
      b: deviceNumber(object.device),
    });
  }

  #open(client: Client, { tag, a, payload }: Message): void {
    const flags = Number(a & 0xffffffffn);
    const { path, entry } = this.#service.tree.find(pathOf(payload), (flags & constants.O_NOFOLLOW) === 0);
    if (entry.type === 'link') throw new AccelError('EINVAL', { field: 'path', reason: `${path} is a link` });
    const directory = (flags & constants.O_DIRECTORY) !== 0;
    if (directory && entry.type !== 'dir') throw new AccelError('ENOTDIR', { field: 'path', reason: path });
    if (entry.type === 'node' || entry.type === 'sw_sync') {
      const { fd, object } =
        entry.type === 'node'
          ? this.#service.openNode(client, entry, flags)
          : this.#service.openSwSync(client);
      client.attached.add(object);
      const { id, kind, device } = object;
      this.#endpoint.send(
        { type: Reply.REPLY, tag, object: id, a: kind, b: deviceNumber(device) },
        undefined,
        [fd],
      );
      return;
    }
    const writes = (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
    if (entry.type === 'dir' && writes) throw new AccelError('EISDIR', { field: 'path', reason: path });
    if (writes) throw new AccelError('EACCES', { field: 'path', reason: `${path} is read only` });
    const fd = dataFile(path, entry);
    this.#endpoint.send({ type: Reply.REPLY, tag, a: Kind.DATA }, undefined, [fd]);
  }

  #path({ tag, a, payload }: Message): void {
    const query = Number(a);
    const { tree } = this.#service;
    const { path, entry } = tree.find(pathOf(payload), query === PathQuery.STAT || query === PathQuery.LIST);
    let body: Uint8Array | undefined;
    if (query === PathQuery.STAT) body = Buffer.from(path);
    if (query === PathQuery.READLINK) {
      if (entry.type !== 'link')
        throw new AccelError('EINVAL', { field: 'path', reason: `${path} is no link` });
      body = Buffer.from(entry.target);
    }
    if (query === PathQuery.LIST) {
      if (entry.type !== 'dir') throw new AccelError('ENOTDIR', { field: 'path', reason: path });
      body = Buffer.concat(
        [...entry.names].sort().map((name) => {
          const type = direntType(tree.find(`${path}/${name}`, false).entry);
          return Buffer.from(`${String.fromCharCode(type)}${name}\0`, 'latin1');
        }),
      );
    }
    const { mode, size } = status(entry);
    this.#endpoint.send({ type: Reply.REPLY, tag, a: mode, b: size }, body);
  }

  #mmap(client: Client, { tag, object: id, a: offset, b: length }: Message): void {
    const { node } = this.#object(client, id);
    if (node === undefined) throw new AccelError('ENODEV', { call: 'mmap', reason: 'not a device file' });
    const gem = node.file.mmapTarget(offset, Number(length));
    const { fd, offset: at } = this.#service.buffers.handOut(gem, constants.O_RDWR);
    this.#endpoint.send({ type: Reply.REPLY, tag, a: at }, undefined, [fd]);
  }
}

/** The call itself, with the caller as `current`. */
function run(
  object: WireObject,
  request: number,
  argument: Uint8Array,
  client: Client,
  call: Call,
): number | Promise<number> {
  const { node, file } = object;
  if (node === undefined) {
    return file!.ioctl(client.process, request, argument.length === 0 ? undefined : argument, call);
  }
  const { file: target } = node;
  target.beginCall();
  let result: number | Promise<number>;
  try {
    result = dispatch(target, request, argument, target.process.interrupt(call));
  } catch (error) {
    target.endCall();
    throw error;
  }
  if (typeof result === 'number') {
    target.endCall();
    return result;
  }
  return result.finally(() => target.endCall());
}

function pathOf(payload: Uint8Array): string {
  return Buffer.from(payload).toString('utf8').replace(/\0.*$/s, '');
}

function deviceNumber(device: readonly [number, number] | undefined): bigint {
  return device === undefined ? 0n : (BigInt(device[0]) << 32n) | BigInt(device[1]);
}

function direntType({ type }: TreeEntry): number {
  if (type === 'dir') return DirentType.DIR;
  if (type === 'link') return DirentType.LNK;
  return type === 'file' ? DirentType.REG : DirentType.CHR;
}

/** st_mode, and the device number of a node or the size of anything else. */
function status(entry: TreeEntry): { mode: number; size: bigint } {
  switch (entry.type) {
    case 'node':
      return { mode: S_IFCHR | 0o666, size: deviceNumber(entry.number) };
    case 'sw_sync':
      return { mode: S_IFREG | 0o600, size: 0n };
    case 'dir':
      return { mode: S_IFDIR | 0o755, size: 0n };
    case 'link':
      return { mode: S_IFLNK | 0o777, size: BigInt(entry.target.length) };
    case 'file':
      // As sysfs says of every file.
      return { mode: S_IFREG | 0o444, size: 4096n };
  }
}

/** A memfd with the bytes of a file, or only the name of a folder: its name tells what it is. Read only, sealed. */
function dataFile(path: string, entry: TreeEntry & { type: 'file' | 'dir' }): number {
  const fd = memfdCreate(`accel-${entry.type}:${path}`.slice(0, 249), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  try {
    if (entry.type === 'file') {
      const text = entry.text();
      writeSync(fd, typeof text === 'string' ? Buffer.from(text) : text);
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_ALL);
    return openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY);
  } finally {
    closeSync(fd);
  }
}
