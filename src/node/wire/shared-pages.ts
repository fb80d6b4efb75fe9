// What the daemon needs of DRAM that other processes can map: the memfd behind a buffer.
// Not how DRAM is made of memfds: that is memory-files.ts. `openSystem({ backing: (memory) => (files = new MemoryFiles(memory)) })`.

/** One buffer's pages as other processes see them. */
export interface SharedRange {
  /** A sealed memfd (no shrinking, no growing) that holds this buffer and nothing else. Owned by the provider. */
  readonly fd: number;
  /** Where the buffer begins in it. */
  readonly offset: number;
}

/** DRAM whose buffers are memfds. */
export interface SharedPages {
  /**
   * The memfd behind the buffer of `bytes` at DRAM offset `address`. The same one each time for as long as the buffer
   * lives; closed by the provider when the buffer is freed.
   * @throws AccelError EINVAL when no buffer begins there, ENOMEM
   */
  sharedPages(address: number, bytes: number): SharedRange;
}
