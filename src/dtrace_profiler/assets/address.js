// The state of the page in its address (after the #), so that it can be reloaded and sent to someone.

import { KINDS } from "./palette.js";

/** @typedef {import("./palette.js").Kind} Kind */

/** @typedef {object} State
 * @property {string} zoom the zoomed frame, as `graph.js` names it; empty: all
 * @property {string} search
 * @property {boolean} leafFirst
 * @property {boolean} flames the root at the bottom
 * @property {"name" | "weight"} order
 * @property {"function" | "line"} by
 * @property {ReadonlySet<Kind>} hidden
 * @property {ReadonlySet<number> | null} threads
 * @property {string} columns how the table is sorted: `self`, `total` or `name`
 */

/** @returns {State} */
export function initialState() {
  return {
    zoom: "", search: "", leafFirst: false, flames: false, order: "name", by: "function", hidden: new Set(),
    threads: null, columns: "self",
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
  if (state.threads) out.set("threads", [...state.threads].sort((a, b) => a - b).join(" "));
  if (state.columns !== "self") out.set("table", state.columns);
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
  if (given.get("order") === "weight") state.order = "weight";
  if (given.get("by") === "line") state.by = "line";
  const hide = (given.get("hide") ?? "").split(" ");
  state.hidden = new Set(KINDS.filter((kind) => hide.includes(kind)));
  const threads = given.get("threads");
  if (threads !== null) {
    state.threads = new Set(threads.split(" ").filter((text) => /^\d{1,9}$/.test(text)).map(Number));
  }
  const columns = given.get("table") ?? "";
  if (["self", "total", "name"].includes(columns)) state.columns = columns;
  state.search = given.get("search") ?? "";
  const zoom = given.get("zoom") ?? "";
  if (/^\d{1,9}(\.\d{1,6})?$/.test(zoom)) state.zoom = zoom;
  return state;
}
