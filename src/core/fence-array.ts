// Several fences as one, and merging: dma_fence_array and dma_fence_unwrap_merge. Core fact sheet section 6.
// Not ordered: its parts are of different timelines.
import type { ErrnoName } from '../base/errors.js';
import { Fence, FenceContext } from './fence.js';
import { FenceChain } from './fence-chain.js';

/** Signals when all its parts have, with the first error among them. */
export class FenceArray extends Fence {
  readonly fences: readonly Fence[];
  #active: number;
  #firstError: ErrnoName | undefined;

  constructor(fences: readonly Fence[]) {
    super(new FenceContext('dma_fence_array', 'unbound'), 1);
    this.fences = fences;
    this.#active = fences.length;
    for (const fence of fences) {
      fence.onSignal(({ error, timestamp }) => {
        this.#firstError ??= error;
        if (--this.#active === 0) this.signal(timestamp, this.#firstError);
      });
    }
  }
}

/** The plain fences that arrays and timelines are made of. */
export function unwrap(fence: Fence): Fence[] {
  if (fence instanceof FenceArray) return fence.fences.flatMap(unwrap);
  if (!(fence instanceof FenceChain)) return [fence];
  const all: Fence[] = [];
  for (
    let at: Fence | undefined = fence;
    at !== undefined;
    at = at instanceof FenceChain ? at.walk() : undefined
  )
    all.push(...unwrap(at instanceof FenceChain ? at.fence : at));
  return all;
}

/**
 * One fence for all: active ones only, the latest of each context, ordered by context. With none left a fence that has
 * signalled at the latest time of theirs.
 */
export function mergeFences(...fences: readonly Fence[]): Fence {
  const latest = new Map<FenceContext, Fence>();
  let signalledAt = 0;
  for (const fence of fences.flatMap(unwrap)) {
    if (fence.signalled) {
      signalledAt = Math.max(signalledAt, fence.timestamp);
      continue;
    }
    const known = latest.get(fence.context);
    if (known === undefined || fence.isLater(known)) latest.set(fence.context, fence);
  }
  const left = [...latest.values()].sort((a, b) => a.context.id - b.context.id);
  if (left.length === 0) return Fence.signalled(signalledAt);
  return left.length === 1 ? left[0]! : new FenceArray(left);
}
