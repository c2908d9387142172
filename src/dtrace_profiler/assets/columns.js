// Columns of numbers that grow, and a map from pairs of numbers to rows. What 100,000 nodes are kept in.

/** A column of numbers in one typed array. `data` may be longer than `length`. */
export class Column {
  /** @param {Int32ArrayConstructor | Uint8ArrayConstructor | Float64ArrayConstructor | Float32ArrayConstructor} type */
  constructor(type) {
    this.type = type;
    this.data = new type(64);
    this.length = 0;
  }

  /** @param {number} value */
  push(value) {
    if (this.length === this.data.length) this.reserve(this.length * 2);
    this.data[this.length++] = value;
  }

  /** @param {ArrayLike<number>} values */
  extend(values) {
    this.reserve(this.length + values.length);
    this.data.set(values, this.length);
    this.length += values.length;
  }

  /** Space for so many; the length stays.
   * @param {number} count */
  reserve(count) {
    if (count <= this.data.length) return;
    const grown = new this.type(Math.max(count, this.data.length * 2));
    grown.set(this.data.subarray(0, this.length));
    this.data = grown;
  }

  /** Exactly so many, new ones 0.
   * @param {number} count */
  resize(count) {
    this.reserve(count);
    if (count < this.length) this.data.fill(0, count, this.length);
    this.length = count;
  }

  /** Without the first so many.
   * @param {number} count */
  drop(count) {
    this.data.copyWithin(0, count, this.length);
    this.length -= Math.min(count, this.length);
  }
}

/** Finds the row of two columns that holds a pair. The rows themselves live in the columns given. */
export class PairIndex {
  /** @param {Column} first @param {Column} second @param {number} [expected] how many rows there may be */
  constructor(first, second, expected = 0) {
    this.first = first;
    this.second = second;
    let size = 256;
    while (size < 2 * expected) size *= 2;
    this.slots = new Int32Array(size).fill(-1);
    this.used = 0;
  }

  /** The row of (a, b), -1 where there is none.
   * @param {number} a @param {number} b */
  find(a, b) {
    return this.slots[this.#slot(a, b)];
  }

  /** Remembers that (a, b) is at this row, where it was not known.
   * @param {number} a @param {number} b @param {number} row */
  add(a, b, row) {
    if (this.used * 2 >= this.slots.length) this.#grow();
    this.slots[this.#slot(a, b)] = row;
    this.used++;
  }

  /** @param {number} a @param {number} b */
  #slot(a, b) {
    const mask = this.slots.length - 1;
    let hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let slot = (hash ^ (hash >>> 13)) & mask;
    for (;;) {
      const row = this.slots[slot];
      if (row < 0 || (this.first.data[row] === a && this.second.data[row] === b)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow() {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2).fill(-1);
    for (const row of old) {
      if (row >= 0) this.slots[this.#slot(this.first.data[row], this.second.data[row])] = row;
    }
  }
}
