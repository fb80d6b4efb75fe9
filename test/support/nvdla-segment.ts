// Runs a compiled NVDLA segment through the uAPI: buffers, tensors into cubes, one submission, cubes into tensors. Or writes
// it as files for a client that is no compiler (test/native/nvdla.c).
// Not the runtime: nothing is kept between runs, and only int8 and uint8 tensors are bound.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as abi from '../../src/abi/nvdla.js';
import {
  type Binding,
  type NvdlaSegment,
  packFeatures,
  unpackFeatures,
} from '../../src/compiler/targets/index.js';
import type { AccelFile } from '../../src/core/accel-file.js';
import { createBuffer } from '../../src/testing/adapters/nvdla-job.js';

/** A segment in buffers, its inputs written. */
interface Loaded {
  readonly buffers: readonly Uint8Array[];
  memoryOf(binding: Binding): Uint8Array;
  /** Returns when it has run. */
  submit(): Promise<void>;
}

const layoutOf = ({ layout }: Binding) => {
  if (layout.kind !== 'feature') throw new Error('not a cube');
  return layout;
};

async function load(
  file: AccelFile,
  segment: NvdlaSegment,
  tensors: ReadonlyMap<string, Int8Array>,
): Promise<Loaded> {
  const buffers: Awaited<ReturnType<typeof createBuffer>>[] = [];
  for (const { bytes, contents } of segment.buffers) {
    const buffer = await createBuffer(file, bytes);
    for (const { offset, data } of contents) buffer.mapping.bytes.set(data, offset);
    buffers.push(buffer);
  }
  const memoryOf = ({ buffer, offset, bytes }: Binding): Uint8Array =>
    buffers[buffer]!.mapping.bytes.subarray(offset, offset + bytes);
  for (const input of segment.inputs)
    packFeatures(layoutOf(input), partOf(input, tensors.get(input.tensor.name)!), memoryOf(input));

  const submit = async (): Promise<void> => {
    const list = new Uint8Array(segment.addresses.length * abi.NvdlaMemHandle.size);
    segment.addresses.forEach(({ buffer, offset }, i) =>
      abi.NvdlaMemHandle.put(
        list,
        { handle: buffers[buffer]!.fd, offset: BigInt(offset) },
        i * abi.NvdlaMemHandle.size,
      ),
    );
    using addresses = file.user.place(list);
    using tasks = file.user.place(
      abi.NvdlaTask.bytes({
        num_addresses: segment.addresses.length,
        timeout: abi.NVDLA_NO_TIMEOUT,
        address_list: addresses.pointer,
      }),
    );
    await file.ioctl(
      abi.DRM_IOCTL_NVDLA_SUBMIT.request,
      abi.NvdlaSubmitArgs.bytes({ tasks: tasks.pointer, num_tasks: 1 }),
    );
  };
  return { buffers: buffers.map(({ mapping }) => mapping.bytes), memoryOf, submit };
}

/** Tensors by name, row-major. uint8 tensors are given and returned as the int8 that is 128 less. */
export async function runSegment(
  file: AccelFile,
  segment: NvdlaSegment,
  tensors: ReadonlyMap<string, Int8Array>,
): Promise<Map<string, Int8Array>> {
  const { memoryOf, submit } = await load(file, segment, tensors);
  await submit();
  const results = new Map<string, Int8Array>();
  for (const output of segment.outputs) {
    const count = output.tensor.shape.reduce((a, b) => a * b, 1);
    const tensor = results.get(output.tensor.name) ?? new Int8Array(count);
    unpackFeatures(layoutOf(output), memoryOf(output), partOf(output, tensor));
    results.set(output.tensor.name, tensor);
  }
  return results;
}

/**
 * Runs a segment, and leaves in `folder` what a client in another language needs to run it: a file per buffer as it was before,
 * a file per output as it was after, and `job`, which says where they belong.
 */
export async function writeSegment(
  file: AccelFile,
  segment: NvdlaSegment,
  tensors: ReadonlyMap<string, Int8Array>,
  folder: string,
): Promise<void> {
  const { buffers, memoryOf, submit } = await load(file, segment, tensors);
  buffers.forEach((bytes, i) => writeFileSync(join(folder, `buffer${i}`), bytes));
  await submit();
  segment.outputs.forEach((output, i) => writeFileSync(join(folder, `output${i}`), memoryOf(output)));
  const lines = [
    ...buffers.map(({ length }) => `buffer ${length}`),
    ...buffers.map(({ length }, i) => `content ${i} 0 ${length} buffer${i}`),
    ...segment.addresses.map(({ buffer, offset }) => `address ${buffer} ${offset}`),
    ...segment.outputs.map(
      ({ buffer, offset, bytes }, i) => `output ${buffer} ${offset} ${bytes} output${i}`,
    ),
  ];
  writeFileSync(join(folder, 'job'), `${lines.join('\n')}\n`);
}

/** An image of a batch is a run of the tensor. */
function partOf({ part }: Binding, tensor: Int8Array): Int8Array {
  return part === undefined ? tensor : tensor.subarray(part.from, part.from + part.count);
}
