// The call tree of a view: which functions call which (or, leaf first, are called by which), with values.
//
// Node 0 is the root ("all"). A parent's number is smaller than its children's, so that one pass forwards or backwards
// over the columns does what recursion would. Depth is no limit.

import { Column, PairIndex } from "./columns.js";
import { KINDS } from "./palette.js";
import { standardError } from "./text.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./functions.js").Functions} Functions */
/** @typedef {import("./palette.js").Kind} Kind */
/** @typedef {import("./values.js").Counted} Counted */
/** @typedef {"name" | "weight" | "seen"} Order `seen`: in the order in which they were first seen */

/** @typedef {object} TreeShape which functions it has, and where
 * @property {boolean} leafFirst
 * @property {ReadonlySet<Kind>} hidden frames of these kinds are left out, their values go to their callers
 * @property {ReadonlySet<number>} without and so are these functions
 * @property {number} focus only stacks with this function, from it on: leaf first its callers, else its callees; -1: all
 * @property {boolean} collapsed a function that calls itself is one box
 * @property {boolean} glueless the interpreter's own frames are left out, too
 * @property {Order} order of siblings
 */

/** @typedef {object} TreeCounts what is counted
 * @property {Counted} counted
 * @property {Counted | null} before what it is compared with
 * @property {ReadonlySet<number> | null} threads only these; null: all
 */

/** @typedef {{self: Float64Array, total: Float64Array, selfWeight: Float64Array, totalWeight: Float64Array}}
 *  FunctionSums by function; the weights are Σw², for the errors */

/** Leaf first: nobody has asked for the node's stack yet. */
const NOT_ASKED = -1;
/** The node is not of what is looked at. */
const OUTSIDE = -2;

export class CallTree {
  /** @param {Store} store @param {Functions} functions @param {TreeShape} shape @param {TreeCounts} counts */
  constructor(store, functions, shape, counts) {
    this.store = store;
    this.functions = functions;
    this.shape = shape;
    this.counts = counts;
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
    /** How wide the boxes are, and what is elided in them. Compared: the mean of both shares, as values of `total`. */
    this.width = this.total;
    this.elidedWidth = this.elided;
    /** Of what it is compared with, as `total` and `totalWeight`; null where it isn't.
     * @type {{self: Float64Array, total: Float64Array, selfWeight: Float64Array, totalWeight: Float64Array} | null} */
    this.before = null;
    /** Children of node n: `children[childStart[n]]` up to `children[childStart[n + 1]]`, in order. */
    this.childStart = new Int32Array(0);
    this.children = new Int32Array(0);
    /** @type {Int32Array | null} what they are sorted by */
    this.ranks = null;
    this.index = new PairIndex(this.parent, this.fn, store.nodeCount * (shape.leafFirst ? 4 : 1));
    /** Store node → tree node (leaf first: of the stack that ends there), or OUTSIDE, or NOT_ASKED. */
    this.ofNode = new Column(Int32Array);
    this.hiddenKinds = KINDS.map((kind) => shape.hidden.has(kind));
    this.#add(-1, -1, -1);
    this.update();
  }

  get length() {
    return this.parent.length;
  }

  /** Takes what came into the store since, and counts anew. @param {TreeCounts} [counts] others */
  update(counts = this.counts) {
    this.counts = counts;
    this.#place();
    this.#count();
    // Siblings stay as they are, unless there are new ones, or new names, or they go by weight.
    const ranks = this.functions.ranksByName();
    if (this.length !== this.childStart.length - 1 || ranks !== this.ranks || this.shape.order === "weight") this.#arrange(ranks);
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
    const { nodes, nodeCount } = this.store;
    const { leafFirst, focus, collapsed } = this.shape;
    if (leafFirst) {
      while (this.ofNode.length < nodeCount) this.ofNode.push(NOT_ASKED);
      this.#placeStacks(this.counts.counted.values);
      if (this.counts.before) this.#placeStacks(this.counts.before.values);
      return;
    }
    const { ofFrame } = this.functions;
    for (let node = this.ofNode.length; node < nodeCount; node++) {
      const parent = nodes.parent.data[node];
      const frame = nodes.frame.data[node];
      const fn = ofFrame.data[frame];
      let above = parent < 0 ? (focus < 0 ? 0 : OUTSIDE) : this.ofNode.data[parent];
      if (above === OUTSIDE && fn === focus) above = 0;
      const left = above === OUTSIDE || this.#leavesOut(frame, fn)
        || (collapsed && above > 0 && this.fn.data[above] === fn);
      this.ofNode.push(left ? above : this.#child(above, fn, node));
    }
  }

  /** Whether a frame gives its values to its callers. @param {number} frame @param {number} fn its function */
  #leavesOut(frame, fn) {
    const { without, focus, glueless } = this.shape;
    const { kind, glue } = this.store.frames;
    return fn !== focus && (this.hiddenKinds[kind.data[frame]] || without.has(fn) || (glueless && glue.data[frame] === 1));
  }

  /** Leaf first: only the stacks that end in a leaf with a value are needed. @param {import("./values.js").Values} values */
  #placeStacks(values) {
    const { nodes } = this.store;
    const { focus, collapsed } = this.shape;
    const { ofFrame } = this.functions;
    for (let row = 0; row < values.length; row++) {
      const leaf = values.node.data[row];
      if (this.ofNode.data[leaf] !== NOT_ASKED) continue;
      let first = leaf;
      if (focus >= 0) {
        first = OUTSIDE;
        for (let node = leaf; node >= 0; node = nodes.parent.data[node]) {
          if (ofFrame.data[nodes.frame.data[node]] === focus) first = node;
        }
      }
      let at = first === OUTSIDE ? OUTSIDE : 0;
      for (let node = first; node >= 0; node = nodes.parent.data[node]) {
        const frame = nodes.frame.data[node];
        const fn = ofFrame.data[frame];
        if (this.#leavesOut(frame, fn)) continue;
        if (collapsed && at > 0 && this.fn.data[at] === fn) continue;
        at = this.#child(at, fn, leaf);
      }
      this.ofNode.data[leaf] = at;
    }
  }

  #count() {
    const { counted, before, threads } = this.counts;
    const now = this.#sumsOf(counted, threads);
    this.self = now.self;
    this.elided = now.elided;
    this.total = now.total;
    this.selfWeight = now.selfWeight;
    this.totalWeight = now.totalWeight;
    this.width = this.total;
    this.elidedWidth = this.elided;
    this.before = null;
    if (!before) return;
    const then = this.before = this.#sumsOf(before, threads);
    // Normalised: each of the two counts as much as the other, however long it took.
    const whole = now.total[0];
    const scale = then.total[0] > 0 ? whole / then.total[0] : 0;
    const mean = (/** @type {number} */ a, /** @type {number} */ b) => whole > 0 ? (a + b * scale) / (scale > 0 ? 2 : 1) : b;
    this.width = now.total.map((value, node) => mean(value, then.total[node]));
    this.elidedWidth = now.elided.map((value, node) => mean(value, then.elided[node]));
  }

  /** @param {Counted} counted @param {ReadonlySet<number> | null} threads */
  #sumsOf(counted, threads) {
    const self = this.#sums(counted, false, "value", threads);
    const elided = this.#sums(counted, true, "value", threads);
    const total = this.#totals(self, elided);
    const alike = this.store.meta.unit === "samples";
    const selfWeight = alike ? self : this.#sums(counted, false, "square", threads);
    const totalWeight = alike ? total : this.#totals(selfWeight, this.#sums(counted, true, "square", threads));
    return { self, elided, total, selfWeight, totalWeight };
  }

  /** A column, by node. @param {Counted} counted @param {boolean} leftOut of the callees that are left out
   * @param {"value" | "square"} column @param {ReadonlySet<number> | null} threads */
  #sums(counted, leftOut, column, threads) {
    const { leafFirst, focus } = this.shape;
    const values = leftOut ? counted.elided : counted.values;
    const out = new Float64Array(this.length);
    const numbers = values[column].data;
    for (let row = 0; row < values.length; row++) {
      if (threads && !threads.has(values.thread.data[row])) continue;
      const node = values.node.data[row];
      // Which function a stack ends in that was left out is not known: leaf first, it can only be counted at the root.
      const at = leftOut && (node < 0 || leafFirst) ? (focus < 0 ? 0 : OUTSIDE) : this.ofNode.data[node];
      if (at >= 0) out[at] += numbers[row];
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

  /** Sorts siblings: two counting sorts, or by value. @param {Int32Array} ranks of functions */
  #arrange(ranks) {
    this.ranks = ranks;
    const count = this.length;
    const parent = this.parent.data;
    const order = new Int32Array(count);
    if (this.shape.order === "weight") {
      for (let node = 0; node < count; node++) order[node] = node;
      const fn = this.fn.data;
      order.sort((a, b) => this.width[b] - this.width[a] || ranks[fn[a]] - ranks[fn[b]]);
    } else if (this.shape.order === "seen") {
      for (let node = 0; node < count; node++) order[node] = node;
    } else {
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
        start += this.width[sibling];
      }
    }
    return start;
  }

  /** Whether a node of the store is of what is looked at. @param {number} node */
  holds(node) {
    return this.ofNode.data[node] >= 0;
  }

  /** How a node's share has changed against what the tree is compared with, of the larger of both: -1 (gone) to 1 (new).
   * 0 where the difference is within two of its standard errors: it may well be chance.
   * @param {number} node */
  change(node) {
    const { total, totalWeight, before } = this;
    if (!before) return 0;
    const now = total[0] > 0 ? total[node] / total[0] : 0;
    const then = before.total[0] > 0 ? before.total[node] / before.total[0] : 0;
    const error = Math.hypot(
      standardError(total[node], totalWeight[node], total[0], totalWeight[0]),
      standardError(before.total[node], before.totalWeight[node], before.total[0], before.totalWeight[0]),
    );
    return Math.abs(now - then) <= 2 * error ? 0 : (now - then) / Math.max(now, then);
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
   * @param {FunctionSums} [of] this tree's own columns, or those of what it is compared with
   * @returns {FunctionSums} */
  byFunction(of = this) {
    const count = this.functions.length;
    const out = { self: new Float64Array(count), total: new Float64Array(count),
      selfWeight: new Float64Array(count), totalWeight: new Float64Array(count) };
    const onStack = new Int32Array(count);
    const fn = this.fn.data;
    this.#walk((node) => {
      const f = fn[node];
      out.self[f] += of.self[node];
      out.selfWeight[f] += of.selfWeight[node];
      if (onStack[f]++ === 0) {
        out.total[f] += of.total[node];
        out.totalWeight[f] += of.totalWeight[node];
      }
    }, (node) => onStack[fn[node]]--);
    return out;
  }

  /** Who calls a function, and whom it calls, each stack counted once: values by function. For root-first trees.
   * @param {number} chosen
   * @returns {{callers: Map<number, number>, callees: Map<number, number>}} a caller -1: nobody */
  around(chosen) {
    /** @type {Map<number, number>} */
    const callers = new Map();
    /** @type {Map<number, number>} */
    const callees = new Map();
    /** @type {Map<string, number>} pairs that are on the stack */
    const onStack = new Map();
    const { fn: { data: fn }, parent: { data: parent }, total } = this;
    /** @param {string} key @param {number} other @param {Map<number, number>} sums @param {number} node */
    const enter = (key, other, sums, node) => {
      const depth = onStack.get(key) ?? 0;
      onStack.set(key, depth + 1);
      if (!depth) sums.set(other, (sums.get(other) ?? 0) + total[node]);
    };
    /** @param {string} key */
    const leave = (key) => onStack.set(key, (onStack.get(key) ?? 1) - 1);
    this.#walk((node) => {
      if (fn[node] === chosen) enter(`<${fn[parent[node]]}`, fn[parent[node]], callers, node);
      if (fn[parent[node]] === chosen && parent[node] > 0) enter(`>${fn[node]}`, fn[node], callees, node);
    }, (node) => {
      if (fn[node] === chosen) leave(`<${fn[parent[node]]}`);
      if (fn[parent[node]] === chosen && parent[node] > 0) leave(`>${fn[node]}`);
    });
    return { callers, callees };
  }

  /** Goes through all nodes but the root, callers before callees.
   * @param {(node: number) => void} enter @param {(node: number) => void} leave */
  #walk(enter, leave) {
    // The path to where the walk is, and at each of its nodes the next child to visit.
    const path = [0];
    const next = [this.childStart[0]];
    while (path.length) {
      const node = path[path.length - 1];
      const child = next[next.length - 1];
      if (child < this.childStart[node + 1]) {
        next[next.length - 1]++;
        const to = this.children[child];
        enter(to);
        path.push(to);
        next.push(this.childStart[to]);
      } else {
        path.pop();
        next.pop();
        if (node > 0) leave(node);
      }
    }
  }
}
