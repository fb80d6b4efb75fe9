// The NVDLA driver for the suite: one SDP layer that adds a number to each byte.
// Not the layer: nvdla-job.ts writes its descriptors.
import * as abi from '../../abi/nvdla.js';
import { AccelError } from '../../base/errors.js';
import type { AccelFile } from '../../core/index.js';
import { configs, type ConfigName } from '../../hw/nvdla/index.js';
import type { Attack, DriverAdapter, JobRequest, SuiteBuffer, SuiteJob, Victim } from '../adapter.js';
import { call } from '../calls.js';
import { sdpJob, type SdpJobOptions } from './nvdla-job.js';

const PAGE = 4096;
const WIDTH = 20;

async function createBuffer(file: AccelFile, bytes: number): Promise<SuiteBuffer> {
  const { handle } = await call(file, abi.DRM_IOCTL_NVDLA_GEM_CREATE, { size: BigInt(bytes) });
  const { offset } = await call(file, abi.DRM_IOCTL_NVDLA_GEM_MMAP, { handle });
  return { handle, offset, size: Math.ceil(bytes / PAGE) * PAGE };
}

/** @throws AccelError ENODEV for a configuration that does not exist */
export function nvdlaAdapter(config: string): DriverAdapter {
  if (!Object.hasOwn(configs, config))
    throw new AccelError('ENODEV', { field: 'config', reason: `${config} is no NVDLA configuration` });
  const { atom } = configs[config as ConfigName];

  async function aJob(file: AccelFile, { seed = 1, timeoutMs = 500 }: JobRequest = {}): Promise<SuiteJob> {
    const add = 1 + (seed % 100);
    const job = await sdpJob(file, { atom, width: WIDTH, add, timeout: timeoutMs });
    const expected = new Uint8Array(job.source.length);
    for (let i = 0; i < expected.length; i++) {
      const value = (((i * 5 + seed) << 24) >> 24) as number;
      job.source[i] = value;
      expected[i] = Math.min(127, value + add);
    }
    return {
      handles: [job.handle],
      result: job.result,
      expected,
      run: async (signal) => void (await job.submit(signal)),
      release: () => job.release(),
    };
  }

  async function attacks(file: AccelFile, { buffer, fd }: Victim): Promise<Attack[]> {
    const attempts: [string, SdpJobOptions['from']][] = [
      ['the victim’s descriptor number in this process', { fd, offset: 0n }],
      ['the victim’s handle as a descriptor', { fd: buffer.handle, offset: 0n }],
      ['a descriptor that is not open', { fd: 0x7fffffff, offset: 0n }],
      ['an offset past the end', { offset: 2n * BigInt(PAGE) }],
      ['an offset whose end lies outside', { offset: 2n * BigInt(PAGE) - 8n }],
      ['an offset before the beginning', { offset: (1n << 64n) - BigInt(PAGE) }],
      ['an offset far above', { offset: 1n << 40n }],
    ];
    const made: Attack[] = [];
    for (const [what, from = {}] of attempts) {
      const job = await sdpJob(file, { atom, width: WIDTH, timeout: 100, from });
      made.push({ what, result: job.result, run: async () => void (await job.submit()) });
    }
    return made;
  }

  return { driver: 'nvdla', createBuffer, aJob, attacks };
}
