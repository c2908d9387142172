// The page: its state, and how the parts hang together.
//
// The state (what an address holds) changes in one place, `Page.change`; what has to be made anew follows from what
// changed. Data comes from the element `profile-data` of an exported file, or as a stream from a running profiler.

import { fromAddress, initialState, toAddress } from "./address.js";
import { makeLegend, makeThreads, showControls, showFilters, threadLabels } from "./controls.js";
import { describe, shareText, stackText } from "./describe.js";
import { Details } from "./details.js";
import { element, part, takesText } from "./dom.js";
import { GraphView } from "./graph.js";
import { follow, loadSource } from "./live.js";
import { KINDS } from "./palette.js";
import { matching, parseQuery } from "./search.js";
import { emptiness, showFacts, showStatus } from "./status.js";
import { Store } from "./store.js";
import { FunctionTable } from "./table.js";
import { integer, percent, quantity } from "./text.js";
import { Theme } from "./theme.js";
import { Timeline } from "./timeline.js";
import { RangeCounts } from "./times.js";
import { Tooltip } from "./tooltip.js";
import { View } from "./view.js";

/** @typedef {import("./address.js").State} State */
/** @typedef {import("./palette.js").Kind} Kind */
/** @typedef {import("./graph.js").Spot} Spot */

const SLOW_MS = 1000;
const MOST_LANES = 64;
const MOST_CRUMBS = 40;

class Page {
  /** @param {Store} store @param {boolean} live */
  constructor(store, live) {
    this.store = store;
    /** @type {State} */
    this.state = initialState();
    this.view = new View(store, this.state);
    /** @type {Uint8Array | null} */
    this.matches = null;
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
      zoom: (node) => this.change({ zoom: this.view.nameOf(node) }),
      look: (spot, at, byKey) => this.#look(spot, at, byKey),
    });
    this.timeline = new Timeline(part("time-plot", HTMLElement), (range, compare) => this.#chooseRange(range, compare));
    this.table = new FunctionTable(
      part("table", HTMLTableElement), part("summary", HTMLElement), part("more", HTMLButtonElement),
      { sort: (columns) => this.change({ columns }), choose: (fn) => this.#choose(fn) },
    );
    this.details = new Details({
      choose: (fn) => this.#choose(fn),
      focus: (fn, leafFirst) => this.#focusOn(fn, leafFirst),
      hide: (fn) => this.#hide(fn),
      close: () => this.change({ chosen: -1 }),
    }, live ? loadSource : null);
    this.theme = new Theme((theme) => this.#showTheme(theme));
    this.#listen();
  }

  get tree() {
    return this.view.tree;
  }

  get functions() {
    return this.view.functions;
  }

  start() {
    this.theme.choose();
    this.#makeLegend();
    this.#makeThreads();
    this.#apply(fromAddress(location.hash), true);
    this.#showStatus();
    // The times come after the first picture.
    const { store } = this;
    store.timed.then(() => {
      if (this.store !== store) return;
      if (this.view.range) this.#apply(this.state, true);
      else this.#showTime();
    });
  }

  #showStatus() {
    showStatus(
      { title: part("title", HTMLElement), facts: part("facts", HTMLElement), losses: part("losses", HTMLElement),
        notes: part("notes", HTMLElement) },
      this.store, this.view.whole(),
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
    this.view = new View(store, this.state);
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
    const known = this.functions.length;
    this.view.grow();
    this.graph.rootLabel = this.#rootLabel();
    if (this.functions.length > known || this.matches) this.#search();
    this.graph.grown();
    this.#showEmptiness();
    // Of the last minute the sum is made anew: not with each picture.
    if (!this.store.meta.keep_s) showFacts(part("facts", HTMLElement), this.store, this.view.whole());
    const now = performance.now();
    if (now - this.toldAt < SLOW_MS && this.store.meta.live === "running") {
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
    showControls(this.state, store);
    this.#showTime();
    this.#showPath(this.graph.zoomed);
    this.#showTable();
    if (store.meta.live === "ended") part("pause", HTMLElement).hidden = true;
  }

  // State

  /** Changes a part of the state, the address, and what is shown. @param {Partial<State>} change */
  change(change) {
    this.#apply({ ...this.state, ...change }, false);
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
    const zoomedBefore = this.graph.zoomed;
    this.state = state;
    const treeBefore = this.tree;
    const countedBefore = this.view.countedAs.get(treeBefore);
    this.view.apply(state);
    const { tree } = this;
    const newTree = tree !== treeBefore || this.graph.tree !== tree || all;
    const newCounts = newTree || this.view.countedAs.get(tree) !== countedBefore;
    if (newTree && before.leafFirst !== state.leafFirst && before.zoom === state.zoom) this.state.zoom = "";
    const searched = newCounts || state.search !== before.search;
    if (searched) this.#search();
    const zoomed = this.view.nodeOf(this.state.zoom);
    this.graph.rootLabel = this.#rootLabel();
    if (newTree) this.graph.show(tree, zoomed);
    else if (zoomed !== this.graph.zoomed) this.graph.zoomTo(zoomed);
    else if (newCounts) this.graph.grown();
    this.graph.setShape(state.flames);
    if (newCounts || zoomed !== zoomedBefore) this.#showPath(zoomed);
    showControls(state, this.store);
    showFilters(state, this.functions, (change) => this.change(change));
    this.#showEmptiness();
    if (newCounts || state.face !== before.face) this.#showTime();
    if (all || (state.range !== before.range && !part("threads", HTMLDetailsElement).open)) this.#makeThreads();
    if (searched || state.columns !== before.columns || state.chosen !== before.chosen) this.#showTable();
  }

  #rootLabel() {
    const { tree, state, store } = this;
    const { total, before } = tree;
    const label = state.focus >= 0
      ? `${state.leafFirst ? "callers of" : "from"} ${this.functions.list[this.functions.called(state.focus)]?.label ?? ""}`
      : state.leafFirst ? "all, by the function on CPU" : "all";
    const amount = (/** @type {number} */ value) => quantity(value, store.meta.unit);
    if (!before) return `${label} · ${amount(total[0])}`;
    const { now, then } = store.sides;
    const sides = [`${now}: ${amount(total[0])}`, `${then}: ${amount(before.total[0])}`];
    return `${label} · ${sides.sort().join(", ")}`;
  }

  // Time

  /** @param {import("./times.js").Range} range @param {boolean} compare */
  #chooseRange(range, compare) {
    if (compare && this.state.range) this.change({ than: range });
    else this.change({ range, last: 0 });
    this.#compareNext(false);
  }

  /** Whether the next range that is chosen is the one to compare with. @param {boolean} compare */
  #compareNext(compare) {
    this.timeline.comparing = compare && this.state.range !== null;
    part("compare", HTMLButtonElement).setAttribute("aria-pressed", String(this.timeline.comparing));
    if (compare) {
      part("time-told", HTMLElement).textContent = this.state.range
        ? "Choose the range to compare with." : "Choose a range first, then the one to compare with.";
    }
  }

  #showTime() {
    const { store, state, view } = this;
    const { times } = store;
    // Room for it from the first: else the graph would jump when the times are there.
    const there = times.length > 0 || times.waiting !== null;
    part("time", HTMLElement).hidden = !there;
    if (!there) return;
    const totals = store.threads.map((thread, index) => ({ thread, index })).filter(({ index }) => !state.threads || state.threads.has(index))
      .sort((a, b) => b.thread.samples - a.thread.samples || a.index - b.index);
    const labelOf = threadLabels(store.threads);
    const lanes = totals.slice(0, MOST_LANES).map(({ thread, index }) => ({ index, label: labelOf(thread) }));
    this.timeline.show({ times, lost: store.lost, face: state.face, lanes, threads: state.threads, range: view.range,
      than: state.range && state.than, firstSecond: times.firstSecond }, view.endS);
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
      found.textContent = shareText(this.tree, value, weight).join(" ");
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

  // Functions

  /** A function was chosen: it is found in the graph, and told about. Chosen again, no more. @param {number} fn */
  #choose(fn) {
    const { frame, name } = this.functions.list[fn];
    const search = `"${name}"`;
    if (this.state.search === search && this.state.chosen === frame) this.change({ search: "", chosen: -1 });
    else this.change({ search, chosen: frame });
  }

  /** @param {number} fn @param {boolean} leafFirst */
  #focusOn(fn, leafFirst) {
    this.change({ focus: this.functions.list[fn].frame, leafFirst, zoom: "" });
  }

  /** @param {number} fn */
  #hide(fn) {
    const { frame } = this.functions.list[fn];
    this.change({ without: new Set([...this.state.without, frame]), chosen: -1, search: "", zoom: "" });
  }

  /** The function that keys mean: of the box with the focus. */
  get #function() {
    const { focused } = this.graph;
    return focused > 0 && focused < this.tree.length ? this.tree.fn.data[focused] : -1;
  }

  async #copyStack() {
    if (this.graph.focused <= 0) return;
    const spoken = part("spoken", HTMLElement);
    try {
      await navigator.clipboard.writeText(stackText(this.view, this.graph.focused));
      spoken.textContent = part("time-told", HTMLElement).textContent = "The stack is in the clipboard.";
    } catch {
      spoken.textContent = part("time-told", HTMLElement).textContent = "The browser does not let this page copy.";
    }
  }

  // What is shown

  /** @param {Spot | null} spot @param {DOMRect | null} at @param {boolean} byKey */
  #look(spot, at, byKey) {
    if (!spot || !at) {
      this.tooltip.hide();
      return;
    }
    const what = describe(this.view, spot, this.graph.zoomed);
    this.tooltip.show(what, at, this.theme.name);
    if (byKey) {
      const numbers = what.rows.map(([label, share, error]) => `${label} ${share} ${error}`).join(", ");
      part("spoken", HTMLElement).textContent = `${what.name}. ${numbers}. Depth ${this.tree.depth.data[spot.node]}.`;
    }
  }

  /** @param {number} zoomed */
  #showPath(zoomed) {
    const nav = part("path", HTMLElement);
    const path = this.tree.pathTo(zoomed);
    const list = element("ol");
    const shownPath = path.length > MOST_CRUMBS ? [path[0], -1, ...path.slice(1 - MOST_CRUMBS)] : path;
    for (const node of shownPath) {
      if (node < 0) {
        list.append(element("li", {}, `… ${integer(path.length - MOST_CRUMBS)} frames …`));
        continue;
      }
      const label = node === 0 ? "all" : this.functions.list[this.tree.fn.data[node]].label;
      const last = node === zoomed;
      const button = element("button", { type: "button", "aria-current": last ? "true" : false, title: label },
        element("bdi", {}, label));
      button.addEventListener("click", () => this.change({ zoom: this.view.nameOf(node) }));
      list.append(element("li", {}, button));
    }
    nav.replaceChildren(list);
    if (zoomed > 0) {
      const share = this.tree.total[0] > 0 ? this.tree.total[zoomed] / this.tree.total[0] : 0;
      const reset = element("button", { type: "button", class: "reset", title: "Back to all (Esc)" }, "Reset zoom");
      reset.addEventListener("click", () => this.change({ zoom: "" }));
      nav.append(element("span", { class: "path-share" }, percent(share)), reset);
    }
    list.scrollLeft = list.scrollWidth;
  }

  #showEmptiness() {
    const { state } = this;
    const filter = this.view.range ? "range" : state.focus >= 0 ? "focus" : state.threads ? "threads" : "";
    const lines = this.store.times.waiting ? [] : emptiness(this.store, this.tree.width[0], filter);
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
    const { tree, now, before } = this.view.sums();
    this.table.show(
      { functions: this.functions, sums: now, whole: tree.total[0], wholeWeight: tree.totalWeight[0],
        before: before && tree.before
          ? { sides: this.store.sides, sums: before, whole: tree.before.total[0], wholeWeight: tree.before.totalWeight[0] } : null,
        matches: this.matches, theme: this.theme.name },
      this.state.columns,
    );
    this.details.show(tree, this.functions.called(this.state.chosen), this.theme.name);
  }

  /** @param {"light" | "dark"} theme */
  #showTheme(theme) {
    this.graph.setTheme(theme);
    this.timeline.setTheme(theme);
    this.#makeLegend();
    showControls(this.state, this.store);
    if (this.table.data) this.#showTable();
  }

  // Controls

  #makeLegend() {
    makeLegend(this.store, this.theme.name, {
      toggle: (kind) => this.#toggleKind(kind),
      only: (kind) => {
        this.graph.onlyKind = kind && !this.state.hidden.has(kind) ? kind : null;
        this.graph.repaint();
      },
    });
  }

  #makeThreads() {
    const { range } = this.view;
    const samples = range ? new RangeCounts(this.store.times, range).samples() : null;
    makeThreads(this.store, samples, (threads) => this.change({ threads }));
    showControls(this.state, this.store);
  }

  /** @param {Kind} kind */
  #toggleKind(kind) {
    const hidden = new Set(this.state.hidden);
    if (!hidden.delete(kind)) hidden.add(kind);
    this.graph.onlyKind = null;
    this.change({ hidden });
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
      if (input.name === "face") this.change({ face: /** @type {import("./address.js").Face} */ (input.value) });
    });
    const order = part("order", HTMLSelectElement);
    order.addEventListener("change", () => this.change({ order: /** @type {import("./tree.js").Order} */ (order.value) }));
    const by = part("by", HTMLSelectElement);
    by.addEventListener("change", () => this.change({ by: by.value === "line" ? "line" : "function", chosen: -1, focus: -1, without: new Set() }));
    const last = part("last", HTMLSelectElement);
    last.addEventListener("change", () => this.change({ last: Number(last.value), range: null, than: null }));
    part("collapse", HTMLButtonElement).addEventListener("click", () => this.change({ collapsed: !this.state.collapsed, zoom: "" }));
    part("glue", HTMLButtonElement).addEventListener("click", () => this.change({ glueless: !this.state.glueless, zoom: "" }));
    part("compare", HTMLButtonElement).addEventListener("click", () => this.#compareNext(!this.timeline.comparing));
    const help = part("help", HTMLDialogElement);
    part("theme", HTMLButtonElement).addEventListener("click", () => this.theme.toggle());
    part("pause", HTMLButtonElement).addEventListener("click", () => this.pause(!this.paused));
    part("ask", HTMLButtonElement).addEventListener("click", () => help.showModal());
    window.addEventListener("popstate", () => this.#apply(fromAddress(location.hash), false));
    window.addEventListener("hashchange", () => this.#apply(fromAddress(location.hash), false));
    document.addEventListener("pointerdown", (event) => {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        if (event.target instanceof Node && !menu.contains(event.target)) menu.removeAttribute("open");
      }
    });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** One step back. @param {boolean} typing */
  #escape(typing) {
    const { state } = this;
    const open = document.querySelector("details.menu[open]");
    if (open) open.removeAttribute("open");
    else if (typing && state.search) this.change({ search: "" });
    else if (typing) part("graph", HTMLElement).focus();
    else if (this.timeline.forget()) return;
    else if (this.timeline.comparing) this.#compareNext(false);
    else if (state.zoom) this.change({ zoom: "" });
    else if (state.chosen >= 0) this.change({ chosen: -1, search: "" });
    else if (state.search) this.change({ search: "" });
    else if (state.focus >= 0) this.change({ focus: -1 });
    else if (state.than) this.change({ than: null });
    else if (state.range) this.change({ range: null });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (part("help", HTMLDialogElement).open) return;
    const typing = event.target instanceof Element && takesText(event.target);
    if (event.key === "Escape") {
      this.#escape(typing);
      event.preventDefault();
      return;
    }
    if (typing) return;
    const kind = KINDS[Number(event.key) - 1];
    const fn = this.#function;
    if (event.key === "/") part("search", HTMLInputElement).select();
    else if (event.key === "?") part("help", HTMLDialogElement).showModal();
    else if (event.key === "n") this.#toMatch(1);
    else if (event.key === "p" || event.key === "N") this.#toMatch(-1);
    else if (event.key === "i") this.change({ leafFirst: !this.state.leafFirst });
    else if (event.key === "f") this.change({ flames: !this.state.flames });
    else if (event.key === "d") this.theme.toggle();
    else if (event.key === "r") this.change({ collapsed: !this.state.collapsed, zoom: "" });
    else if (event.key === "g" && !part("glue", HTMLElement).hidden) this.change({ glueless: !this.state.glueless, zoom: "" });
    else if (event.key === "c") this.#copyStack();
    else if (event.key === "m") part("time-plot", HTMLElement).focus();
    else if (event.key === "=") this.#compareNext(!this.timeline.comparing);
    else if (event.key === "v" && fn >= 0) this.#choose(fn);
    else if ((event.key === "o" || event.key === "O") && fn >= 0) this.#focusOn(fn, event.key === "O");
    else if (event.key === "x" && fn >= 0) this.#hide(fn);
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
  const data = document.getElementById("profile-data");
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
    handle.page = new Page(store, !data);
    handle.page.start();
    requestAnimationFrame(() => setTimeout(() => {
      handle.firstDraw = performance.now() - began;
    }));
  };
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
