// The read-only description of a configuration (CFGROM): the words whose values are public.
// Not the configuration itself: hw/nvdla/config.ts. Fact sheet section 1.2.
import type { NvdlaConfig } from '../../hw/nvdla/config.js';

/** Values by register name; what is not in it reads as zero and counts as absent. */
export function cfgrom(config: NvdlaConfig): Partial<Record<string, number>> {
  const { banks, bytesPerEntry, entriesPerBank } = config.cbuf;
  const words: Partial<Record<string, number>> = {};
  for (const unit of ['CDMA', 'CSC', 'CMAC_A', 'CMAC_B', 'CACC']) {
    words[`CFGROM_${unit}_BASE_ATOMIC_C`] = config.atomicC;
    words[`CFGROM_${unit}_BASE_ATOMIC_K`] = config.atomicK;
  }
  for (const unit of ['CDMA', 'CSC', 'SDP_RDMA', 'PDP_RDMA', 'CDP_RDMA']) {
    words[`CFGROM_${unit}_BASE_ATOMIC_M`] = config.atom;
  }
  for (const unit of ['CDMA_BASE', 'CSC_BASE', 'CBUF_BASE']) {
    words[`CFGROM_${unit}_CBUF_BANK_NUM`] = banks;
    words[`CFGROM_${unit}_CBUF_BANK_WIDTH`] = bytesPerEntry;
    words[`CFGROM_${unit}_CBUF_BANK_DEPTH`] = entriesPerBank;
  }
  if (config.name === 'nv_small') {
    words.CFGROM_HW_VERSION = 0x10001;
    words.CFGROM_GLB_DESC = 0x1;
    words.CFGROM_CIF_DESC = 0x180002;
    words.CFGROM_CDMA_DESC = 0x340003;
  }
  return words;
}
