// Changes a graph in place and keeps track of who uses what, so that passes need not search.
// Not a pass: it knows no operator.
import {
  Constant,
  type DataType,
  elementCount,
  type Graph,
  type Node,
  type Shape,
  type TypedArray,
  type Value,
} from '../ir/index.js';

/** Call `finish` when done: until then the graph's node list is the old one. */
export class Rewriter {
  readonly graph: Graph;
  readonly #producers = new Map<Value, Node>();
  readonly #consumers = new Map<Value, Node[]>();
  readonly #names = new Set<string>();
  readonly #removed = new Set<Node>();
  readonly #before = new Map<Node, Node[]>();
  readonly #after = new Map<Node, Node[]>();
  #changed = false;

  constructor(graph: Graph) {
    this.graph = graph;
    for (const node of graph.nodes) this.#enter(node);
    for (const value of graph.values()) this.#names.add(value.name);
  }

  /** Whether anything was changed. */
  get changed(): boolean {
    return this.#changed;
  }

  #enter(node: Node): void {
    for (const value of node.outputs) {
      this.#producers.set(value, node);
      this.#names.add(value.name);
    }
    for (const value of node.inputs) if (value !== undefined) this.#use(value, node);
  }

  #use(value: Value, node: Node): void {
    const list = this.#consumers.get(value);
    if (list === undefined) this.#consumers.set(value, [node]);
    else list.push(node);
  }

  #unuse(value: Value, node: Node): void {
    const list = this.#consumers.get(value);
    const at = list?.indexOf(node) ?? -1;
    if (at >= 0) list!.splice(at, 1);
  }

  producer(value: Value | undefined): Node | undefined {
    return value === undefined ? undefined : this.#producers.get(value);
  }

  consumers(value: Value): readonly Node[] {
    return this.#consumers.get(value) ?? [];
  }

  isOutput(value: Value): boolean {
    return this.graph.outputs.includes(value);
  }

  /** The one node that uses the value, when there is exactly one use and it is no graph output. */
  onlyConsumer(value: Value): Node | undefined {
    const list = this.consumers(value);
    return list.length === 1 && !this.isOutput(value) ? list[0] : undefined;
  }

  /** Whether the node is still part of the graph. */
  isLive(node: Node): boolean {
    return !this.#removed.has(node);
  }

  /** A name nobody has, made from `wish`. */
  unique(wish: string): string {
    let name = wish;
    for (let i = 1; this.#names.has(name); i++) name = `${wish}_${i}`;
    this.#names.add(name);
    return name;
  }

  /** A new constant value. */
  constant(type: DataType, shape: Shape, data: TypedArray | Constant, wish: string): Value {
    return {
      name: this.unique(wish),
      type,
      shape,
      data: data instanceof Constant ? data : Constant.of(type, data),
    };
  }

  /** `length` times one value, or the values, as a float32 constant. */
  floats(shape: Shape, data: Float64Array | Float32Array | number, wish: string): Value {
    const constant =
      typeof data === 'number'
        ? Constant.fill('float32', elementCount(shape), Math.fround(data))
        : Constant.of('float32', Float32Array.from(data));
    return this.constant('float32', shape, constant, wish);
  }

  setInput(node: Node, index: number, value: Value | undefined): void {
    const old = node.inputs[index];
    if (old === value) return;
    if (old !== undefined) this.#unuse(old, node);
    while (node.inputs.length < index) node.inputs.push(undefined);
    node.inputs[index] = value;
    if (value !== undefined) this.#use(value, node);
    while (node.inputs.length > 0 && node.inputs.at(-1) === undefined) node.inputs.pop();
    this.#changed = true;
  }

  /** Adds a node in front of another. */
  insertBefore(at: Node, node: Node): void {
    this.#insert(this.#before, at, node);
  }

  /** Adds a node behind another; several come out in the order they were added. */
  insertAfter(at: Node, node: Node): void {
    this.#insert(this.#after, at, node);
  }

  #insert(where: Map<Node, Node[]>, at: Node, node: Node): void {
    const list = where.get(at);
    if (list === undefined) where.set(at, [node]);
    else list.push(node);
    this.#enter(node);
    this.#changed = true;
  }

  /** Takes a node out. Its outputs must have no users left, or another producer by now. */
  remove(node: Node): void {
    this.#removed.add(node);
    for (const value of node.inputs) if (value !== undefined) this.#unuse(value, node);
    for (const value of node.outputs) if (this.#producers.get(value) === node) this.#producers.delete(value);
    this.#changed = true;
  }

  /** Puts `next` in the place of `node`; next usually makes the same values. */
  replace(node: Node, next: Node): void {
    this.insertBefore(node, next);
    this.remove(node);
    for (const value of next.outputs) this.#producers.set(value, next);
  }

  /** `node` makes what `follower` made, and `follower` goes: how an operation is fused into the one before it. */
  absorb(node: Node, follower: Node): void {
    this.#producers.delete(node.outputs[0]!);
    this.remove(follower);
    node.outputs[0] = follower.outputs[0]!;
    this.#producers.set(node.outputs[0], node);
  }

  /**
   * Every use of `from` becomes a use of `to`. A graph output keeps its name: `to` takes it over. Returns false, having
   * done nothing, when that cannot be: `to` is itself an input, a constant or another output of the graph.
   */
  replaceUses(from: Value, to: Value): boolean {
    const output = this.graph.outputs.indexOf(from);
    if (output >= 0) {
      if (!this.#producers.has(to) || this.isOutput(to)) return false;
      to.name = from.name;
      this.graph.outputs[output] = to;
    }
    for (const node of [...this.consumers(from)]) {
      node.inputs.forEach((value, index) => {
        if (value === from) this.setInput(node, index, to);
      });
    }
    this.#changed = true;
    return true;
  }

  /** Writes the node list. */
  finish(): void {
    if (!this.#changed) return;
    const order: Node[] = [];
    const place = (node: Node): void => {
      for (const other of this.#before.get(node) ?? []) place(other);
      if (!this.#removed.has(node)) order.push(node);
      for (const other of this.#after.get(node) ?? []) place(other);
    };
    for (const node of this.graph.nodes) place(node);
    this.graph.nodes = order;
  }
}
