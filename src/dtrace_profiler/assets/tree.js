// The call tree of a view: which functions call which (or, leaf first, are called by which), with values.
//
// Node 0 is the root ("all"). A parent's number is smaller than its children's, so that one pass forwards or backwards
// over the columns does what recursion would. Depth is no limit.

import { Column, PairIndex } from "./columns.js";
import { KINDS } from "./palette.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./functions.js").Functions} Functions */
/** @typedef {import("./palette.js").Kind} Kind */
/** @typedef {"name" | "weight"} Order */

/** @typedef {object} TreeView what of a profile a tree is made of
 * @property {boolean} leafFirst
 * @property {ReadonlySet<Kind>} hidden frames of these kinds are left out, their values go to their callers
 * @property {ReadonlySet<number> | null} threads only these; null: all
 * @property {Order} order of siblings
 */

/** @typedef {{self: Float64Array, total: Float64Array, selfWeight: Float64Array, totalWeight: Float64Array}}
 *  FunctionSums by function; the weights are Σw², for the errors */

export class CallTree {
  /** @param {Store} store @param {Functions} functions @param {TreeView} view */
  constructor(store, functions, view) {
    this.store = store;
    this.functions = functions;
    this.view = view;
    /** @type {Column} */
    this.parent = new Column(Int32Array);
    /** Index into `functions.list`; the root's is -1. */
    this.fn = new Column(Int32Array);
    this.depth = new Column(Int32Array);
    /** A node of the store that this node was first made for: what an address remembers. */
    this.origin = new Column(Int32Array);
    this.self = new Float64Array(0);
    this.total = new Float64Array(0);
    /** Σw² of the samples behind `self` and `total`, for their errors. Samples that count 1: the same columns. */
    this.selfWeight = this.self;
    this.totalWeight = this.total;
    /** Value of callees that were too small for this file. */
    this.elided = new Float64Array(0);
    /** Children of node n: `children[childStart[n]]` up to `children[childStart[n + 1]]`, in order. */
    this.childStart = new Int32Array(0);
    this.children = new Int32Array(0);
    this.index = new PairIndex(this.parent, this.fn, store.nodeCount * (view.leafFirst ? 4 : 1));
    /** Store node → tree node; leaf first: of the stack that ends there, -1 until it is asked for. */
    this.ofNode = new Column(Int32Array);
    this.hiddenKinds = KINDS.map((kind) => view.hidden.has(kind));
    this.#add(-1, -1, -1);
    this.update();
  }

  get length() {
    return this.parent.length;
  }

  /** Takes what came into the store since, and counts anew. */
  update() {
    this.#place();
    this.#count();
    this.#arrange();
  }

  /** @param {number} parent @param {number} fn @param {number} origin @returns {number} */
  #add(parent, fn, origin) {
    const node = this.parent.length;
    this.parent.push(parent);
    this.fn.push(fn);
    this.origin.push(origin);
    this.depth.push(parent < 0 ? 0 : this.depth.data[parent] + 1);
    if (parent >= 0) this.index.add(parent, fn, node);
    return node;
  }

  /** @param {number} parent @param {number} fn @param {number} origin */
  #child(parent, fn, origin) {
    const found = this.index.find(parent, fn);
    return found >= 0 ? found : this.#add(parent, fn, origin);
  }

  /** Gives every node of the store its place. */
  #place() {
    const { nodes, frames, nodeCount, values } = this.store;
    const { ofFrame } = this.functions;
    const hidden = this.hiddenKinds;
    if (this.view.leafFirst) {
      while (this.ofNode.length < nodeCount) this.ofNode.push(-1);
      for (let row = 0; row < values.length; row++) {
        const leaf = values.node.data[row];
        if (this.ofNode.data[leaf] >= 0) continue;
        let at = 0;
        for (let node = leaf; node >= 0; node = nodes.parent.data[node]) {
          const frame = nodes.frame.data[node];
          if (!hidden[frames.kind.data[frame]]) at = this.#child(at, ofFrame.data[frame], leaf);
        }
        this.ofNode.data[leaf] = at;
      }
      return;
    }
    for (let node = this.ofNode.length; node < nodeCount; node++) {
      const parent = nodes.parent.data[node];
      const frame = nodes.frame.data[node];
      const above = parent < 0 ? 0 : this.ofNode.data[parent];
      this.ofNode.push(hidden[frames.kind.data[frame]] ? above : this.#child(above, ofFrame.data[frame], node));
    }
  }

  #count() {
    this.self = this.#sums(this.store.values, "value");
    this.elided = this.#sums(this.store.elided, "value");
    this.total = this.#totals(this.self, this.elided);
    const alike = this.store.meta.unit === "samples";
    this.selfWeight = alike ? this.self : this.#sums(this.store.values, "square");
    this.totalWeight = alike ? this.total : this.#totals(this.selfWeight, this.#sums(this.store.elided, "square"));
  }

  /** A column of the store, of the threads that are chosen, by node.
   * @param {Store["values"]} values @param {"value" | "square"} column */
  #sums(values, column) {
    const { threads, leafFirst } = this.view;
    const leftOut = values === this.store.elided;
    const out = new Float64Array(this.length);
    const numbers = values[column].data;
    for (let row = 0; row < values.length; row++) {
      if (threads && !threads.has(values.thread.data[row])) continue;
      const node = values.node.data[row];
      // Which function a stack ends in that was left out is not known: leaf first, it can only be counted at the root.
      out[leftOut && (node < 0 || leafFirst) ? 0 : this.ofNode.data[node]] += numbers[row];
    }
    return out;
  }

  /** @param {Float64Array} self @param {Float64Array} elided */
  #totals(self, elided) {
    const total = new Float64Array(this.length);
    for (let node = 0; node < this.length; node++) total[node] = self[node] + elided[node];
    for (let node = this.length - 1; node > 0; node--) total[this.parent.data[node]] += total[node];
    return total;
  }

  /** Sorts siblings: two counting sorts, or by value. */
  #arrange() {
    const count = this.length;
    const parent = this.parent.data;
    const order = new Int32Array(count);
    if (this.view.order === "weight") {
      for (let node = 0; node < count; node++) order[node] = node;
      const ranks = this.functions.ranksByName();
      const fn = this.fn.data;
      order.sort((a, b) => this.total[b] - this.total[a] || ranks[fn[a]] - ranks[fn[b]]);
    } else {
      const ranks = this.functions.ranksByName();
      const fn = this.fn.data;
      const at = new Int32Array(this.functions.length + 2);
      for (let node = 0; node < count; node++) at[(fn[node] < 0 ? 0 : ranks[fn[node]] + 1) + 1]++;
      for (let i = 1; i < at.length; i++) at[i] += at[i - 1];
      for (let node = 0; node < count; node++) order[at[fn[node] < 0 ? 0 : ranks[fn[node]] + 1]++] = node;
    }
    const start = new Int32Array(count + 1);
    for (let node = 1; node < count; node++) start[parent[node] + 1]++;
    for (let i = 1; i <= count; i++) start[i] += start[i - 1];
    const next = start.slice();
    const children = new Int32Array(Math.max(0, count - 1));
    for (const node of order) if (node > 0) children[next[parent[node]]++] = node;
    this.childStart = start;
    this.children = children;
  }

  /** @param {number} node @returns {Int32Array} its children, in order */
  childrenOf(node) {
    return this.children.subarray(this.childStart[node], this.childStart[node + 1]);
  }

  /** Where a node's box begins, in values from the left.
   * @param {number} node */
  startOf(node) {
    let start = 0;
    for (let at = node; at > 0; at = this.parent.data[at]) {
      for (const sibling of this.childrenOf(this.parent.data[at])) {
        if (sibling === at) break;
        start += this.total[sibling];
      }
    }
    return start;
  }

  /** The nodes from the root to this one, both included.
   * @param {number} node */
  pathTo(node) {
    const path = [];
    for (let at = node; at >= 0; at = this.parent.data[at]) path.push(at);
    return path.reverse();
  }

  /** Sum of the nodes whose function is chosen, each stack counted once.
   * @param {Uint8Array} chosen function → 1 where it is
   * @returns {{value: number, weight: number}} */
  sumOf(chosen) {
    const covered = new Uint8Array(this.length);
    let value = 0;
    let weight = 0;
    for (let node = 1; node < this.length; node++) {
      if (covered[this.parent.data[node]]) {
        covered[node] = 1;
      } else if (chosen[this.fn.data[node]]) {
        covered[node] = 1;
        value += this.total[node];
        weight += this.totalWeight[node];
      }
    }
    return { value, weight };
  }

  /** Self and total of each function; a stack that holds it twice counts once. For root-first trees.
   * @returns {FunctionSums} */
  byFunction() {
    const self = new Float64Array(this.functions.length);
    const total = new Float64Array(this.functions.length);
    const selfWeight = new Float64Array(this.functions.length);
    const totalWeight = new Float64Array(this.functions.length);
    const onStack = new Int32Array(this.functions.length);
    const fn = this.fn.data;
    // The path to where the walk is, and at each of its nodes the next child to visit.
    const path = [0];
    const next = [this.childStart[0]];
    while (path.length) {
      const node = path[path.length - 1];
      const child = next[next.length - 1];
      if (child < this.childStart[node + 1]) {
        next[next.length - 1]++;
        const to = this.children[child];
        const f = fn[to];
        self[f] += this.self[to];
        selfWeight[f] += this.selfWeight[to];
        if (onStack[f]++ === 0) {
          total[f] += this.total[to];
          totalWeight[f] += this.totalWeight[to];
        }
        path.push(to);
        next.push(this.childStart[to]);
      } else {
        path.pop();
        next.pop();
        if (node > 0) onStack[fn[node]]--;
      }
    }
    return { self, total, selfWeight, totalWeight };
  }
}
