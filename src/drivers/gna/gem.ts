// The small calls: parameters, and buffers made and freed.
// Not export: dma-buf descriptors come from DRM_IOCTL_PRIME_HANDLE_TO_FD, which the core serves.
import * as abi from '../../abi/gna.js';
import { AccelError } from '../../base/errors.js';
import type { ValueOf } from '../../base/struct.js';
import type { GnaFile } from './client.js';

/** @throws AccelError EINVAL for an unknown id */
export function getParameter(
  file: GnaFile,
  args: ValueOf<typeof abi.GnaParameter>,
): ValueOf<typeof abi.GnaParameter> {
  const { recoveryTimeout, config, inputBufferKb } = file.device.hw;
  switch (args.value) {
    case BigInt(abi.GNA_PARAM_RECOVERY_TIMEOUT):
      return { value: BigInt(recoveryTimeout) };
    case BigInt(abi.GNA_PARAM_DEVICE_TYPE):
      return { value: BigInt(config.deviceType) };
    case BigInt(abi.GNA_PARAM_INPUT_BUFFER_S):
      return { value: BigInt(inputBufferKb) };
    case BigInt(abi.GNA_PARAM_DDI_VERSION):
      return { value: BigInt(abi.GNA_DDI_VERSION_CURRENT) };
    default:
      throw new AccelError('EINVAL', { field: 'id', reason: `${args.value}, known are 1 to 4` });
  }
}

/** @throws AccelError EINVAL, ENOMEM, ENOSPC */
export function gemNew(
  file: GnaFile,
  args: ValueOf<typeof abi.GnaGemNew>,
): Partial<ValueOf<typeof abi.GnaGemNew>> {
  const gem = file.createGem(args.handle + args.pad * 2 ** 32);
  try {
    return {
      handle: file.createHandle(gem),
      pad: 0,
      vma_fake_offset: file.mmapOffset(gem),
      size_granted: BigInt(gem.size),
    };
  } finally {
    gem.put();
  }
}

/** Cancels this file's requests that use the buffer, then closes the handle. @throws AccelError ENOENT */
export function gemFree(file: GnaFile, args: ValueOf<typeof abi.GnaGemFree>): undefined {
  file.own.cancelUsersOf(file.lookup(args.handle));
  file.closeHandle(args.handle);
}
