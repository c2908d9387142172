// The page: its state, and how the parts hang together.
//
// The state (what an address holds) changes in one place, `Page.change`; what has to be made anew follows from what
// changed. Data comes from the element `profile-data` of an exported file.

import { fromAddress, initialState, toAddress } from "./address.js";
import { element, part, takesText } from "./dom.js";
import { Functions } from "./functions.js";
import { GraphView } from "./graph.js";
import { ELIDED } from "./layout.js";
import { follow } from "./live.js";
import { KINDS, KIND_NAMES, PALETTES } from "./palette.js";
import { matching, parseQuery } from "./search.js";
import { emptiness, showStatus } from "./status.js";
import { Store } from "./store.js";
import { FunctionTable } from "./table.js";
import { errorText, integer, percent, quantity, shown, standardError } from "./text.js";
import { Tooltip } from "./tooltip.js";
import { CallTree } from "./tree.js";

/** @typedef {import("./address.js").State} State */
/** @typedef {import("./palette.js").Kind} Kind */
/** @typedef {import("./graph.js").Spot} Spot */
/** @typedef {import("./tooltip.js").Description} Description */

const THEME_KEY = "dtrace-profiler.theme";
const SLOW_MS = 1000;

class Page {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    /** @type {State} */
    this.state = initialState();
    /** @type {"light" | "dark"} */
    this.theme = "light";
    this.functions = new Functions(store, "function");
    /** @type {Map<string, CallTree>} trees by what they are made of */
    this.trees = new Map();
    this.tree = this.#treeOf(false);
    /** @type {Uint8Array | null} */
    this.matches = null;
    /** @type {import("./tree.js").FunctionSums | null} */
    this.sums = null;
    this.tableFrame = 0;
    /** Whether the picture is held still, and whether it lacks something that has come. */
    this.paused = false;
    this.behind = false;
    this.following = 0;
    /** @type {ReturnType<typeof setTimeout> | 0} */
    this.telling = 0;
    this.toldAt = 0;
    this.tooltip = new Tooltip(part("tip", HTMLElement));
    this.graph = new GraphView(part("graph", HTMLElement), {
      zoom: (node) => this.change({ zoom: this.nameOf(node) }),
      look: (spot, at, byKey) => this.#look(spot, at, byKey),
    });
    this.table = new FunctionTable(
      part("table", HTMLTableElement), part("summary", HTMLElement), part("more", HTMLButtonElement),
      { sort: (columns) => this.change({ columns }), choose: (fn) => this.#choose(fn) },
    );
    this.#listen();
  }

  start() {
    this.#chooseTheme();
    this.#makeLegend();
    this.#makeThreads();
    this.#apply(fromAddress(location.hash), true);
    this.#showStatus();
  }

  #showStatus() {
    showStatus(
      { title: part("title", HTMLElement), facts: part("facts", HTMLElement), losses: part("losses", HTMLElement),
        notes: part("notes", HTMLElement) },
      this.store, this.#wholeTotal(),
    );
  }

  // A profile that grows

  /** Takes what is new. The picture follows with the next frame of the screen, if it is not held still.
   * @param {import("./store.js").Delta} delta */
  grow(delta) {
    if (!this.store.apply(delta)) return;
    this.behind = true;
    if (!this.paused) this.#followSoon();
  }

  /** Another profile in the place of this one: we were too far behind, or it was started again.
   * @param {Store} store */
  renew(store) {
    this.store = store;
    this.functions = new Functions(store, this.state.by);
    this.trees.clear();
    this.sums = null;
    this.start();
  }

  /** Holds the picture still, or brings it up to date. @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    const button = part("pause", HTMLButtonElement);
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Go on" : "Pause";
    if (!paused && this.behind) this.#followSoon();
  }

  #followSoon() {
    if (!this.following) this.following = requestAnimationFrame(() => this.#follow());
  }

  /** Brings all that is shown up to date: the graph at once, texts and table once a second. */
  #follow() {
    this.following = 0;
    this.behind = false;
    const { functions, store, tree } = this;
    const known = functions.length;
    functions.extend();
    for (const [key, other] of this.trees) if (other !== tree) this.trees.delete(key);
    tree.update();
    this.sums = null;
    this.graph.rootLabel = this.#rootLabel();
    if (functions.length > known || this.matches) this.#search();
    this.graph.grown();
    this.#showEmptiness();
    const now = performance.now();
    if (now - this.toldAt < SLOW_MS && store.meta.live === "running") {
      if (!this.telling) this.telling = setTimeout(() => this.#tell(), SLOW_MS - (now - this.toldAt));
      return;
    }
    this.#tell();
  }

  #tell() {
    clearTimeout(this.telling);
    this.telling = 0;
    if (this.paused) return;
    this.toldAt = performance.now();
    const { store } = this;
    this.#showStatus();
    if (!part("threads", HTMLDetailsElement).open) this.#makeThreads();
    this.#makeLegend();
    this.#showControls();
    this.#showPath(this.graph.zoomed);
    this.#showTable();
    if (store.meta.live === "ended") part("pause", HTMLElement).hidden = true;
  }

  // State

  /** Changes a part of the state, the address, and what is shown. @param {Partial<State>} change */
  change(change) {
    const before = this.state;
    this.#apply({ ...before, ...change }, false);
    const address = `#${toAddress(this.state)}`;
    if (address === (location.hash || "#")) return;
    // A zoom can be gone back from; all else replaces the address.
    try {
      if (change.zoom !== undefined) history.pushState(null, "", address);
      else history.replaceState(null, "", address);
    } catch {
      // A document without an address of its own (a preview) keeps its state for itself.
    }
  }

  /** @param {State} state @param {boolean} all */
  #apply(state, all) {
    const before = this.state;
    this.state = state;
    const { functions } = this;
    if (state.by !== functions.by) {
      this.functions = new Functions(this.store, state.by);
      this.trees.clear();
    }
    const tree = this.#treeOf(state.leafFirst);
    const newTree = tree !== this.tree || all;
    this.tree = tree;
    if (newTree && before.leafFirst !== state.leafFirst && before.zoom === state.zoom) this.state.zoom = "";
    const searched = all || newTree || state.search !== before.search;
    if (searched) this.#search();
    const zoomed = this.nodeOf(this.state.zoom);
    this.graph.rootLabel = this.#rootLabel();
    if (newTree) this.graph.show(tree, zoomed);
    else if (zoomed !== this.graph.zoomed) this.graph.zoomTo(zoomed);
    this.graph.setShape(state.flames);
    if (newTree || zoomed !== this.nodeOf(before.zoom) || all) this.#showPath(zoomed);
    this.#showControls();
    this.#showEmptiness();
    if (newTree || searched || state.columns !== before.columns) this.#showTable();
  }

  /** The tree of the present state, made where it is not there yet. @param {boolean} leafFirst */
  #treeOf(leafFirst) {
    const { hidden, threads, order } = this.state;
    const key = [leafFirst, order, KINDS.filter((kind) => hidden.has(kind)), threads ? [...threads].sort() : "all"]
      .join("|");
    let tree = this.trees.get(key);
    if (!tree) {
      if (this.trees.size >= 6) this.trees.clear();
      tree = new CallTree(this.store, this.functions, { leafFirst, hidden, threads, order });
      this.trees.set(key, tree);
    }
    return tree;
  }

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
    if (steps === undefined) return node;
    while (node > 0 && tree.depth.data[node] > steps) node = tree.parent.data[node];
    return Math.max(0, node);
  }

  // Numbers

  #wholeTotal() {
    let total = 0;
    for (const values of [this.store.values, this.store.elided]) {
      for (let row = 0; row < values.length; row++) total += values.value.data[row];
    }
    return total;
  }

  /** A share of all that is shown, and its error, as text. @param {number} value @param {number} weight
   * @returns {[string, string]} */
  #share(value, weight) {
    const whole = this.tree.total[0];
    const share = whole > 0 ? value / whole : 0;
    return [percent(share), errorText(standardError(value, weight, whole, this.tree.totalWeight[0]))];
  }

  #sums() {
    const tree = this.#treeOf(false);
    if (!this.sums || this.summed !== tree) {
      this.sums = tree.byFunction();
      /** @type {CallTree | undefined} */
      this.summed = tree;
    }
    return this.sums;
  }

  #rootLabel() {
    const total = this.tree.total[0];
    return `${this.state.leafFirst ? "all, by the function on CPU" : "all"} · ${quantity(total, this.store.meta.unit)}`;
  }

  // Search

  #search() {
    const query = parseQuery(this.state.search);
    this.matches = matching(query, this.functions.list);
    this.graph.matches = this.matches;
    this.graph.repaint();
    const box = part("search", HTMLInputElement);
    const found = part("found", HTMLElement);
    if (box.value !== this.state.search) box.value = this.state.search;
    box.setAttribute("aria-invalid", String(Boolean(query.error)));
    if (query.error) {
      found.textContent = "not a regular expression";
      found.title = query.error;
    } else if (this.matches) {
      const { value, weight } = this.tree.sumOf(this.matches);
      found.textContent = this.#share(value, weight).join(" ");
      found.title = "Share of samples with a match anywhere on the stack, and its standard error in percentage points";
    } else {
      found.textContent = "";
      found.title = "";
    }
  }

  /** Goes to the next or the previous box that matches. @param {number} step */
  #toMatch(step) {
    const { matches, tree } = this;
    if (!matches) return;
    const found = this.graph.visibleNodes().filter((node) => node > 0 && matches[tree.fn.data[node]]);
    if (!found.length) return;
    const at = found.indexOf(this.graph.focused);
    const next = at < 0 ? (step > 0 ? 0 : found.length - 1) : (at + step + found.length) % found.length;
    this.graph.host.focus();
    this.graph.focusOn(found[next]);
  }

  /** A function of the table was chosen. @param {number} fn */
  #choose(fn) {
    const search = `"${this.functions.list[fn].name}"`;
    this.change({ search: this.state.search === search ? "" : search });
  }

  // What is shown

  /** @param {Spot | null} spot @param {DOMRect | null} at @param {boolean} byKey */
  #look(spot, at, byKey) {
    if (!spot || !at) {
      this.tooltip.hide();
      return;
    }
    const what = this.describe(spot);
    this.tooltip.show(what, at, this.theme);
    if (byKey) {
      const numbers = what.rows.map(([label, share, error]) => `${label} ${share} ${error}`).join(", ");
      part("spoken", HTMLElement).textContent = `${what.name}. ${numbers}. Depth ${this.tree.depth.data[spot.node]}.`;
    }
  }

  /** @param {Spot} spot @returns {Description} */
  describe({ node, above, value }) {
    const { tree, store } = this;
    const whole = tree.total[0];
    const { unit } = store.meta;
    /** @type {(label: string, value: number, weight: number) => [string, string, string, string]} */
    const row = (label, v, w) => [label, ...this.#share(v, w), quantity(v, unit)];
    if (node === ELIDED) {
      const left = tree.elided[above];
      return {
        name: "Functions too narrow to draw", module: "", place: "", kind: null, shade: 0,
        rows: [["Together", percent(value / whole), "", unit === "samples" ? `≈ ${quantity(value, unit)}` : ""]],
        remark: left > 0
          ? `${percent(left / whole)} is left out of this file because of its size.`
          : "Zoom into the frame they belong to.",
      };
    }
    if (node === 0) {
      return { name: "all", module: "", place: "", kind: null, shade: 0,
        rows: [["Total", "100.0 %", "", quantity(whole, unit)]], remark: "" };
    }
    const fn = this.functions.list[tree.fn.data[node]];
    const rows = [row(this.state.leafFirst ? "Here" : "Total", tree.total[node], tree.totalWeight[node])];
    if (!this.state.leafFirst) rows.push(row("Self", tree.self[node], tree.selfWeight[node]));
    const zoomed = this.graph.zoomed;
    if (zoomed > 0 && zoomed !== node && tree.total[zoomed] >= tree.total[node]) {
      const error = standardError(tree.total[node], tree.totalWeight[node], tree.total[zoomed], tree.totalWeight[zoomed]);
      rows.push(["Of the zoomed", percent(tree.total[node] / tree.total[zoomed]), errorText(error), ""]);
    }
    const { total, totalWeight } = this.#sums();
    const everywhere = total[tree.fn.data[node]];
    if (everywhere > tree.total[node] * (1 + 1e-9)) {
      rows.push(row("In all places", everywhere, totalWeight[tree.fn.data[node]]));
    }
    const file = shown(fn.file);
    return {
      name: fn.label,
      module: fn.moduleLabel,
      place: file ? (fn.line ? `${file}:${fn.line}` : file) : "",
      kind: fn.kind,
      shade: fn.shade,
      rows,
      remark: "",
    };
  }

  /** @param {number} zoomed */
  #showPath(zoomed) {
    const nav = part("path", HTMLElement);
    const path = this.tree.pathTo(zoomed);
    const list = element("ol");
    const most = 40;
    const shownPath = path.length > most ? [path[0], -1, ...path.slice(1 - most)] : path;
    for (const node of shownPath) {
      if (node < 0) {
        list.append(element("li", {}, `… ${integer(path.length - most)} frames …`));
        continue;
      }
      const label = node === 0 ? "all" : this.functions.list[this.tree.fn.data[node]].label;
      const last = node === zoomed;
      const button = element("button", { type: "button", "aria-current": last ? "true" : false, title: label },
        element("bdi", {}, label));
      button.addEventListener("click", () => this.change({ zoom: this.nameOf(node) }));
      list.append(element("li", {}, button));
    }
    nav.replaceChildren(list);
    if (zoomed > 0) {
      const share = this.tree.total[zoomed] / this.tree.total[0];
      const reset = element("button", { type: "button", class: "reset", title: "Back to all (Esc)" }, "Reset zoom");
      reset.addEventListener("click", () => this.change({ zoom: "" }));
      nav.append(element("span", { class: "path-share" }, percent(share)), reset);
    }
    list.scrollLeft = list.scrollWidth;
  }

  #showControls() {
    const { state } = this;
    /** @type {[string, string][]} */
    const radios = [["direction", state.leafFirst ? "leaf-first" : "root-first"],
      ["shape", state.flames ? "flames" : "icicles"]];
    for (const [name, value] of radios) {
      for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
        if (input instanceof HTMLInputElement) input.checked = input.value === value;
      }
    }
    part("order", HTMLSelectElement).value = state.order;
    part("by", HTMLSelectElement).value = state.by;
    for (const button of part("legend", HTMLElement).querySelectorAll("button")) {
      const kind = /** @type {Kind} */ (button.dataset.kind);
      button.setAttribute("aria-pressed", String(!state.hidden.has(kind)));
    }
    const { threads } = state;
    for (const input of part("thread-list", HTMLElement).querySelectorAll("input")) {
      input.checked = !threads || threads.has(Number(input.value));
    }
    const summary = part("threads", HTMLElement).querySelector("summary");
    if (summary) summary.textContent = threads ? `Threads ${threads.size}/${this.store.threads.length}` : "Threads";
  }

  #showEmptiness() {
    const lines = emptiness(this.store, this.tree.total[0], this.state.threads !== null);
    const empty = part("empty", HTMLElement);
    empty.hidden = lines.length === 0;
    empty.replaceChildren(...lines.map((line, at) => element(at ? "p" : "h2", {}, line)));
  }

  /** Behind the next picture, so that the graph comes first. */
  #showTable() {
    if (this.tableFrame) return;
    this.tableFrame = requestAnimationFrame(() => setTimeout(() => this.#fillTable()));
  }

  #fillTable() {
    this.tableFrame = 0;
    this.table.show(
      { functions: this.functions, sums: this.#sums(), whole: this.tree.total[0],
        wholeWeight: this.tree.totalWeight[0], matches: this.matches, theme: this.theme },
      this.state.columns,
    );
  }

  // Controls

  #chooseTheme() {
    let kept = null;
    try {
      kept = localStorage.getItem(THEME_KEY);
    } catch {
      // No storage for files in this browser: the system's choice holds.
    }
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    this.setTheme(kept === "dark" || kept === "light" ? kept : system.matches ? "dark" : "light");
    if (!kept) system.addEventListener("change", () => this.setTheme(system.matches ? "dark" : "light"));
  }

  /** @param {"light" | "dark"} theme */
  setTheme(theme) {
    this.theme = theme;
    document.documentElement.dataset.theme = theme;
    this.graph.setTheme(theme);
    this.#makeLegend();
    this.#showControls();
    if (this.table.data) this.#showTable();
  }

  #toggleTheme() {
    this.setTheme(this.theme === "dark" ? "light" : "dark");
    try {
      localStorage.setItem(THEME_KEY, this.theme);
    } catch {
      // As above.
    }
  }

  #makeLegend() {
    const { store, theme } = this;
    const present = new Set(store.frames.kind.data.subarray(0, store.frameCount));
    const legend = part("legend", HTMLElement);
    const buttons = KINDS.filter((_, kind) => present.has(kind)).map((kind) => {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = PALETTES[theme].shades[kind][2];
      const key = KINDS.indexOf(kind) + 1;
      const button = element("button",
        { type: "button", "data-kind": kind, "aria-pressed": "true", title: `Hide or show ${kind} frames (${key})` },
        swatch, KIND_NAMES[kind]);
      button.addEventListener("click", () => this.#toggleKind(kind));
      for (const [event, only] of /** @type {[string, Kind | null][]} */ (
        [["pointerenter", kind], ["focus", kind], ["pointerleave", null], ["blur", null]])) {
        button.addEventListener(event, () => {
          this.graph.onlyKind = only && !this.state.hidden.has(only) ? only : null;
          this.graph.repaint();
        });
      }
      return button;
    });
    legend.replaceChildren(...buttons);
  }

  /** @param {Kind} kind */
  #toggleKind(kind) {
    const hidden = new Set(this.state.hidden);
    if (!hidden.delete(kind)) hidden.add(kind);
    this.graph.onlyKind = null;
    this.change({ hidden });
  }

  #makeThreads() {
    const { threads } = this.store;
    const menu = part("threads", HTMLElement);
    menu.hidden = threads.length < 2;
    const several = new Set(threads.map((thread) => thread.process_id)).size > 1;
    const list = part("thread-list", HTMLElement);
    const order = threads.map((_, index) => index).sort((a, b) => threads[b].samples - threads[a].samples);
    const rows = order.map((index) => {
      const { name, thread_id, process_id, samples } = threads[index];
      const box = element("input", { type: "checkbox", value: index });
      const label = shown(name) || `thread ${thread_id}`;
      const id = several ? `${process_id}/${thread_id}` : `${thread_id}`;
      return element("label", {}, box, element("bdi", {}, label), element("small", {}, `${id} · ${integer(samples)}`));
    });
    const all = element("button", { type: "button" }, "All");
    all.addEventListener("click", () => this.change({ threads: null }));
    const none = element("button", { type: "button" }, "None");
    none.addEventListener("click", () => this.change({ threads: new Set() }));
    list.replaceChildren(element("div", { class: "row" }, all, none), ...rows);
    list.addEventListener("change", () => {
      const chosen = new Set([...list.querySelectorAll("input")].filter((box) => box.checked)
        .map((box) => Number(box.value)));
      this.change({ threads: chosen.size === threads.length ? null : chosen });
    });
  }

  #listen() {
    const search = part("search", HTMLInputElement);
    search.addEventListener("input", () => this.change({ search: search.value }));
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        this.#toMatch(event.shiftKey ? -1 : 1);
        event.preventDefault();
      }
    });
    document.addEventListener("change", (event) => {
      const input = event.target;
      if (!(input instanceof HTMLInputElement) || input.type !== "radio") return;
      if (input.name === "direction") this.change({ leafFirst: input.value === "leaf-first" });
      if (input.name === "shape") this.change({ flames: input.value === "flames" });
    });
    const order = part("order", HTMLSelectElement);
    order.addEventListener("change", () => this.change({ order: order.value === "weight" ? "weight" : "name" }));
    const by = part("by", HTMLSelectElement);
    by.addEventListener("change", () => this.change({ by: by.value === "line" ? "line" : "function" }));
    part("theme", HTMLButtonElement).addEventListener("click", () => this.#toggleTheme());
    const help = part("help", HTMLDialogElement);
    part("pause", HTMLButtonElement).addEventListener("click", () => this.pause(!this.paused));
    part("ask", HTMLButtonElement).addEventListener("click", () => help.showModal());
    window.addEventListener("popstate", () => this.#apply(fromAddress(location.hash), false));
    window.addEventListener("hashchange", () => this.#apply(fromAddress(location.hash), false));
    const menu = part("threads", HTMLDetailsElement);
    document.addEventListener("pointerdown", (event) => {
      if (menu.open && event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
    });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (part("help", HTMLDialogElement).open) return;
    const menu = part("threads", HTMLDetailsElement);
    const typing = event.target instanceof Element && takesText(event.target);
    if (event.key === "Escape") {
      if (menu.open) menu.open = false;
      else if (typing && this.state.search) this.change({ search: "" });
      else if (typing) part("graph", HTMLElement).focus();
      else if (this.state.zoom) this.change({ zoom: "" });
      else if (this.state.search) this.change({ search: "" });
      event.preventDefault();
      return;
    }
    if (typing) return;
    const kind = KINDS[Number(event.key) - 1];
    if (event.key === "/") part("search", HTMLInputElement).select();
    else if (event.key === "?") part("help", HTMLDialogElement).showModal();
    else if (event.key === "n") this.#toMatch(1);
    else if (event.key === "p" || event.key === "N") this.#toMatch(-1);
    else if (event.key === "i") this.change({ leafFirst: !this.state.leafFirst });
    else if (event.key === "f") this.change({ flames: !this.state.flames });
    else if (event.key === "d") this.#toggleTheme();
    else if (event.key === " " && !part("pause", HTMLElement).hidden && !isControl(event.target)) this.pause(!this.paused);
    else if (event.key === "t") part("table", HTMLTableElement).querySelector("button")?.focus();
    else if (kind) this.#toggleKind(kind);
    else return;
    event.preventDefault();
  }
}

/** Whether a space does something there. @param {EventTarget | null} target */
function isControl(target) {
  return target instanceof Element && target.closest("button, summary, a, label, select") !== null;
}

/** Starts the page: on the data in it, or, without, on what the profiler sends that it came from. */
function main() {
  const began = performance.now();
  // For tests and for the curious, in the browser's console: what the page holds, and the milliseconds from the start
  // of this script to the end of the frame with the first picture (0 until then).
  /** @type {{page: Page | null, store: Store | null, firstDraw: number}} */
  const handle = { page: null, store: null, firstDraw: 0 };
  Object.defineProperty(window, "dtraceProfiler", { value: handle });
  /** @param {Store} store */
  const show = (store) => {
    handle.store = store;
    if (handle.page) {
      handle.page.renew(store);
      return;
    }
    handle.page = new Page(store);
    handle.page.start();
    requestAnimationFrame(() => setTimeout(() => {
      handle.firstDraw = performance.now() - began;
    }));
  };
  const data = document.getElementById("profile-data");
  if (data) {
    show(new Store(JSON.parse(data.textContent ?? "")));
    return;
  }
  follow({
    begin: (snapshot) => {
      show(new Store(snapshot));
      part("pause", HTMLElement).hidden = snapshot.meta.live !== "running";
    },
    grow: (delta) => handle.page?.grow(delta),
    say: (text) => {
      const place = part("connection", HTMLElement);
      place.hidden = !text;
      place.textContent = text;
    },
  });
}

main();
