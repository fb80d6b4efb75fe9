// How clients and daemons end: killed, leaving, not reading, speaking nonsense; nothing is left behind and the others go on.
// Not the calls: wire.test.ts.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as drm from '../../src/abi/drm.js';
import * as abi from '../../src/abi/null.js';
import { Connection, RemoteFile } from '../../src/node/client/index.js';
import { HEADER, KEY_BYTES, Request, WIRE_VERSION, WireHeader } from '../../src/node/wire/messages.js';
import { close, connect, Packet, socketPair } from '../../src/node/wire/sockets.js';
import { Random } from '../../src/node/fuzz/random.js';
import { call } from '../../src/testing/index.js';
import { daemonRig, peer, until, type Rig } from './wire-rig.js';

const NODE = '/dev/accel/accel0';

/** What a system with a daemon holds that clients made. */
function held({ daemon, system }: Rig) {
  const { clients, connections, objects, calls } = daemon.stats;
  const { core, memory } = system.machine;
  const devices = core.devices();
  return {
    clients,
    connections,
    objects,
    calls,
    files: devices.reduce((sum, { files }) => sum + files.size, 0),
    memory: memory.used,
    inFlight: system.machine.devices.reduce((sum, { inFlight }) => sum + inFlight, 0),
  };
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;
const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;

/** Starts and stops: enough to tell one mapping each from what comes and goes. */
const ROUNDS = 40;

/** DRAM is WebAssembly memory, which only the garbage collector gives back. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** A raw connection that says HELLO. */
function stranger(rig: Rig, payload: Uint8Array = new Uint8Array(KEY_BYTES).fill(7)) {
  const fd = connect(rig.socket);
  const packet = new Packet(65536);
  const send = (
    header: Parameters<typeof WireHeader.bytes>[0],
    body: Uint8Array = new Uint8Array(0),
    fds: number[] = [],
  ) => {
    packet.data.set(WireHeader.bytes(header));
    packet.data.set(body, HEADER);
    return packet.send(fd, HEADER + body.length, fds);
  };
  send({ type: Request.HELLO, object: WIRE_VERSION }, payload);
  return { fd, packet, send };
}

describe('a client that ends', () => {
  it('by kill -9 in the middle of a job leaves nothing, and its jobs end', async () => {
    await using rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const before = held(rig);
    const other = peer(rig.socket, 'job');
    assert.match(await other.line(), /^ready/);
    assert.ok(await until(() => held(rig).calls === 1));
    assert.equal(held(rig).files, before.files + 1);
    other.child.kill('SIGKILL');
    await other.ended;
    // The job on the device ends by its limit or is done; those behind it end with ESRCH at once.
    assert.ok(await until(() => held(rig).files === before.files));
    assert.ok(
      await until(() => JSON.stringify(held(rig)) === JSON.stringify(before), 15_000),
      JSON.stringify([before, held(rig)]),
    );
    await call(file, drm.DRM_IOCTL_VERSION, {});
    assert.deepEqual(rig.defects, []);
  });

  for (const how of ['leave', 'exit'])
    it(`by ${how === 'leave' ? 'closing its connection' : 'exiting'} leaves nothing`, async () => {
      await using rig = daemonRig();
      const before = held(rig);
      const other = peer(rig.socket, how);
      assert.match(await other.line(), /^ready/);
      assert.equal(held(rig).clients, 1);
      other.child.stdin!.end('go\n');
      await other.ended;
      assert.ok(
        await until(() => JSON.stringify(held(rig)) === JSON.stringify(before)),
        JSON.stringify([before, held(rig)]),
      );
    });
});

describe('a client that misbehaves', () => {
  it('by not reading is cut, and the others are served meanwhile', async () => {
    await using rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const { fd, send } = stranger(rig);
    const path = Buffer.from('/sys/class/accel/accel0/uevent');
    assert.ok(await until(() => rig.daemon.stats.connections === 2));
    let sent = 0;
    for (let rounds = 0; rounds < 2000 && rig.daemon.stats.connections === 2; rounds++) {
      while (send({ type: Request.PATH, tag: sent + 1 }, path) === 1) sent++;
      await call(file, drm.DRM_IOCTL_VERSION, {});
    }
    assert.equal(rig.daemon.stats.connections, 1);
    assert.ok(sent > 1000);
    close(fd);
  });

  it('by speaking nonsense is cut', async () => {
    await using rig = daemonRig();
    const key = new Uint8Array(KEY_BYTES);
    const nonsense: ((client: ReturnType<typeof stranger>) => void)[] = [
      ({ send }) => send({ type: 99 }),
      ({ send }) => send({ type: Request.HELLO, object: WIRE_VERSION }, key),
      ({ send }) => send({ type: Request.GOT, tag: 5 }),
      ({ packet, fd }) => packet.send(fd, 5),
      ({ send }) => {
        const [one, other] = socketPair();
        send({ type: Request.PATH }, key, [one, other]);
        close(one);
        close(other);
      },
    ];
    let open: number | undefined;
    // The first round is not counted: the process opens what it needs on first use.
    for (const speak of [nonsense[0]!, ...nonsense]) {
      const client = stranger(rig);
      assert.ok(await until(() => rig.daemon.stats.clients === 1));
      speak(client);
      assert.ok(await until(() => rig.daemon.stats.connections === 0), String(speak));
      close(client.fd);
      open ??= descriptors();
    }
    assert.equal(descriptors(), open);
    // A stranger to the key is no member of the process.
    await using connection = await Connection.open(rig.socket);
    await RemoteFile.open(connection, NODE);
    const { fd, send, packet } = stranger(rig);
    send(
      { type: Request.CALL, tag: 1, object: 1, result: drm.DRM_IOCTL_VERSION.request | 0 },
      new Uint8Array(64),
    );
    const replies: number[] = [];
    await until(() => {
      if (packet.receive(fd) > 0) replies.push(WireHeader.from(packet.data).result);
      return replies.length === 2;
    });
    assert.deepEqual(replies, [0, -116], 'ESTALE: the number alone is no way to an object');
    close(fd);
  });

  it('by sending whatever bytes does no harm', async () => {
    await using rig = daemonRig({ limits: { bytes: 1 << 20 } });
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const before = held(rig);
    const open = descriptors();
    const random = new Random(11);
    const paths = [
      '/dev/accel/accel0',
      '/dev/sw_sync',
      '/sys/class/accel',
      '/sys/class/accel/accel0/dev',
      '/x/../..',
    ];
    const requests = [
      ...Object.values(drm).flatMap((def) =>
        typeof def === 'object' && 'request' in def ? [def.request] : [],
      ),
      abi.DRM_IOCTL_NULL_GEM_NEW.request,
      abi.DRM_IOCTL_NULL_SUBMIT.request,
      abi.DRM_IOCTL_NULL_WAIT.request,
      0xc0303e03,
      0xc0285700,
      0x40045701,
    ];
    let client: ReturnType<typeof stranger> | undefined;
    const mine: number[] = [];
    for (let i = 0; i < 6000; i++) {
      client ??= stranger(rig);
      const type = random.once(40) ? random.below(80) : random.pick(Object.values(Request).slice(1))!;
      const size = random.once(8) ? random.below(20000) : random.below(80);
      const body =
        type === Request.OPEN || type === Request.PATH
          ? Buffer.from(random.pick(paths)!)
          : Uint8Array.from({ length: size }, () => (random.once(2) ? 0 : random.below(256)));
      const fds = random.once(10) && mine.length > 0 ? [random.pick(mine)!] : [];
      const sent = client.send(
        {
          type: type === Request.BYE && !random.once(20) ? Request.CALL : type,
          tag: random.below(1000),
          object: random.below(40),
          result: random.once(8) ? random.word() : random.pick(requests)! | 0,
          a: BigInt(random.once(3) ? random.below(5) : random.word() >>> 0),
          b: BigInt(random.once(3) ? random.below(70000) : random.word() >>> 0),
        },
        body,
        fds,
      );
      if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
      while (client.packet.receive(client.fd) > 0) mine.push(...client.packet.fds.splice(0));
      if (sent === 0) {
        close(client.fd);
        client = undefined;
      }
      while (mine.length > 40) close(mine.shift()!);
    }
    for (const fd of mine) close(fd);
    if (client !== undefined) close(client.fd);
    assert.deepEqual(rig.defects, []);
    assert.ok(
      await until(() => JSON.stringify(held(rig)) === JSON.stringify(before), 15_000),
      JSON.stringify([before, held(rig)]),
    );
    assert.equal(descriptors(), open);
    await call(file, drm.DRM_IOCTL_VERSION, {});
  });
});

describe('a daemon', () => {
  it('that stops takes its socket away, and calls of its files end with ENODEV', async () => {
    const rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    await call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size: 4096n });
    await rig[Symbol.asyncDispose]();
    assert.equal(existsSync(rig.socket), false);
    await assert.rejects(call(file, drm.DRM_IOCTL_VERSION, {}), { code: 'ENODEV' });
    await file.close();
  });

  it('that starts and stops again and again leaves no descriptor and no mapping', async () => {
    const round = async (): Promise<void> => {
      await using rig = daemonRig({ devices: ['null'], dram: 16 });
      await using connection = await Connection.open(rig.socket);
      const file = await RemoteFile.open(connection, NODE);
      const { offset } = await call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size: 4096n });
      (await file.mmap(offset, 4096))[Symbol.dispose]();
      await file.close();
    };
    for (let i = 0; i < 10; i++) await round();
    collectGarbage();
    const before = [descriptors(), mappings()] as const;
    for (let i = 0; i < ROUNDS; i++) await round();
    assert.equal(descriptors(), before[0]);
    const kept = await until(() => {
      collectGarbage();
      // The heap of JavaScript grows and shrinks by a few.
      return mappings() < before[1] + ROUNDS / 2;
    });
    assert.ok(kept, `${before[1]} mappings, now ${mappings()}`);
  });
});
