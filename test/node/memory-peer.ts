// The other process of memory-files.test.ts: maps the buffers it is handed as descriptors 3, 4 ... and does what it is told.
// Not a test.
import { createInterface } from 'node:readline';
import { AccelError } from '../../src/base/errors.js';
import {
  bufferAt,
  F_ADD_SEALS,
  fcntl,
  ftruncate,
  MAP_SHARED,
  mmap,
  PROT_READ,
  PROT_WRITE,
} from '../../src/node/libc.js';

const [length = 4096, files = 1] = process.argv.slice(2).map(Number);
const maps = Array.from(
  { length: files },
  (_, index) =>
    new Int32Array(
      bufferAt(
        mmap({ length, protection: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd: 3 + index }),
        length,
      ),
    ),
);
const sleeping = new Int32Array(new SharedArrayBuffer(4));

/** Looks at the word until it changes: no call to the other process is made. */
function poll(words: Int32Array, at: number): number {
  for (let tries = 0; tries < 20000; tries++) {
    const value = Atomics.load(words, at);
    if (value !== 0) return value;
    Atomics.wait(sleeping, 0, 0, 1);
  }
  return 0;
}

function outcome(call: () => unknown): string {
  try {
    call();
    return 'ok';
  } catch (error) {
    return (error as AccelError).code;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...rest] = line.split(' ');
  const [file = 0, at = 0, value = 0] = rest.map(Number);
  const words = maps[file]!;
  if (what === 'store') console.log(Atomics.exchange(words, at, value));
  else if (what === 'load') console.log(Atomics.load(words, at));
  else if (what === 'poll') console.log(poll(words, at));
  else if (what === 'tricks') {
    console.log(
      [0, length / 2, length * 2]
        .map((bytes) => outcome(() => ftruncate(3, bytes)))
        .concat(outcome(() => fcntl(3, F_ADD_SEALS, 0x8)))
        .join(' '),
    );
  }
}
