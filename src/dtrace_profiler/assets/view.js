// What of a profile is looked at: from the store and the state to trees and sums. Knows nothing of the page.

import { Functions } from "./functions.js";
import { KINDS } from "./palette.js";
import { RangeCounts, SLOTS_A_SECOND } from "./times.js";
import { CallTree } from "./tree.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./address.js").State} State */
/** @typedef {import("./times.js").Range} Range */
/** @typedef {import("./tree.js").TreeCounts} TreeCounts */
/** @typedef {import("./tree.js").FunctionSums} FunctionSums */
/** @typedef {import("./values.js").Counted} Counted */

const MOST_TREES = 6;
/** A range that ends this long ago gets no more samples. */
const SETTLED_S = 12;

export class View {
  /** @param {Store} store @param {State} state */
  constructor(store, state) {
    this.store = store;
    this.state = state;
    this.functions = new Functions(store, state.by);
    /** @type {Map<string, CallTree>} by their shape */
    this.trees = new Map();
    /** @type {Map<CallTree, string>} what of the profile each has counted */
    this.countedAs = new Map();
    /** @type {{tree: CallTree, counted: string, now: FunctionSums, before: FunctionSums | null} | null} */
    this.summed = null;
    this.tree = this.treeOf(state.leafFirst);
  }

  /** Looks at what this state says. @param {State} state */
  apply(state) {
    this.state = state;
    if (state.by !== this.functions.by) {
      this.functions = new Functions(this.store, state.by);
      this.trees.clear();
      this.countedAs.clear();
    }
    this.tree = this.treeOf(state.leafFirst);
  }

  /** The store has grown. */
  grow() {
    for (const [key, tree] of this.trees) {
      if (tree === this.tree) continue;
      this.trees.delete(key);
      this.countedAs.delete(tree);
    }
    this.tree = this.treeOf(this.state.leafFirst);
  }

  /** Seconds from the timeline's begin to now, or to the end of the profile. */
  get endS() {
    const { meta, times } = this.store;
    const until = times.baseMs ? (meta.start_ms - times.baseMs) / 1000 + meta.duration_ns / 1e9 : 0;
    return Math.max(until, times.end / SLOTS_A_SECOND);
  }

  /** The range that is looked at, null for all. @returns {Range | null} */
  get range() {
    const { range } = this.state;
    const kept = this.store.meta.keep_s || 0;
    const last = this.state.last && kept ? Math.min(this.state.last, kept) : this.state.last || kept;
    if (range || !last) return range;
    return { from: Math.max(0, this.endS - last), to: Math.max(this.endS, 0.02) };
  }

  /** The tree of the present state, made where it is not there yet. @param {boolean} leafFirst */
  treeOf(leafFirst) {
    const { state, functions } = this;
    functions.extend(); // the profile may have grown since the last picture
    const without = new Set([...state.without].map((frame) => functions.called(frame)));
    const focus = functions.called(state.focus);
    const shape = { leafFirst, hidden: state.hidden, without, focus, collapsed: state.collapsed,
      glueless: state.glueless, order: state.order };
    const key = [leafFirst, state.order, KINDS.filter((kind) => state.hidden.has(kind)), [...without].sort(), focus,
      state.collapsed, state.glueless].join("|");
    const counted = this.#countedNow();
    let tree = this.trees.get(key);
    if (!tree) {
      if (this.trees.size >= MOST_TREES) {
        this.trees.clear();
        this.countedAs.clear();
      }
      tree = new CallTree(this.store, functions, shape, this.#counts());
      this.trees.set(key, tree);
    } else if (this.countedAs.get(tree) !== counted) {
      tree.update(this.#counts());
    }
    this.countedAs.set(tree, counted);
    return tree;
  }

  /** What is counted, as a text that changes with it. */
  #countedNow() {
    const { threads, than } = this.state;
    const { range } = this;
    const grows = !range || !this.state.range || range.to > this.endS - SETTLED_S;
    const text = (/** @type {Range | null} */ of) => (of ? `${of.from}-${of.to}` : "all");
    return [text(range), text(than), threads ? [...threads].sort() : "all", grows ? this.store.seq : "", this.store.times.dropped,
      this.store.times.length > 0].join("|");
  }

  /** @returns {TreeCounts} */
  #counts() {
    const { range } = this;
    const { than, threads } = this.state;
    const counted = range ? this.#countsOf(range) : this.store;
    const before = this.store.before ?? (range && than ? this.#countsOf(than) : null);
    return { counted, before, threads };
  }

  /** @param {Range} range @returns {Counted} */
  #countsOf(range) {
    return new RangeCounts(this.store.times, range);
  }

  /** Self and total of each function of what is looked at, and of what it is compared with. */
  sums() {
    const tree = this.treeOf(false);
    const counted = this.countedAs.get(tree) ?? "";
    if (this.summed?.tree !== tree || this.summed.counted !== counted) {
      this.summed = { tree, counted, now: tree.byFunction(), before: tree.before && tree.byFunction(tree.before) };
    }
    return this.summed;
  }

  /** Of the whole profile, whatever is looked at: the sum of its values, and how many samples it has. */
  whole() {
    const { store } = this;
    const { keep_s: kept } = store.meta;
    const counts = kept ? new RangeCounts(store.times, { from: Math.max(0, this.endS - kept), to: this.endS }) : null;
    const { values, elided } = counts ?? store;
    const samples = counts ? [...counts.samples().values()].reduce((sum, count) => sum + count, 0) : store.samples(null);
    return { total: values.total(null) + elided.total(null), samples };
  }

  // Addresses

  /** What an address calls a node: a node of the profile's that it was made for, and leaf first how far above that.
   * @param {number} node */
  nameOf(node) {
    if (node <= 0) return "";
    const origin = this.tree.origin.data[node];
    return this.state.leafFirst ? `${origin}.${this.tree.depth.data[node]}` : `${origin}`;
  }

  /** The node that an address means, 0 where there is none any more. @param {string} name */
  nodeOf(name) {
    if (!name) return 0;
    const [origin, steps] = name.split(".").map(Number);
    const { tree, store } = this;
    if (origin >= store.nodeCount || (steps !== undefined) !== this.state.leafFirst) return 0;
    let node = tree.ofNode.data[origin];
    if (steps === undefined) return Math.max(0, node);
    while (node > 0 && tree.depth.data[node] > steps) node = tree.parent.data[node];
    return Math.max(0, node);
  }
}
