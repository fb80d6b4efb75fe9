// Random weights for networks that come without any.
// Not a model: nothing is learned.
import { Constant, elementCount, type Graph } from '../../src/compiler/index.js';

/** Numbers from -1 to 1, the same every time. */
export function generator(): () => number {
  let state = 12345;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  };
}

/** Numbers in place of repeated constants, of such a size that values neither vanish nor grow. */
export function randomise(graph: Graph, next: () => number): void {
  for (const node of graph.nodes) {
    if (!['Conv', 'Gemm'].includes(node.op)) continue;
    node.inputs.slice(1).forEach((value, i) => {
      if (value?.data?.fill === undefined) return;
      const inputs = i === 0 ? elementCount(value.shape!.slice(1)) : 600;
      const size = Math.sqrt(6 / inputs);
      value.data = Constant.of(
        'float32',
        Float32Array.from({ length: value.data.length }, () => next() * size),
      );
    });
  }
}
