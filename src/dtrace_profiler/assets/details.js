// About one function: who calls it, whom it calls, and which of its lines the time went to.

import { element, part } from "./dom.js";
import { linesOf } from "./lines.js";
import { KIND_NAMES, PALETTES } from "./palette.js";
import { percent, shown } from "./text.js";

/** @typedef {import("./tree.js").CallTree} CallTree */
/** @typedef {{lines: string[], changed: boolean} | {missing: string}} Source
 *  `changed`: since the profile began */

/** @typedef {object} DetailEvents
 * @property {(fn: number) => void} choose
 * @property {(fn: number, leafFirst: boolean) => void} focus
 * @property {(fn: number) => void} hide
 * @property {() => void} close
 */

const MOST_ROWS = 12;
const MOST_LINES = 400;
/** Lines that are shown around those with samples. */
const AROUND = 3;

export class Details {
  /** @param {DetailEvents} events @param {((file: number) => Promise<Source>) | null} load null: texts can't be had */
  constructor(events, load) {
    this.events = events;
    this.load = load;
    /** @type {Map<number, Source>} by file */
    this.sources = new Map();
    this.fn = -1;
    /** @type {CallTree | null} */
    this.tree = null;
    /** @type {"light" | "dark"} */
    this.theme = "light";
    this.host = part("details", HTMLElement);
    this.host.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      const action = button?.dataset.action;
      if (action === "choose") events.choose(Number(button?.dataset.fn));
      else if (action === "callees") events.focus(this.fn, false);
      else if (action === "callers") events.focus(this.fn, true);
      else if (action === "hide") events.hide(this.fn);
      else if (action === "close") events.close();
    });
  }

  /** @param {CallTree} tree root first @param {number} fn -1: none @param {"light" | "dark"} theme */
  show(tree, fn, theme) {
    const other = fn !== this.fn;
    this.tree = tree;
    this.fn = fn;
    this.theme = theme;
    this.host.hidden = fn < 0;
    if (fn < 0) return;
    const { name, callers, callees, lines } = this.#parts();
    const scrolled = this.host.scrollTop;
    this.host.replaceChildren(name, element("div", { class: "around" }, callers, callees), lines);
    this.host.scrollTop = other ? 0 : scrolled;
  }

  #parts() {
    const tree = /** @type {CallTree} */ (this.tree);
    const fn = tree.functions.list[this.fn];
    const place = fn.file ? `${shown(fn.file)}${fn.line ? `:${fn.line}` : ""}` : fn.moduleLabel;
    const action = (/** @type {string} */ key, /** @type {string} */ text, /** @type {string} */ title) =>
      element("button", { type: "button", "data-action": key, title }, text);
    const close = action("close", "✕", "Close (Esc)");
    close.setAttribute("aria-label", "Close");
    const name = element("div", { class: "details-head" },
      element("h2", {}, element("bdi", { title: fn.label }, fn.label)), element("small", { title: place }, element("bdi", {}, place)),
      element("div", { class: "actions" },
        action("callees", "Graph of callees", "Only stacks with this function, from it on (o)"),
        action("callers", "Graph of callers", "Only stacks with this function, and who called it (O)"),
        action("hide", "Hide", "Give its time to its callers (x)"), close));
    const { callers, callees } = tree.around(this.fn);
    return { name, callers: this.#list("Callers", callers), callees: this.#list("Callees", callees), lines: this.#lines() };
  }

  /** @param {string} title @param {Map<number, number>} sums */
  #list(title, sums) {
    const tree = /** @type {CallTree} */ (this.tree);
    const whole = tree.total[0];
    const rows = [...sums].filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]);
    const list = element("table", {}, element("caption", {}, title));
    for (const [fn, value] of rows.slice(0, MOST_ROWS)) {
      const cell = element("td", { class: "name" });
      if (fn < 0) {
        cell.append("(root)");
      } else {
        const { label, kind, shade } = tree.functions.list[fn];
        const swatch = element("span", { class: "swatch", title: KIND_NAMES[kind] });
        swatch.style.background = PALETTES[this.theme].shades[kind][shade];
        cell.append(element("div", {}, swatch,
          element("button", { type: "button", "data-action": "choose", "data-fn": fn, title: label }, element("bdi", {}, label))));
      }
      list.append(element("tr", {}, element("td", { class: "share" }, percent(whole > 0 ? value / whole : 0)), cell));
    }
    if (rows.length > MOST_ROWS) {
      list.append(element("tr", {}, element("td", { colspan: 2 }, `and ${rows.length - MOST_ROWS} more`)));
    }
    if (!rows.length) list.append(element("tr", {}, element("td", { colspan: 2 }, "none")));
    return list;
  }

  #lines() {
    const tree = /** @type {CallTree} */ (this.tree);
    const fn = tree.functions.list[this.fn];
    if (!fn.file) return element("p", { class: "remark" }, "It has no file: its lines are not known.");
    const file = tree.store.frames.file.data[fn.frame];
    const sums = linesOf(tree, file);
    const sampled = [...sums.keys()].filter((line) => line > 0).sort((a, b) => a - b);
    if (!sampled.length) return element("p", { class: "remark" }, "Its lines are not known.");
    const source = this.sources.get(file);
    if (!source && this.load) {
      this.load(file).then((text) => {
        this.sources.set(file, text);
        if (this.tree && this.fn >= 0) this.show(this.tree, this.fn, this.theme);
      });
    }
    const texts = source && "lines" in source ? source.lines : null;
    const wanted = texts ? around(sampled, texts.length) : sampled;
    const whole = tree.total[0];
    const table = element("table", { class: "source" }, element("caption", {}, shown(fn.file)),
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Self"),
        element("th", { scope: "col" }, "Total"), element("th", { scope: "col", class: "number" }, "Line"),
        element("th", { class: "text" }))));
    const body = element("tbody");
    let before = 0;
    for (const line of wanted.slice(0, MOST_LINES)) {
      if (before && line > before + 1) body.append(element("tr", { class: "gap" }, element("td", { colspan: 4 }, "⋯")));
      before = line;
      const sum = sums.get(line);
      const share = (/** @type {number | undefined} */ value) => {
        const cell = element("td", { class: "share" }, value ? percent(value / whole) : "");
        if (value) cell.style.setProperty("--share", `${((value / whole) * 100).toFixed(2)}%`);
        return cell;
      };
      body.append(element("tr", { class: line === fn.line ? "first" : "" }, share(sum?.self), share(sum?.total),
        element("td", { class: "number" }, String(line)), element("td", { class: "text" }, texts ? sourceText(texts[line - 1] ?? "") : "")));
    }
    table.append(body);
    const remark = source && "missing" in source ? source.missing
      : source && "lines" in source && source.changed ? "The file has changed since the profile began: lines may lie elsewhere."
        : this.load ? "" : "The text of the file is not in this page.";
    return element("div", {}, table, remark ? element("p", { class: "remark" }, remark) : "");
  }
}

/** Lines with samples, and some around each. @param {number[]} sampled in order @param {number} last */
function around(sampled, last) {
  const out = [];
  let next = 1;
  for (const line of sampled) {
    for (let at = Math.max(next, line - AROUND); at <= Math.min(last, line + AROUND); at++) out.push(at);
    next = Math.max(next, Math.min(last, line + AROUND) + 1);
  }
  return out;
}

/** @param {string} line */
function sourceText(line) {
  return line.trim() ? shown(line.replace(/\t/g, "    ").trimEnd()) : "";
}
