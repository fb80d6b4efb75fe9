// The byte-level fuzzer over the device interface: random sequences of calls from several files, and what must hold meanwhile.
// Not a search for coverage: speed and a seed are its means. Engines inline and a clock it moves, so a seed repeats exactly.
//
// What must hold:
//   - nothing but AccelError comes out of a call, nothing is thrown anywhere else, the driver counts no defect;
//   - a new buffer is zero; no byte of the quiet client's memory is in any other client's;
//   - the quiet client's job works at every check, and its memory is as it left it;
//   - when all is closed nothing is held: files, DRAM, jobs, calls that never end.
import * as drm from '../../abi/drm.js';
import type { Ioctl } from '../../abi/ioctl.js';
import * as sync from '../../abi/sync-file.js';
import { AccelError } from '../../base/errors.js';
import type { FaultKind } from '../../bus/port.js';
import { SwSyncTimeline, type Mapping } from '../../core/index.js';
import {
  adapterFor,
  Bench,
  Interrupt,
  type DriverAdapter,
  type SuiteBuffer,
  type SuiteJob,
  type SuiteSystem,
} from '../../testing/index.js';
import { suiteSystem, turn } from '../suite-system.js';
import { FuzzClient } from './client.js';
import { StructMaker } from './fields.js';
import { Random } from './random.js';
import { scribble, targetFor, type FuzzTarget } from './targets.js';

export interface FuzzOptions {
  /** Board. */
  readonly device: string;
  readonly calls: number;
  readonly seed: number;
  /** Files open at a time, beside the quiet client. Default 5. */
  readonly clients?: number;
  /** Errors with stacks: half of all calls end in one, so that is most of the time. Default false. */
  readonly stacks?: boolean;
  /** Calls so far, now and then. */
  onProgress?(calls: number): void;
}

export interface FuzzReport {
  readonly device: string;
  readonly seed: number;
  readonly calls: number;
  /** How calls ended: `ok` or errno, and how often. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly checks: number;
  readonly faults: number;
  /** Jobs that the schedulers finished. */
  readonly jobs: number;
  readonly health: Readonly<Record<string, number>>;
}

/** Something that must hold did not. The seed and the calls so far repeat it. */
export class FuzzViolation extends Error {
  constructor(
    what: string,
    where: { readonly device: string; readonly seed: number; readonly calls: number },
    cause?: unknown,
  ) {
    super(`${what} (device ${where.device}, seed ${where.seed}, after ${where.calls} calls)`, { cause });
    this.name = 'FuzzViolation';
  }
}

/** Steps between turns of the event loop, and between checks. */
const BATCH = 128;
const CHECK_EVERY = 8192;
const PENDING_MAX = 384;
const DRAIN_NS = 5e6;
const DRAIN_STEPS = 20_000;
const SECRET_PAGES = 8;
const PAGE = 4096;

const generic: readonly Ioctl[] = Object.entries(drm)
  .filter(([name]) => name.startsWith('DRM_IOCTL_'))
  .map(([, def]) => def as Ioctl);
const blockingNrs = new Set(
  [drm.DRM_IOCTL_SYNCOBJ_WAIT, drm.DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, drm.DRM_IOCTL_SYNCOBJ_TRANSFER].map(
    ({ nr }) => nr,
  ),
);
const fdCalls: readonly Ioctl[] = Object.entries(sync)
  .filter(([name]) => /_IOC(TL)?_/.test(name))
  .map(([, def]) => def as Ioctl);
const faultKinds: readonly FaultKind[] = ['hang', 'lost-irq', 'spurious-irq', 'dma-fault', 'ecc'];

export class Fuzzer {
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #system: SuiteSystem;
  readonly #bench: Bench;
  readonly #adapter: DriverAdapter;
  readonly #target: FuzzTarget;
  readonly #own: readonly StructMaker[];
  readonly #generic = generic.map((def) => new StructMaker(def));
  readonly #onFd = fdCalls.map((def) => new StructMaker(def));
  readonly #clients: FuzzClient[] = [];
  readonly #timelines = new Set<SwSyncTimeline>();
  readonly #blocked = new Set<Interrupt>();
  readonly #outcomes = new Map<string, number>();
  readonly #zero = new Uint8Array(64 * PAGE);
  readonly #secret: Buffer;
  /** Cumulative weights and what they choose. */
  readonly #steps: readonly { readonly until: number; readonly run: (client: FuzzClient) => void }[];
  readonly #total: number;
  #quiet!: FuzzClient;
  #quietJob!: SuiteJob;
  #hidden: { readonly buffer: SuiteBuffer; readonly mapping: Mapping } | undefined;
  #calls = 0;
  #pending = 0;
  /** Clients that wait for memory to be opened in. */
  #missing = 0;
  #checks = 0;
  #faults = 0;
  #violation: FuzzViolation | undefined;

  /** @throws AccelError ENODEV for an unknown board */
  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#adapter = adapterFor(options.device).adapter;
    this.#system = suiteSystem({ board: options.device, engines: 'inline', count: 1 });
    this.#bench = new Bench(this.#system, this.#adapter, 'inline');
    const { driver } = this.#system.accel;
    this.#target = targetFor(driver.name);
    this.#own = driver.ioctls.map(({ def }) => new StructMaker(def));
    this.#secret = Buffer.from(Array.from({ length: 16 }, () => 1 + this.#random.below(255)));
    this.#watchMemory();
    let until = 0;
    this.#steps = (
      [
        [34, (client) => this.#call(client, this.#random.pick(this.#own)!)],
        [22, (client) => this.#call(client, this.#random.pick(this.#generic)!)],
        [6, (client) => this.#raw(client)],
        [8, (client) => this.#create(client)],
        [4, (client) => this.#map(client)],
        [3, (client) => this.#unmap(client)],
        [7, (client) => this.#closeBuffer(client)],
        [3, (client) => this.#pass(client)],
        [4, (client) => this.#closeFd(client)],
        [5, (client) => this.#fdCall(client)],
        [1, (client) => this.#read(client)],
        [2, (client) => this.#job(client)],
        [1, (client) => this.#spoilJob(client)],
        [0.5, (client) => this.#timeline(client)],
        [0.2, () => this.#interrupt()],
        [0.1, () => this.#system.clock.advance(this.#random.below(2e6))],
        [0.05, (client) => this.#reopen(client)],
        [0.02, () => this.#fault()],
      ] as [number, (client: FuzzClient) => void][]
    ).map(([weight, run]) => ({ until: (until += weight), run }));
    this.#total = until;
  }

  /** @throws FuzzViolation */
  async run(): Promise<FuzzReport> {
    const { calls, clients = 5, stacks = false, onProgress } = this.#options;
    const { accel } = this.#system;
    const { stackTraceLimit } = Error;
    try {
      if (!stacks) Error.stackTraceLimit = 0;
      this.#quiet = new FuzzClient(this.#system);
      this.#quietJob = await this.#bench.finish(
        this.#adapter.aJob(this.#quiet.file, { seed: 3, timeoutMs: 500 }),
      );
      for (let i = 0; i < clients; i++) this.#clients.push(new FuzzClient(this.#system));
      await this.#check();
      let check = CHECK_EVERY;
      while (this.#calls < calls) {
        for (let i = 0; i < BATCH && this.#clients.length > 0; i++) this.#step();
        await turn();
        if (this.#pending > PENDING_MAX || this.#load > PENDING_MAX) await this.#drain(PENDING_MAX / 2);
        if (this.#calls >= check || this.#clients.length === 0) {
          await this.#check();
          check = this.#calls + CHECK_EVERY;
          onProgress?.(this.#calls);
        }
        if (this.#violation !== undefined) throw this.#violation;
      }
      await this.#check();
      await this.#end();
      if (this.#violation !== undefined) throw this.#violation;
      const { hangs, resets, dmaFaults, eccUncorrected } = accel.health;
      return {
        device: this.#options.device,
        seed: this.#options.seed,
        calls: this.#calls,
        outcomes: Object.fromEntries([...this.#outcomes].sort((a, b) => b[1] - a[1])),
        checks: this.#checks,
        faults: this.#faults,
        jobs: [...accel.schedulers].reduce((sum, { stats }) => sum + stats.finished, 0),
        health: { hangs, resets, dmaFaults, eccUncorrected },
      };
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
      this.#bench.dispose();
    }
  }

  #wrong(what: string, cause?: unknown): FuzzViolation {
    const { device, seed } = this.#options;
    return new FuzzViolation(what, { device, seed, calls: this.#calls }, cause);
  }

  /** Jobs queued and running. */
  get #load(): number {
    let load = 0;
    for (const { stats } of this.#system.accel.schedulers) load += stats.queued + stats.running;
    return load;
  }

  #step(): void {
    const at = (this.#random.next() / 0x100000000) * this.#total;
    const client = this.#random.pick(this.#clients)!;
    for (const { until, run } of this.#steps) {
      if (at >= until) continue;
      run(client);
      return;
    }
  }

  /** Counts a call and watches its end. */
  #watch<T>(promise: Promise<T>, done?: (value: T) => void, interrupt?: Interrupt): void {
    this.#calls++;
    this.#pending++;
    promise.then(
      (value) => {
        this.#settled('ok', interrupt);
        done?.(value);
      },
      (error: unknown) => {
        if (error instanceof AccelError) this.#settled(error.code, interrupt);
        else {
          this.#settled('defect', interrupt);
          this.#violation ??= this.#wrong(`a call threw ${String(error)}`, error);
        }
      },
    );
  }

  #settled(outcome: string, interrupt: Interrupt | undefined): void {
    this.#pending--;
    if (interrupt !== undefined) this.#blocked.delete(interrupt);
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  #interruptible(): Interrupt {
    const interrupt = new Interrupt();
    this.#blocked.add(interrupt);
    return interrupt;
  }

  #call(client: FuzzClient, maker: StructMaker): void {
    const random = this.#random;
    const { def } = maker;
    const argument = maker.make({ random, client, now: this.#system.clock.now() });
    if (random.once(4)) scribble(client, random, 8 * random.below(64), 8);
    this.#target.prepare(def, argument, client, random);
    const blocks = this.#target.blocking.has(def.nr) || blockingNrs.has(def.nr);
    const interrupt = blocks ? this.#interruptible() : undefined;
    this.#watch(
      client.file.ioctl(maker.request(random), argument, interrupt),
      () => this.#harvest(client, def, argument),
      interrupt,
    );
  }

  /** Remembers what a call gave out. */
  #harvest(client: FuzzClient, def: Ioctl, argument: Uint8Array): void {
    if (argument.length < (def.layout?.size ?? 0)) return;
    this.#target.harvest?.(def, argument, client);
    if (def === (drm.DRM_IOCTL_SYNCOBJ_CREATE as Ioctl))
      FuzzClient.keep(client.syncobjs, drm.DrmSyncobjCreate.from(argument).handle);
    else if (def === (drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD as Ioctl))
      FuzzClient.keep(client.fds, drm.DrmSyncobjHandle.from(argument).fd);
    else if (def === (drm.DRM_IOCTL_PRIME_HANDLE_TO_FD as Ioctl))
      FuzzClient.keep(client.fds, drm.DrmPrimeHandle.from(argument).fd);
    else if (def === (drm.DRM_IOCTL_PRIME_FD_TO_HANDLE as Ioctl))
      FuzzClient.keep(client.handles, drm.DrmPrimeHandle.from(argument).handle);
  }

  /** Any request, any bytes. */
  #raw(client: FuzzClient): void {
    const random = this.#random;
    const size = random.below(random.once(512) ? 0x4000 : 80);
    const argument = new Uint8Array(random.once(8) ? random.below(80) : size);
    for (let i = 0; i < argument.length; i++) argument[i] = random.next();
    const type = random.once(8) ? random.below(256) : 0x64;
    const request = ((random.below(4) << 30) | (size << 16) | (type << 8) | random.below(256)) >>> 0;
    const interrupt = this.#interruptible();
    const given = random.once(32) ? undefined : argument;
    this.#watch(client.file.ioctl(request, given, interrupt), undefined, interrupt);
  }

  #create(client: FuzzClient): void {
    const random = this.#random;
    if (client.buffers.length >= 24) {
      this.#closeBuffer(client);
      return;
    }
    const bytes = random.once(400)
      ? random.below(8) * 2 ** (12 + random.below(20))
      : 1 + random.below(6 * PAGE);
    this.#watch(this.#adapter.createBuffer(client.file, bytes), (buffer) => {
      client.buffers.push(buffer);
    });
  }

  /** New memory must be zero. Looked at where it is handed out: later a job of its client may have written it. */
  #watchMemory(): void {
    const { memory } = this.#system.core;
    const allocate = memory.allocate.bind(memory);
    memory.allocate = (bytes, shareable) => {
      const address = allocate(bytes, shareable);
      const looked = Math.min(bytes, this.#zero.length);
      if (
        Buffer.compare(memory.bytes.subarray(address, address + looked), this.#zero.subarray(0, looked)) !== 0
      )
        this.#violation ??= this.#wrong('new memory is not zero');
      return address;
    };
  }

  #map(client: FuzzClient): void {
    const random = this.#random;
    if (client.mappings.length >= 16) {
      this.#unmap(client);
      return;
    }
    const other = random.once(8) ? random.pick(this.#clients)! : client;
    const buffer = random.pick(other.buffers);
    let offset = buffer?.offset ?? BigInt(random.next()) << 12n;
    if (random.once(8)) offset += BigInt((random.below(5) - 2) * PAGE);
    const length = random.once(8) ? random.word() : (buffer?.size ?? PAGE);
    this.#watch(client.file.mmap(offset, length), (mapping) => {
      if (mapping.bytes.length > 0) mapping.bytes[random.below(mapping.bytes.length)] = random.next();
      client.mappings.push(mapping);
    });
  }

  #unmap(client: FuzzClient): void {
    this.#calls++;
    client.mappings.shift()?.[Symbol.dispose]();
  }

  #closeBuffer(client: FuzzClient): void {
    const random = this.#random;
    const index = random.below(client.buffers.length + 1);
    const [buffer] = client.buffers.splice(index, 1);
    const handle = buffer?.handle ?? client.handles.shift() ?? random.word();
    this.#watch(client.file.ioctl(drm.DRM_IOCTL_GEM_CLOSE.request, drm.DrmGemClose.bytes({ handle })));
  }

  /** Passes a descriptor to another process, as SCM_RIGHTS does, or dups it. */
  #pass(client: FuzzClient): void {
    this.#calls++;
    const random = this.#random;
    const fd = random.pick(client.fds);
    if (fd === undefined) return;
    const other = random.once(3) ? client : random.pick(this.#clients)!;
    try {
      FuzzClient.keep(other.fds, other.process.fds.install(client.process.fds.get(fd)));
    } catch (error) {
      if (!(error instanceof AccelError)) this.#violation ??= this.#wrong('passing a descriptor', error);
    }
  }

  #closeFd(client: FuzzClient): void {
    const random = this.#random;
    const fd = client.fds.splice(random.below(client.fds.length + 1), 1)[0] ?? client.fd(random);
    this.#watch(client.file.closeFd(fd));
  }

  /** ioctl and poll on a descriptor that is no device file. */
  #fdCall(client: FuzzClient): void {
    const random = this.#random;
    const maker = random.pick(this.#onFd)!;
    const argument = maker.make({ random, client, now: this.#system.clock.now() });
    const fd = client.fd(random);
    const { process } = client;
    this.#watch(
      (async () => {
        const open = process.fds.get(fd);
        open.poll();
        await open.ioctl(process, maker.request(random), argument);
        const name = ['fence', 'fd'].find((field) => field in (maker.def.layout?.offsets ?? {}));
        if (name === undefined) return undefined;
        return new DataView(argument.buffer).getInt32(maker.def.layout!.offsets[name as never], true);
      })(),
      (made) => {
        if (made !== undefined) FuzzClient.keep(client.fds, made);
      },
    );
  }

  #read(client: FuzzClient): void {
    const random = this.#random;
    const interrupt = this.#interruptible();
    const buffer = new Uint8Array(random.below(128));
    client.file.poll();
    this.#watch(
      client.file.read(buffer, { nonblock: !random.once(8), signal: interrupt }),
      undefined,
      interrupt,
    );
  }

  /** A valid job; of the last few one is run again. */
  #job(client: FuzzClient): void {
    const random = this.#random;
    if (client.jobs.length < 2) {
      const request = { seed: random.below(90), timeoutMs: 1 + random.below(20) };
      this.#watch(this.#adapter.aJob(client.file, request), (job) => client.jobs.push(job));
    } else if (random.once(12)) this.#watch(client.jobs.shift()!.release());
    else this.#runJob(random.pick(client.jobs)!);
  }

  #runJob(job: SuiteJob): void {
    const interrupt = this.#interruptible();
    this.#watch(job.run(interrupt), undefined, interrupt);
  }

  /** A valid job with a few bytes of its buffers changed: descriptors, for hardware that reads them from there. */
  #spoilJob(client: FuzzClient): void {
    const random = this.#random;
    const job = random.pick(client.jobs);
    if (job === undefined) return;
    const { handles, result } = job;
    for (const handle of handles) {
      try {
        const { bytes } = client.file.client.lookup(handle);
        for (let i = random.below(4); i >= 0; i--)
          bytes[random.below(Math.min(bytes.length, 0x600))] = random.word();
      } catch {
        // Closed by another call.
      }
    }
    if (result.length > 0) this.#runJob(job);
  }

  #timeline(client: FuzzClient): void {
    const random = this.#random;
    this.#calls++;
    const timeline = new SwSyncTimeline(this.#system.clock, 'fuzz');
    FuzzClient.keep(client.fds, client.process.fds.install(timeline));
    this.#timelines.add(timeline);
    if (random.once(2)) scribble(client, random, 0, 16);
  }

  #interrupt(): void {
    const [first] = this.#blocked;
    first?.fire();
  }

  #reopen(client: FuzzClient): void {
    const index = this.#clients.indexOf(client);
    if (this.#random.once(2)) {
      this.#calls++;
      client.process.kill();
    } else {
      this.#watch(client.file.close().then(() => client.process.kill()));
    }
    this.#clients.splice(index, 1);
    this.#missing++;
    this.#openMissing();
  }

  /** Clients that could not be opened, as the others have all of DRAM, come back when there is some. */
  #openMissing(): void {
    try {
      while (this.#missing > 0) {
        this.#clients.push(new FuzzClient(this.#system));
        this.#missing--;
      }
    } catch (error) {
      if (!(error instanceof AccelError && error.code === 'ENOMEM')) throw error;
      this.#outcomes.set(error.code, (this.#outcomes.get(error.code) ?? 0) + 1);
    }
  }

  #fault(): void {
    const kind = this.#random.pick(faultKinds)!;
    this.#faults++;
    this.#system.faults.arm(kind, { after: this.#random.below(4) });
  }

  /** Moves time, and interrupts, until few calls wait and few jobs are queued. */
  async #drain(limit: number): Promise<void> {
    for (let step = 0; step < DRAIN_STEPS; step++) {
      await turn();
      if (this.#pending <= limit && this.#load <= limit) return;
      this.#system.clock.advance(DRAIN_NS);
      if (step % 8 !== 7) continue;
      for (const interrupt of [...this.#blocked].slice(0, 1 + this.#blocked.size / 2)) interrupt.fire();
      // Jobs may wait for fences that nobody but the client signals.
      if (step % 16 !== 15) continue;
      for (const timeline of this.#timelines) {
        if (timeline.references === 0) this.#timelines.delete(timeline);
        else timeline.increment(0x7fffffff);
      }
    }
    throw this.#wrong(`${this.#pending} calls and ${this.#load} jobs never end`);
  }

  /** The quiet client: its job works, its memory is untouched and nowhere else. */
  async #check(): Promise<void> {
    this.#checks++;
    this.#system.faults.disarm();
    await this.#drain(0);
    this.#openMissing();
    if (this.#clients.length === 0) throw this.#wrong('no file can be opened although all are closed');
    const { health } = this.#system.accel;
    if (health.defects > 0)
      throw this.#wrong(`a callback threw ${String(health.lastDefect)}`, health.lastDefect);
    if (this.#hidden !== undefined) {
      const { buffer, mapping } = this.#hidden;
      for (let i = 0; i < mapping.bytes.length; i++)
        if (mapping.bytes[i] !== this.#secret[i % this.#secret.length])
          throw this.#wrong(`byte ${i} of the quiet client's buffer was changed`);
      mapping[Symbol.dispose]();
      const close = drm.DrmGemClose.bytes({ handle: buffer.handle });
      await this.#quiet.file.ioctl(drm.DRM_IOCTL_GEM_CLOSE.request, close);
    }
    for (const client of this.#clients) {
      if (Buffer.from(client.arena.buffer).includes(this.#secret))
        throw this.#wrong('the secret is in user memory');
      for (const { bytes } of client.file.client.objects()) {
        const view = Buffer.from(bytes.buffer as unknown as ArrayBuffer, bytes.byteOffset, bytes.length);
        if (view.includes(this.#secret)) throw this.#wrong('the secret is in another client’s buffer');
      }
    }
    const job = this.#quietJob;
    job.result.fill(0);
    try {
      await this.#bench.done(job, 'the quiet client’s job');
    } catch (error) {
      throw this.#wrong((error as Error).message, error);
    }
    const buffer = await this.#makeHidden();
    if (buffer !== undefined) {
      const mapping = await this.#quiet.file.mmap(buffer.offset, buffer.size);
      for (let i = 0; i < mapping.bytes.length; i++)
        mapping.bytes[i] = this.#secret[i % this.#secret.length]!;
      this.#hidden = { buffer, mapping };
    } else this.#hidden = undefined;
  }

  /** Undefined while the others have all of DRAM. */
  async #makeHidden(): Promise<SuiteBuffer | undefined> {
    try {
      return await this.#adapter.createBuffer(this.#quiet.file, SECRET_PAGES * PAGE);
    } catch (error) {
      if (error instanceof AccelError && error.code === 'ENOMEM') return undefined;
      throw error;
    }
  }

  /** Everything closed: nothing may be held. */
  async #end(): Promise<void> {
    const { accel } = this.#system;
    const clients = [...this.#clients.splice(0), this.#quiet];
    const closing = clients.map((client) => client.file.close());
    for (const interrupt of [...this.#blocked]) interrupt.fire();
    await this.#bench.finish(Promise.all(closing));
    for (const client of clients) client.process.kill();
    await this.#drain(0);
    await this.#bench.rest();
    if (accel.files.size !== 0) throw this.#wrong(`${accel.files.size} files are still open`);
    const held = this.#bench.used - this.#bench.usedAtStart;
    if (held !== 0) throw this.#wrong(`${held} bytes of DRAM are still in use`);
  }
}
