// The table of functions: the same numbers as the graph, for sorting, and for who can't see a canvas.

import { element } from "./dom.js";
import { KIND_NAMES, PALETTES } from "./palette.js";
import { errorText, integer, percent, pointsText, standardError } from "./text.js";

/** @typedef {import("./functions.js").Functions} Functions */
/** @typedef {import("./tree.js").FunctionSums} FunctionSums */

/** @typedef {object} TableData
 * @property {Functions} functions
 * @property {FunctionSums} sums
 * @property {number} whole the value that is 100 %
 * @property {number} wholeWeight
 * @property {{sides: import("./store.js").Sides, sums: FunctionSums, whole: number, wholeWeight: number} | null} before what is compared with
 * @property {Uint8Array | null} matches
 * @property {"light" | "dark"} theme
 */

/** @typedef {object} TableEvents
 * @property {(columns: string) => void} sort
 * @property {(fn: number) => void} choose
 */

const FIRST_ROWS = 100;
const MORE_ROWS = 400;

export class FunctionTable {
  /** @param {HTMLTableElement} table @param {HTMLElement} summary @param {HTMLButtonElement} more
   * @param {TableEvents} events */
  constructor(table, summary, more, events) {
    this.table = table;
    this.summary = summary;
    this.more = more;
    this.limit = FIRST_ROWS;
    this.columns = "self";
    /** @type {TableData | null} */
    this.data = null;
    this.body = element("tbody");
    /** @type {Map<string, HTMLTableCellElement>} */
    this.heads = new Map();
    const row = element("tr");
    for (const [key, label, title] of [
      ["self", "Self", "on CPU in the function itself"],
      ["total", "Total", "in the function or what it called"],
      ["name", "Function", ""],
    ]) {
      const button = element("button", { type: "button", title }, label);
      button.addEventListener("click", () => events.sort(key));
      const head = element("th", { scope: "col", class: key }, button);
      this.heads.set(key, head);
      row.append(head);
    }
    table.append(element("thead", {}, row), this.body);
    more.addEventListener("click", () => {
      this.limit += MORE_ROWS;
      this.#fill();
    });
    this.body.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      if (button?.dataset.fn) events.choose(Number(button.dataset.fn));
    });
  }

  /** @param {TableData} data @param {string} columns what it is sorted by */
  show(data, columns) {
    this.data = data;
    this.columns = columns;
    this.limit = FIRST_ROWS;
    this.#fill();
  }

  /** Functions in the order of the table; compared, by how much they have changed. @param {TableData} data
   * @returns {number[]} */
  #sorted({ functions, sums, whole, before, matches }) {
    const ids = [];
    for (let fn = 0; fn < functions.length; fn++) {
      if ((sums.total[fn] > 0 || (before && before.sums.total[fn] > 0)) && (!matches || matches[fn])) ids.push(fn);
    }
    const ranks = functions.ranksByName();
    const changes = (/** @type {"self" | "total"} */ column) => (before
      ? sums[column].map((value, fn) => Math.abs(shareOf(value, whole) - shareOf(before.sums[column][fn], before.whole)))
      : sums[column]);
    const [self, total] = [changes("self"), changes("total")];
    const [first, second] = this.columns === "total" ? [total, self] : [self, total];
    return this.columns === "name"
      ? ids.sort((a, b) => ranks[a] - ranks[b])
      : ids.sort((a, b) => first[b] - first[a] || second[b] - second[a] || ranks[a] - ranks[b]);
  }

  #fill() {
    const { data } = this;
    if (!data) return;
    const ids = this.#sorted(data);
    for (const [key, head] of this.heads) {
      if (key === this.columns) head.setAttribute("aria-sort", key === "name" ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    const rows = ids.slice(0, this.limit).map((fn) => this.#row(data, fn));
    this.body.replaceChildren(...rows);
    this.summary.textContent = data.matches
      ? `${integer(ids.length)} ${ids.length === 1 ? "matches" : "match"}`
      : `${integer(ids.length)} ${ids.length === 1 ? "function" : "functions"}`;
    const left = ids.length - rows.length;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${integer(Math.min(left, MORE_ROWS))} more of ${integer(left)}`;
  }

  /** @param {TableData} data @param {number} fn */
  #row(data, fn) {
    const { sums } = data;
    const { label, moduleLabel, kind, shade } = data.functions.list[fn];
    const swatch = element("span", { class: "swatch", title: KIND_NAMES[kind] });
    swatch.style.background = PALETTES[data.theme].shades[kind][shade];
    const button = element("button", { type: "button", "data-fn": fn, title: `${label}\nFind in the graph, and tell more` },
      element("bdi", { class: "fn" }, label));
    const name = element("div", {}, swatch, button);
    if (moduleLabel) name.append(element("bdi", { class: "module", title: moduleLabel }, moduleLabel));
    name.append(element("span", { class: "unseen" }, `, ${KIND_NAMES[kind]}`));
    const { before } = data;
    const [self, total] = before
      ? [this.#change(data, sums.self[fn], before.sums.self[fn]), this.#change(data, sums.total[fn], before.sums.total[fn])]
      : [this.#share(data, sums.self[fn], sums.selfWeight[fn]), this.#share(data, sums.total[fn], sums.totalWeight[fn])];
    return element("tr", {}, self, total, element("td", { class: "name" }, name));
  }

  /** A share, and how much more or less it is than in what it is compared with.
   * @param {TableData} data @param {number} value @param {number} before */
  #change(data, value, before) {
    const { now, then } = data.before?.sides ?? { now: "", then: "" };
    const share = shareOf(value, data.whole);
    const difference = share - shareOf(before, data.before?.whole ?? 0);
    const cell = element("td", { class: "share", title: `Share in ${now}, and ${now} − ${then} in percentage points` },
      element("span", { class: "number" }, value > 0 ? percent(share) : "0"),
      element("span", { class: difference > 0 ? "error grown" : "error shrunk" }, difference ? pointsText(difference) : ""));
    cell.style.setProperty("--share", `${Math.min(100, share * 100).toFixed(2)}%`);
    return cell;
  }

  /** @param {TableData} data @param {number} value @param {number} weight */
  #share(data, value, weight) {
    const share = shareOf(value, data.whole);
    const error = standardError(value, weight, data.whole, data.wholeWeight);
    const cell = element("td", { class: value > 0 ? "share" : "share none" },
      element("span", { class: "number" }, value > 0 ? percent(share) : "0"),
      element("span", { class: "error" }, value > 0 ? errorText(error) : ""));
    cell.style.setProperty("--share", `${Math.min(100, share * 100).toFixed(2)}%`);
    return cell;
  }
}

/** @param {number} value @param {number} whole */
function shareOf(value, whole) {
  return whole > 0 ? value / whole : 0;
}
