// ioctl values and struct sizes as C programs on Linux have them. Not what the calls do.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as gna from '../../src/abi/gna.js';
import * as nvdla from '../../src/abi/nvdla.js';

const hex = (value: number): string => `0x${value.toString(16)}`;

describe('the uAPI of gna', () => {
  it('has the numbers of gna_drm.h', () => {
    const values = [
      gna.DRM_IOCTL_GNA_GET_PARAMETER,
      gna.DRM_IOCTL_GNA_GEM_NEW,
      gna.DRM_IOCTL_GNA_GEM_FREE,
      gna.DRM_IOCTL_GNA_COMPUTE,
      gna.DRM_IOCTL_GNA_WAIT,
    ].map(({ request }) => hex(request));
    assert.deepEqual(values, ['0xc0086440', '0xc0186441', '0xc0046442', '0xc0206443', '0xc0386444']);
  });
});

describe('the uAPI of nvdla', () => {
  it('has the numbers of nvdla_ioctl.h', () => {
    const values = [
      nvdla.DRM_IOCTL_NVDLA_SUBMIT,
      nvdla.DRM_IOCTL_NVDLA_GEM_CREATE,
      nvdla.DRM_IOCTL_NVDLA_GEM_MMAP,
      nvdla.DRM_IOCTL_NVDLA_GEM_DESTROY,
    ].map(({ request }) => hex(request));
    assert.deepEqual(values, ['0xc0106440', '0xc0106441', '0xc0106442', '0xc0046443']);
  });
});
