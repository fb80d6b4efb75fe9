// Address ranges out of one span: the lowest gap that fits (drm_mm's DRM_MM_INSERT_LOW).
// Not memory: it hands out numbers.

/** A range in use or a gap. Together the pieces tile the span; two gaps never touch. */
class Piece {
  start: number;
  end: number;
  used: boolean;
  left: Piece | undefined;
  right: Piece | undefined;
  readonly priority: number;
  /** The largest gap among this piece and those below it. */
  largest = 0;

  constructor(start: number, end: number, used: boolean, priority: number) {
    this.start = start;
    this.end = end;
    this.used = used;
    this.priority = priority;
    this.refresh();
  }

  refresh(): void {
    let largest = this.used ? 0 : this.end - this.start;
    if (this.left !== undefined && this.left.largest > largest) largest = this.left.largest;
    if (this.right !== undefined && this.right.largest > largest) largest = this.right.largest;
    this.largest = largest;
  }
}

type Tree = Piece | undefined;

/**
 * Allocates ranges in [start, start + size). A treap of pieces by address that knows the largest gap below each: every
 * operation is O(log n), also when the span is in shreds. (An alignment coarser than the sizes in use may look at more.)
 */
export class RangeAllocator {
  readonly start: number;
  readonly end: number;
  #root: Tree;
  #count = 0;
  #used = 0;
  #random = 0x2545f491;

  constructor(start: number, size: number) {
    this.start = start;
    this.end = start + size;
    if (size > 0) this.#root = this.#piece(start, this.end, false);
  }

  /** Number of ranges in use. */
  get count(): number {
    return this.#count;
  }

  /** Total size in use. */
  get used(): number {
    return this.#used;
  }

  /** The start of a new range of `size` at a multiple of `align`, or undefined when no gap fits. */
  allocate(size: number, align = 1): number | undefined {
    if (!(size > 0)) return undefined;
    const gap = lowest(this.#root, size, align);
    if (gap === undefined) return undefined;
    const at = alignUp(gap.start, align);
    this.#take(gap, at, size);
    return at;
  }

  /** Takes exactly [at, at + size); false when part of it is in use or outside the span. */
  reserve(at: number, size: number): boolean {
    const gap = this.#find(at);
    if (!(size > 0) || gap === undefined || gap.used || gap.end < at + size) return false;
    this.#take(gap, at, size);
    return true;
  }

  /** Frees the range that starts at `at`; returns its size, or undefined when no range starts there. */
  free(at: number): number | undefined {
    const range = this.#find(at);
    if (range === undefined || range.start !== at || !range.used) return undefined;
    const size = range.end - at;
    this.#count--;
    this.#used -= size;
    const before = this.#find(at - 1);
    const after = this.#find(range.end);
    if (after !== undefined && !after.used) {
      this.#root = without(this.#root, after.start);
      range.end = after.end;
    }
    if (before !== undefined && !before.used) {
      this.#root = without(this.#root, at);
      before.end = range.end;
      this.#refreshTo(before);
    } else {
      range.used = false;
      this.#refreshTo(range);
    }
    return size;
  }

  /** The size of the range that starts at `at`, or undefined. */
  sizeOf(at: number): number | undefined {
    const range = this.#find(at);
    return range?.start === at && range.used ? range.end - range.start : undefined;
  }

  #take(gap: Piece, at: number, size: number): void {
    const { start, end } = gap;
    this.#count++;
    this.#used += size;
    if (at === start && at + size === end) {
      gap.used = true;
      this.#refreshTo(gap);
      return;
    }
    // The gap keeps one side of what is left; its place in the order stays the same.
    if (at === start) gap.start = at + size;
    else gap.end = at;
    this.#refreshTo(gap);
    this.#root = inserted(this.#root, this.#piece(at, at + size, true));
    if (at > start && at + size < end) this.#root = inserted(this.#root, this.#piece(at + size, end, false));
  }

  /** The piece that holds `at`. */
  #find(at: number): Tree {
    let piece = this.#root;
    while (piece !== undefined) {
      if (at < piece.start) piece = piece.left;
      else if (at >= piece.end) piece = piece.right;
      else return piece;
    }
    return undefined;
  }

  /** After a piece has changed: what is known above it. */
  #refreshTo(piece: Piece): void {
    refreshPath(this.#root, piece);
  }

  #piece(start: number, end: number, used: boolean): Piece {
    // xorshift32: any spread of priorities keeps the tree flat, and a fixed seed keeps runs alike.
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return new Piece(start, end, used, x);
  }
}

function alignUp(at: number, align: number): number {
  return align === 1 ? at : Math.ceil(at / align) * align;
}

/** The lowest gap that holds `size` at a multiple of `align`. */
function lowest(tree: Tree, size: number, align: number): Tree {
  if (tree === undefined || tree.largest < size) return undefined;
  const left = lowest(tree.left, size, align);
  if (left !== undefined) return left;
  if (!tree.used && alignUp(tree.start, align) + size <= tree.end) return tree;
  return lowest(tree.right, size, align);
}

function refreshPath(tree: Tree, piece: Piece): void {
  if (tree === undefined) return;
  if (tree !== piece) refreshPath(piece.start < tree.start ? tree.left : tree.right, piece);
  tree.refresh();
}

function inserted(tree: Tree, piece: Piece): Piece {
  if (tree === undefined) return piece;
  if (piece.priority > tree.priority) {
    split(tree, piece.start, piece);
    piece.refresh();
    return piece;
  }
  if (piece.start < tree.start) tree.left = inserted(tree.left, piece);
  else tree.right = inserted(tree.right, piece);
  tree.refresh();
  return tree;
}

/** Hangs what lies below `at` to the left of `into`, the rest to its right. */
function split(tree: Tree, at: number, into: Piece): void {
  if (tree === undefined) {
    into.left = undefined;
    into.right = undefined;
    return;
  }
  if (tree.start < at) {
    split(tree.right, at, into);
    tree.right = into.left;
    into.left = tree;
  } else {
    split(tree.left, at, into);
    tree.left = into.right;
    into.right = tree;
  }
  tree.refresh();
}

function without(tree: Tree, start: number): Tree {
  if (tree === undefined) return undefined;
  if (tree.start === start) return joined(tree.left, tree.right);
  if (start < tree.start) tree.left = without(tree.left, start);
  else tree.right = without(tree.right, start);
  tree.refresh();
  return tree;
}

function joined(left: Tree, right: Tree): Tree {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (left.priority > right.priority) {
    left.right = joined(left.right, right);
    left.refresh();
    return left;
  }
  right.left = joined(left, right.left);
  right.refresh();
  return right;
}
