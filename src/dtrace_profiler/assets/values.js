// Sums by thread and node: what a tree counts.

import { Column, PairIndex } from "./columns.js";

/** @typedef {{thread: ArrayLike<number>, node: ArrayLike<number>, value: ArrayLike<number>,
 *             square?: ArrayLike<number>}} ValueColumns
 *  `square`: Σ of the samples' squared values; only where the unit is not samples */

/** @typedef {{values: Values, elided: Values}} Counted
 *  What is counted: of nodes themselves, and (node -1: of the root) of callees that were left out. */

/** One value for each pair of thread and node. */
export class Values {
  constructor() {
    this.thread = new Column(Int32Array);
    this.node = new Column(Int32Array);
    this.value = new Column(Float64Array);
    /** Σw² of the samples; of samples that count 1 the same as the value. */
    this.square = new Column(Float64Array);
    this.rows = new PairIndex(this.thread, this.node);
  }

  get length() {
    return this.value.length;
  }

  /** @param {ValueColumns} columns */
  add(columns) {
    const squares = columns.square ?? columns.value;
    for (let i = 0; i < columns.value.length; i++) {
      this.addOne(columns.thread[i], columns.node[i], columns.value[i], squares[i]);
    }
  }

  /** @param {number} thread @param {number} node @param {number} value @param {number} square */
  addOne(thread, node, value, square) {
    const row = this.rows.find(thread, node);
    if (row >= 0) {
      this.value.data[row] += value;
      this.square.data[row] += square;
      return;
    }
    this.rows.add(thread, node, this.length);
    this.thread.push(thread);
    this.node.push(node);
    this.value.push(value);
    this.square.push(square);
  }

  /** @param {ReadonlySet<number> | null} threads null: all */
  total(threads) {
    let total = 0;
    for (let row = 0; row < this.length; row++) {
      if (!threads || threads.has(this.thread.data[row])) total += this.value.data[row];
    }
    return total;
  }
}
