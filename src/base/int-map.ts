// A hash table with integer keys whose cost does not grow with the past: for keys that come and go many times.
// Not for other keys, and not ordered. (A Map keeps removed entries in its chains until it is rebuilt: taking out and
// putting back one key of many costs tens of microseconds each time.)

const EMPTY = -1;

/** Keys are integers from 0 to 2^32 - 1. Linear probing; removal closes the gap, so nothing is left behind. */
export class IntMap<V> {
  #keys: number[] = new Array<number>(8).fill(EMPTY);
  #values: (V | undefined)[] = new Array<V | undefined>(8).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): V | undefined {
    return this.#values[this.#slot(key)];
  }

  has(key: number): boolean {
    return this.#keys[this.#slot(key)] === key;
  }

  set(key: number, value: V): void {
    let slot = this.#slot(key);
    if (this.#keys[slot] !== key) {
      if (this.#size * 2 >= this.#keys.length) {
        this.#grow();
        slot = this.#slot(key);
      }
      this.#keys[slot] = key;
      this.#size++;
    }
    this.#values[slot] = value;
  }

  /** False when the key was not there. */
  delete(key: number): boolean {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let hole = this.#slot(key);
    if (keys[hole] !== key) return false;
    for (let at = (hole + 1) & mask; keys[at] !== EMPTY; at = (at + 1) & mask) {
      // An entry may fill the hole when its own place is not between the hole and where it is.
      if (((at - this.#home(keys[at]!)) & mask) < ((at - hole) & mask)) continue;
      keys[hole] = keys[at]!;
      this.#values[hole] = this.#values[at];
      hole = at;
    }
    keys[hole] = EMPTY;
    this.#values[hole] = undefined;
    this.#size--;
    return true;
  }

  clear(): void {
    this.#keys = new Array<number>(8).fill(EMPTY);
    this.#values = new Array<V | undefined>(8).fill(undefined);
    this.#size = 0;
  }

  /** In no order. Do not change the map meanwhile. */
  *values(): IterableIterator<V> {
    for (let slot = 0; slot < this.#keys.length; slot++)
      if (this.#keys[slot] !== EMPTY) yield this.#values[slot]!;
  }

  #home(key: number): number {
    return (Math.imul(key, 0x9e3779b1) >>> 7) & (this.#keys.length - 1);
  }

  /** Where the key is, or the empty place where it would go. */
  #slot(key: number): number {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let slot = this.#home(key);
    while (keys[slot] !== key && keys[slot] !== EMPTY) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Array<number>(keys.length * 2).fill(EMPTY);
    this.#values = new Array<V | undefined>(keys.length * 2).fill(undefined);
    for (const [from, key] of keys.entries()) {
      if (key === EMPTY) continue;
      const slot = this.#slot(key);
      this.#keys[slot] = key;
      this.#values[slot] = values[from];
    }
  }
}
