// Timelines: fences chained under growing points, as syncobjs hold them. The kernel's dma_fence_chain, core sheet section 5.
// Not a fence context: points are what user space numbers them.
import { Fence, FenceContext } from './fence.js';

/** Nodes whose turn has come, in order; a list instead of recursion, as a timeline may be long. */
const due: FenceChain[] = [];
let signalling = false;

/**
 * One point of a timeline: signals when its own fence and every one before it have. What comes before is forgotten as
 * soon as it has signalled, so a timeline holds what is in flight and no more.
 */
export class FenceChain extends Fence {
  readonly point: bigint;
  /** The fence of this point alone. */
  readonly fence: Fence;
  /** The point before this one on the same timeline, 0 at its start. */
  readonly previousPoint: bigint;
  #previous: Fence | undefined;

  private constructor(
    context: FenceContext,
    point: bigint,
    fence: Fence,
    previous: Fence | undefined,
    before: bigint,
  ) {
    super(context, Number(point));
    this.point = point;
    this.fence = fence;
    this.previousPoint = before;
    this.#previous = previous;
    fence.onSignal(() => this.#advance());
  }

  /** Adds `point` on top of what a syncobj held. A point that does not go on begins a new timeline, never going back. */
  static on(old: Fence | undefined, point: bigint, fence: Fence): FenceChain {
    if (old instanceof FenceChain && point > old.point)
      return new FenceChain(old.context, point, fence, old, old.point);
    const context = new FenceContext(fence.driverName, fence.timelineName);
    const at = old instanceof FenceChain && old.point > point ? old.point : point;
    return new FenceChain(context, at, fence, old, 0n);
  }

  override isLater(other: Fence): boolean {
    return this.context === other.context && other instanceof FenceChain && this.point > other.point;
  }

  /** The next older fence that counts: predecessors whose own fence has signalled are unlinked (dma_fence_chain_walk). */
  walk(): Fence | undefined {
    for (;;) {
      const previous = this.#previous;
      if (previous === undefined) return undefined;
      const own = previous instanceof FenceChain ? previous.fence : previous;
      if (!own.signalled) return previous;
      this.#previous = previous instanceof FenceChain ? previous.#previous : undefined;
    }
  }

  #advance(): void {
    const previous = this.walk();
    if (previous !== undefined) {
      previous.onSignal(() => this.#advance());
      return;
    }
    due.push(this);
    if (signalling) return;
    signalling = true;
    for (const node of due) node.signal(node.fence.timestamp, node.fence.error);
    due.length = 0;
    signalling = false;
  }
}

/** The point that a query reports: everything up to it has signalled. */
export function signalledPoint(head: FenceChain): bigint {
  let last = head;
  for (let at: Fence | undefined = head; at instanceof FenceChain; at = at.walk()) {
    if (at.context !== head.context) break;
    last = at;
  }
  return last.signalled ? last.point : last.previousPoint;
}

/**
 * The fence to wait on for `point` of what a syncobj holds: 'unsubmitted' when it does not exist yet, undefined when it
 * has signalled and is forgotten (dma_fence_chain_find_seqno).
 */
export function findPoint(content: Fence | undefined, point: bigint): Fence | 'unsubmitted' | undefined {
  if (content === undefined) return 'unsubmitted';
  if (point === 0n) return content;
  if (!(content instanceof FenceChain) || content.point < point) return 'unsubmitted';
  let at: Fence | undefined = content;
  while (at !== undefined) {
    if (at.context !== content.context || !(at instanceof FenceChain) || at.previousPoint < point) return at;
    at = at.walk();
  }
  return undefined;
}
