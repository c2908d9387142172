// The state of the page in its address (after the #), so that it can be reloaded and sent to someone.

import { KINDS } from "./palette.js";

/** @typedef {import("./palette.js").Kind} Kind */
/** @typedef {import("./tree.js").Order} Order */
/** @typedef {import("./times.js").Range} Range */
/** @typedef {"seconds" | "threads" | "heat"} Face */

/** @typedef {object} State
 * @property {string} zoom the zoomed frame, as `graph.js` names it; empty: all
 * @property {string} search
 * @property {boolean} leafFirst
 * @property {boolean} flames the root at the bottom
 * @property {Order} order
 * @property {"function" | "line"} by
 * @property {ReadonlySet<Kind>} hidden
 * @property {ReadonlySet<number> | null} threads
 * @property {string} columns how the table is sorted: `self`, `total` or `name`
 * @property {boolean} collapsed a function that calls itself is one box
 * @property {boolean} glueless without the interpreter's own frames
 * @property {number} focus only stacks with this function (one of its frames); -1: all
 * @property {ReadonlySet<number>} without functions (frames of theirs) that give their time to their callers
 * @property {number} chosen the function that the details are of (one of its frames); -1: none
 * @property {Range | null} range only these seconds
 * @property {Range | null} than what they are compared with
 * @property {number} last only the last so many seconds; 0: all
 * @property {Face} face of the timeline
 */

const ORDERS = ["name", "weight", "seen"];
const FACES = ["seconds", "threads", "heat"];
const COLUMNS = ["self", "total", "name"];
const MOST_SECONDS = 1e8;

/** @returns {State} */
export function initialState() {
  return {
    zoom: "", search: "", leafFirst: false, flames: false, order: "name", by: "function", hidden: new Set(),
    threads: null, columns: "self", collapsed: false, glueless: false, focus: -1, without: new Set(), chosen: -1, range: null,
    than: null, last: 0, face: "seconds",
  };
}

/** @param {State} state
 * @returns {string} without the # */
export function toAddress(state) {
  const out = new URLSearchParams();
  if (state.leafFirst) out.set("view", "leaf-first");
  if (state.flames) out.set("shape", "flames");
  if (state.order !== "name") out.set("order", state.order);
  if (state.by !== "function") out.set("by", state.by);
  if (state.hidden.size) out.set("hide", KINDS.filter((kind) => state.hidden.has(kind)).join(" "));
  if (state.without.size) out.set("without", numbers(state.without));
  if (state.focus >= 0) out.set("focus", String(state.focus));
  if (state.collapsed) out.set("recursion", "collapsed");
  if (state.glueless) out.set("glue", "collapsed");
  if (state.threads) out.set("threads", numbers(state.threads));
  if (state.range) out.set("range", rangeText(state.range));
  if (state.than) out.set("than", rangeText(state.than));
  if (state.last) out.set("last", String(state.last));
  if (state.face !== "seconds") out.set("time", state.face);
  if (state.columns !== "self") out.set("table", state.columns);
  if (state.chosen >= 0) out.set("function", String(state.chosen));
  if (state.search) out.set("search", state.search.toWellFormed ? state.search.toWellFormed() : state.search);
  if (state.zoom) out.set("zoom", state.zoom);
  return out.toString();
}

/** Reads what `toAddress` wrote. Whatever is not understood is as if it were not there.
 * @param {string} hash with or without the #
 * @returns {State} */
export function fromAddress(hash) {
  const state = initialState();
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  state.leafFirst = given.get("view") === "leaf-first";
  state.flames = given.get("shape") === "flames";
  state.collapsed = given.get("recursion") === "collapsed";
  state.glueless = given.get("glue") === "collapsed";
  state.order = /** @type {Order} */ (oneOf(given.get("order"), ORDERS));
  state.columns = oneOf(given.get("table"), COLUMNS);
  state.face = /** @type {Face} */ (oneOf(given.get("time"), FACES));
  if (given.get("by") === "line") state.by = "line";
  const hide = (given.get("hide") ?? "").split(" ");
  state.hidden = new Set(KINDS.filter((kind) => hide.includes(kind)));
  state.threads = numbersOf(given.get("threads"));
  state.without = numbersOf(given.get("without")) ?? new Set();
  state.focus = numberOf(given.get("focus"));
  state.chosen = numberOf(given.get("function"));
  state.range = rangeOf(given.get("range"));
  state.than = state.range && rangeOf(given.get("than"));
  state.last = state.range ? 0 : Math.max(0, numberOf(given.get("last")));
  state.search = given.get("search") ?? "";
  const zoom = given.get("zoom") ?? "";
  if (/^\d{1,9}(\.\d{1,6})?$/.test(zoom)) state.zoom = zoom;
  return state;
}

/** @param {Range} range */
function rangeText({ from, to }) {
  return `${Number(from.toFixed(2))}-${Number(to.toFixed(2))}`;
}

/** @param {string | null} text @returns {Range | null} */
function rangeOf(text) {
  const match = /^(\d{1,8}(?:\.\d{1,2})?)-(\d{1,8}(?:\.\d{1,2})?)$/.exec(text ?? "");
  if (!match) return null;
  const [from, to] = [Number(match[1]), Number(match[2])];
  return from < to && to <= MOST_SECONDS ? { from, to } : null;
}

/** @param {string | null} text @returns {number} -1 where it is none */
function numberOf(text) {
  return /^\d{1,9}$/.test(text ?? "") ? Number(text) : -1;
}

/** @param {string | null} text @returns {Set<number> | null} */
function numbersOf(text) {
  return text === null ? null : new Set(text.split(" ").map(numberOf).filter((number) => number >= 0));
}

/** @param {ReadonlySet<number>} set */
function numbers(set) {
  return [...set].sort((a, b) => a - b).join(" ");
}

/** @param {string | null} text @param {string[]} known the first one is meant where it is none of them */
function oneOf(text, known) {
  return text !== null && known.includes(text) ? text : known[0];
}
