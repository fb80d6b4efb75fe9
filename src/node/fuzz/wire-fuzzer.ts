// The fuzzer of the wire: random, spoilt and cut messages from several connections to a daemon, and what must hold meanwhile.
// Not of the calls themselves: fuzzer.ts. The daemon is in this process, its engines inline, its clock moved from here, and a message is
// sent only when the one before has been dealt with: so a seed repeats exactly.
//
// What must hold:
//   - a request is answered once, with its tag, or the connection is cut; OPEN, PATH, ATTACH, MMAP and FDINFO at once;
//   - nothing but AccelError comes out of a request, the driver counts no defect;
//   - no byte of the quiet client's memory is in a reply or in a memory file of any other client;
//   - the quiet client's job works at every check, and its memory is as it left it;
//   - when all is closed nothing is held: clients, objects, files, jobs, DRAM, descriptors.
import { fstatSync, mkdtempSync, openSync, readdirSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestClock } from '../../base/clock.js';
import { errnoName } from '../../base/errors.js';
import * as drm from '../../abi/drm.js';
import { adapterFor, call, type SuiteBuffer, type SuiteJob } from '../../testing/index.js';
import { Connection, RemoteFile } from '../client/index.js';
import { serve, type Served } from '../daemon/serve.js';
import { memfdCreate, MFD_CLOEXEC } from '../libc.js';
import { SUITE_TODAY, turn } from '../suite-system.js';
import { HEADER, Reply, Request } from '../wire/messages.js';
import { close, duplicate, eventfd, Packet, shutdownWrite, socketPair } from '../wire/sockets.js';
import { FuzzViolation } from './fuzzer.js';
import { Random } from './random.js';
import { harvest, WireClient, type Received } from './wire-client.js';
import { MessageMaker, type WireMessage } from './wire-messages.js';

export interface WireFuzzOptions {
  /** Board. */
  readonly device: string;
  /** Messages to send. */
  readonly calls: number;
  readonly seed: number;
  /** Connections at a time, beside the quiet client's. Default 6. */
  readonly clients?: number;
  /** Messages so far, now and then. */
  onProgress?(messages: number): void;
}

export interface WireFuzzReport {
  readonly device: string;
  readonly seed: number;
  readonly messages: number;
  /** Replies: `ok` or errno, and how often. */
  readonly replies: Readonly<Record<string, number>>;
  /** Questions that the daemon asked. */
  readonly questions: number;
  readonly connections: number;
  /** Of those: ended by the daemon. */
  readonly cut: number;
  readonly checks: number;
  /** Jobs that the schedulers finished. */
  readonly jobs: number;
}

const NODE = '/dev/accel/accel0';
const PAGE = 4096;
const CHECK_EVERY = 2048;
/** Messages of a client in a row. */
const BURST = 24;
/** Messages that a client keeps to send again. */
const KEPT = 16;
/** Unfinished jobs at which all clients but the quiet one are closed. */
const MANY_JOBS = 1000;
const DRAIN_NS = 5e6;
const DRAIN_STEPS = 4000;
/** Files wait a second for their jobs when they close. */
const END_STEPS = 600;
/** Real time, milliseconds, after which the daemon is held to have stopped working. */
const STUCK_MS = 30_000;

const scrap = new Packet(4096);

export class WireFuzzer {
  readonly #options: WireFuzzOptions;
  readonly #random: Random;
  readonly #clock = new TestClock(1e9);
  readonly #clients: WireClient[] = [];
  readonly #replies = new Map<string, number>();
  readonly #secret: Buffer;
  readonly #foreign: number[] = [];
  #served!: Served;
  #socket = '';
  #maker!: MessageMaker;
  #quiet!: { readonly file: RemoteFile; readonly job: SuiteJob; readonly hidden: Uint8Array };
  #messages = 0;
  #questions = 0;
  #connections = 0;
  #cut = 0;
  #checks = 0;
  #violation: FuzzViolation | undefined;

  constructor(options: WireFuzzOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#secret = Buffer.from(Array.from({ length: 16 }, () => 1 + this.#random.below(255)));
  }

  /** @throws FuzzViolation; AccelError ENODEV for an unknown board */
  async run(): Promise<WireFuzzReport> {
    const { device, seed, calls, clients = 6, onProgress } = this.#options;
    const folder = mkdtempSync(join(tmpdir(), 'accel-fuzz-'));
    this.#socket = join(folder, 'accel.sock');
    try {
      await using served = this.#serve();
      this.#served = served;
      await using connection = await Connection.open(this.#socket);
      await this.#prepare(connection);
      const before = await this.#held();
      for (let i = 0; i < clients; i++) this.#connect();
      let check = CHECK_EVERY;
      while (this.#messages < calls) {
        await this.#round();
        if (this.#violation !== undefined) throw this.#violation;
        if (this.#messages < check) continue;
        await this.#check();
        check = this.#messages + CHECK_EVERY;
        onProgress?.(this.#messages);
      }
      await this.#check();
      await this.#end(before);
      return {
        device,
        seed,
        messages: this.#messages,
        replies: Object.fromEntries([...this.#replies].sort((a, b) => b[1] - a[1])),
        questions: this.#questions,
        connections: this.#connections,
        cut: this.#cut,
        checks: this.#checks,
        jobs: this.#schedulers().reduce((sum, { stats }) => sum + stats.finished, 0),
      };
    } finally {
      for (const client of this.#clients) client[Symbol.dispose]();
      for (const fd of this.#foreign) close(fd);
      rmSync(folder, { recursive: true, force: true });
    }
  }

  #serve(): Served {
    return serve({
      devices: [this.#options.device],
      socket: this.#socket,
      staging: true,
      today: SUITE_TODAY,
      dram: 64,
      clock: this.#clock,
      linger: false,
      onDefect: (error) => {
        this.#violation ??= this.#wrong(`a request ended in ${String(error)}`, error);
      },
    });
  }

  #wrong(what: string, cause?: unknown): FuzzViolation {
    const { device, seed } = this.#options;
    return new FuzzViolation(what, { device, seed, calls: this.#messages }, cause);
  }

  /** The quiet client, and descriptors for the others to send. */
  async #prepare(connection: Connection): Promise<void> {
    const { driver } = this.#served.system.device().accel!;
    const file = await RemoteFile.open(connection, NODE);
    const { adapter } = adapterFor(this.#options.device);
    const job = await adapter.aJob(file, { seed: 3, timeoutMs: 500 });
    const buffer: SuiteBuffer = await adapter.createBuffer(file, 8 * PAGE);
    const hidden = (await file.mmap(buffer.offset, buffer.size)).bytes;
    for (let i = 0; i < hidden.length; i++) hidden[i] = this.#secret[i % this.#secret.length]!;
    this.#quiet = { file, job, hidden };
    const [one, other] = socketPair();
    this.#foreign.push(one, other, eventfd(), memfdCreate('fuzz', MFD_CLOEXEC));
    for (const path of ['/dev/null', '/', '/proc/self/status']) this.#foreign.push(openSync(path, 'r'));
    this.#maker = new MessageMaker({
      random: this.#random,
      driver,
      foreign: this.#foreign,
      now: () => this.#clock.now(),
    });
  }

  async #round(): Promise<void> {
    const random = this.#random;
    const client = random.pick(this.#clients)!;
    const { fds } = client.state;
    switch (random.below(24)) {
      case 0:
        this.#clock.advance(random.below(2e6));
        break;
      case 1:
        client.closeFd(random.pick(fds) ?? 0);
        break;
      case 2:
        this.#abuse(client);
        break;
      case 3:
        this.#pass(client);
        break;
      case 4:
        if (!random.once(4)) break;
        client.deaf = !client.deaf;
        client.late = true;
        break;
      case 5:
        // Half a message, and gone; or with nothing said at all.
        if (random.once(6)) {
          const { bytes, fds: along } = this.#maker.next(client);
          if (random.once(2))
            this.#send(client, { bytes: bytes.subarray(0, random.below(HEADER)), fds: along });
          if (random.once(2)) this.#leave(client);
          else client.end();
        }
        break;
      default:
        for (let i = random.below(BURST); i >= 0 && !client.gone; i--) this.#speak(client);
    }
    await this.#settle();
    for (const one of [...this.#clients]) this.#listen(one);
    while (this.#clients.length < (this.#options.clients ?? 6)) this.#connect();
  }

  /** One message of a client. */
  #speak(client: WireClient): void {
    const random = this.#random;
    // Not always at once, and some never.
    if (client.questions.length > 0 && !random.once(3)) {
      const question = client.questions.shift()!;
      this.#send(client, this.#maker.answer(client, question));
      return;
    }
    const message = this.#maker.next(client);
    this.#send(client, random.once(40) ? this.#maker.spoil(message) : message);
  }

  #send(client: WireClient, { bytes, fds, def }: WireMessage): void {
    this.#messages++;
    if (!client.send(bytes, fds, def)) return;
    // Not a second HELLO: that is the end each time.
    if (bytes[0] === Request.HELLO) return;
    if (client.sent.length >= KEPT) client.sent.shift();
    client.sent.push(bytes);
  }

  #connect(): void {
    const client = new WireClient(this.#socket);
    this.#connections++;
    this.#clients.push(client);
    if (this.#random.once(12)) return;
    this.#send(client, this.#maker.hello());
    this.#send(client, this.#maker.open());
  }

  /** Closes a connection; what it was given goes too. */
  #leave(client: WireClient): void {
    client[Symbol.dispose]();
    const at = this.#clients.indexOf(client);
    if (at >= 0) this.#clients.splice(at, 1);
  }

  /** What nobody does with a descriptor of the daemon's. */
  #abuse(client: WireClient): void {
    const random = this.#random;
    const fd = client.someFd(random);
    if (fd === undefined) return;
    if (random.once(3)) shutdownWrite(fd);
    else {
      scrap.data.fill(random.next());
      scrap.send(fd, random.below(200), random.once(4) ? [random.pick(this.#foreign)!] : []);
      // Events of a node, perhaps.
      scrap.receive(fd);
      for (const one of scrap.fds.splice(0)) close(one);
    }
  }

  /** A descriptor goes to another client, as over a socket of their own. */
  #pass(client: WireClient): void {
    const fd = client.someFd(this.#random);
    const copy = fd === undefined ? undefined : duplicate(fd);
    if (copy !== undefined) this.#random.pick(this.#clients)!.keepFd(copy);
  }

  /** Until the daemon has dealt with all that was sent. */
  async #settle(): Promise<void> {
    const start = performance.now();
    while (this.#clients.some((client) => client.unread > 0)) {
      if (performance.now() - start > STUCK_MS) throw this.#wrong('the daemon receives no more');
      await turn();
    }
    await turn();
  }

  /** Takes what came for a client. */
  #listen(client: WireClient): void {
    const asked = client.questions.length;
    for (;;) {
      const message = client.receive();
      if (message === undefined) break;
      this.#heard(client, message);
    }
    this.#questions += client.questions.length - asked;
    if (client.gone) {
      this.#cut++;
      this.#leave(client);
      return;
    }
    if (client.deaf) return;
    const { overdue } = client;
    if (overdue === undefined) client.late = false;
    else if (!client.late) this.#violation ??= this.#wrong(`the request with tag ${overdue} got no answer`);
  }

  #heard(client: WireClient, message: Received): void {
    const { type, tag, result, payload, fds } = message;
    if (type !== Reply.REPLY && type !== Reply.WELCOME)
      this.#violation ??= this.#wrong(`the daemon sent a message of type ${type}`);
    const pending = client.answered(tag);
    if (pending === undefined)
      this.#violation ??= this.#wrong(`an answer to tag ${tag}, which is no request`);
    const outcome = result >= 0 ? 'ok' : (errnoName(-result) ?? String(result));
    this.#replies.set(outcome, (this.#replies.get(outcome) ?? 0) + 1);
    if (Buffer.from(payload.buffer, payload.byteOffset, payload.length).includes(this.#secret))
      this.#violation ??= this.#wrong('the secret is in a reply');
    const numbers = fds.map((fd) => {
      this.#look(fd);
      return client.keepFd(fd);
    });
    if (outcome === 'ESTALE') {
      const at = client.objects.findIndex(({ object }) => object === pending?.object);
      if (at >= 0) client.objects.splice(at, 1);
    }
    if (result >= 0) harvest(client, message, pending?.def, numbers);
  }

  /** A memory file of another client must not hold the secret. */
  #look(fd: number): void {
    const status = fstatSync(fd);
    if (!status.isFile() || status.size === 0) return;
    const bytes = Buffer.alloc(Math.min(status.size, 8 * PAGE));
    readSync(fd, bytes, 0, bytes.length, 0);
    if (bytes.includes(this.#secret))
      this.#violation ??= this.#wrong('the secret is in a file of another client');
  }

  #schedulers(): readonly { readonly stats: { readonly running: number; readonly finished: number } }[] {
    return [...this.#served.system.device().accel!.schedulers];
  }

  /** Moves time until no job is on the hardware. */
  async #drain(): Promise<void> {
    for (let step = 0; step < DRAIN_STEPS; step++) {
      await turn();
      if (this.#schedulers().every(({ stats }) => stats.running === 0)) return;
      this.#clock.advance(DRAIN_NS);
    }
    throw this.#wrong('a job never ends');
  }

  /** The quiet client: its job works, its memory is untouched. */
  async #check(): Promise<void> {
    this.#checks++;
    for (const client of this.#clients) client.deaf = false;
    const start = performance.now();
    do {
      if (performance.now() - start > STUCK_MS)
        throw this.#wrong('a client that reads again gets no answers');
      await this.#settle();
      for (const client of [...this.#clients]) this.#listen(client);
    } while (this.#clients.some(({ late }) => late));
    if (this.#served.daemon.stats.jobs > MANY_JOBS)
      for (const client of [...this.#clients]) this.#leave(client);
    await this.#drain();
    const { health } = this.#served.system.device().accel!;
    if (health.defects > 0)
      throw this.#wrong(`a callback threw ${String(health.lastDefect)}`, health.lastDefect);
    const { file, job, hidden } = this.#quiet;
    for (let i = 0; i < hidden.length; i++)
      if (hidden[i] !== this.#secret[i % this.#secret.length])
        throw this.#wrong(`byte ${i} of the quiet client’s buffer was changed`);
    job.result.fill(0);
    try {
      await call(file, drm.DRM_IOCTL_VERSION, {});
      await job.run();
    } catch (error) {
      throw this.#wrong(`the quiet client’s job ended with ${(error as Error).message}`, error);
    }
    if (Buffer.compare(job.result, job.expected) !== 0)
      throw this.#wrong('the quiet client’s job came out wrong');
    if (this.#violation !== undefined) throw this.#violation;
    while (this.#clients.length < (this.#options.clients ?? 6)) this.#connect();
  }

  /** What the daemon and this process hold that clients made. */
  async #held(): Promise<string> {
    await turn();
    const { daemon, system } = this.#served;
    const files = system.machine.core.devices().reduce((sum, device) => sum + device.files.size, 0);
    const descriptors = readdirSync('/proc/self/fd').length;
    return JSON.stringify({ ...daemon.stats, files, memory: system.machine.memory.used, descriptors });
  }

  /** All but the quiet client gone: nothing more may be held than before they came. */
  async #end(before: string): Promise<void> {
    for (const client of [...this.#clients]) this.#leave(client);
    let held = await this.#held();
    for (let step = 0; held !== before; step++) {
      if (step === END_STEPS) throw this.#wrong(`held at the end: ${held}, before: ${before}`);
      this.#clock.advance(DRAIN_NS);
      held = await this.#held();
    }
  }
}
