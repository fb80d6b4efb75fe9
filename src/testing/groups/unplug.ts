// The device goes away: every call ENODEV, every fence signals, everything is given back.
// Not the fault of that name in the middle of a command: faults.ts.
import * as drm from '../../abi/drm.js';
import { ensure, filled, outcomeOf, same } from '../check.js';
import { call, closeGem, exportGem } from '../calls.js';
import type { Group } from './group.js';

export const unplug: Group = {
  name: 'unplug',
  cases: [
    {
      name: 'a job on the hardware and those that wait end with ENODEV, without time passing',
      async run(bench) {
        const { clock, faults } = bench.system;
        const [first, second] = [bench.open(), bench.open()];
        const jobs = [await bench.job(first), await bench.job(first), await bench.job(second)];
        faults.arm('hang');
        const ends = jobs.map((job) => outcomeOf(job.run()));
        await bench.rest();
        const start = clock.now();
        bench.system.unplug();
        for (const end of ends) same(await bench.finish(end), 'ENODEV', 'a job');
        same(clock.now(), start, 'the clock');
      },
    },
    {
      name: 'afterwards ioctl, mmap and open give ENODEV; close works',
      async run(bench) {
        const file = bench.open();
        const buffer = await bench.buffer(file);
        const job = await bench.job(file);
        bench.system.unplug();
        same(await bench.outcome(call(file, drm.DRM_IOCTL_VERSION)), 'ENODEV', 'VERSION');
        same(await bench.outcome(closeGem(file, buffer.handle)), 'ENODEV', 'GEM_CLOSE');
        same(await bench.outcome(exportGem(file, buffer.handle)), 'ENODEV', 'export');
        same(await bench.outcome(file.mmap(buffer.offset, 4096)), 'ENODEV', 'mmap');
        same(await bench.outcome(job.run()), 'ENODEV', 'a job');
        same(await bench.outcome(file.ioctl(0x1234)), 'ENODEV', 'a request of another type');
        same(await bench.outcome((async () => bench.open())()), 'ENODEV', 'open');
        same(await bench.outcome(file.close()), 'ok', 'close');
      },
    },
    {
      name: 'a mapping stays what it was until it is unmapped',
      async run(bench) {
        const file = bench.open();
        const buffer = await bench.buffer(file);
        const mapping = await bench.map(file, buffer);
        mapping.bytes.fill(0x21);
        bench.system.unplug();
        await bench.finish(file.close());
        ensure(filled(mapping.bytes, 0x21), 'the bytes changed');
        mapping[Symbol.dispose]();
      },
    },
    {
      name: 'unplugging twice, and interrupts that come late, are nothing',
      async run(bench) {
        const file = bench.open();
        await bench.done(await bench.job(file));
        bench.system.unplug();
        bench.system.spurious();
        bench.system.unplug();
        await bench.rest();
      },
    },
    {
      name: 'readers of events are woken, and get ENODEV',
      async run(bench) {
        const file = bench.open();
        const reading = outcomeOf(file.read(new Uint8Array(64)));
        await bench.rest();
        bench.system.unplug();
        same(await bench.finish(reading), 'ENODEV', 'the read');
      },
    },
    {
      name: 'the other device of the machine goes on',
      needs: 'second device',
      async run(bench) {
        const { other } = bench.system;
        const file = bench.open({}, other!);
        bench.system.unplug();
        await bench.done(await bench.job(file), 'a job on the other device');
      },
    },
  ],
};
