// Runs a compiled NVDLA segment through the uAPI: buffers, tensors into cubes, one submission, cubes into tensors.
// Not the runtime: nothing is kept between runs, and only int8 and uint8 tensors are bound.
import * as abi from '../../src/abi/nvdla.js';
import {
  type Binding,
  type NvdlaSegment,
  packFeatures,
  unpackFeatures,
} from '../../src/compiler/targets/index.js';
import type { AccelFile } from '../../src/core/accel-file.js';
import { createBuffer } from '../../src/testing/adapters/nvdla-job.js';

/** Tensors by name, row-major. uint8 tensors are given and returned as the int8 that is 128 less. */
export async function runSegment(
  file: AccelFile,
  segment: NvdlaSegment,
  tensors: ReadonlyMap<string, Int8Array>,
): Promise<Map<string, Int8Array>> {
  const buffers: Awaited<ReturnType<typeof createBuffer>>[] = [];
  for (const { bytes, contents } of segment.buffers) {
    const buffer = await createBuffer(file, bytes);
    for (const { offset, data } of contents) buffer.mapping.bytes.set(data, offset);
    buffers.push(buffer);
  }
  const memoryOf = ({ buffer, offset, bytes }: Binding): Uint8Array =>
    buffers[buffer]!.mapping.bytes.subarray(offset, offset + bytes);
  const layoutOf = ({ layout }: Binding) => {
    if (layout.kind !== 'feature') throw new Error('not a cube');
    return layout;
  };
  for (const input of segment.inputs)
    packFeatures(layoutOf(input), tensors.get(input.tensor.name)!, memoryOf(input));

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

  const results = new Map<string, Int8Array>();
  for (const output of segment.outputs) {
    const count = output.tensor.shape.reduce((a, b) => a * b, 1);
    const tensor = new Int8Array(count);
    unpackFeatures(layoutOf(output), memoryOf(output), tensor);
    results.set(output.tensor.name, tensor);
  }
  return results;
}
