// The null device's data path: copies and fills DRAM.
// Not SIMD: the host's own memmove and memset are as fast as memory.
import type { Engine, EngineContext } from '../../bus/port.js';

/** First word of a command; then source address or fill value, destination address, bytes. */
export const EngineOp = { COPY: 1, FILL: 2 } as const;

export function createNullEngine({ memory }: EngineContext): Engine {
  const bytes = new Uint8Array(memory.buffer);
  return {
    execute(command) {
      const source = command[1]! >>> 0;
      const target = command[2]! >>> 0;
      const length = command[3]! >>> 0;
      if (command[0] === EngineOp.COPY) bytes.copyWithin(target, source, source + length);
      else bytes.fill(source & 0xff, target, target + length);
    },
  };
}
