// Menus and buttons that choose what is shown: kinds of frames, threads and processes, what is left out.

import { element, part } from "./dom.js";
import { KINDS, KIND_NAMES, PALETTES } from "./palette.js";
import { integer, shown } from "./text.js";
import { clock } from "./timescale.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./address.js").State} State */
/** @typedef {import("./palette.js").Kind} Kind */
/** @typedef {import("./functions.js").Functions} Functions */

/** @param {Store} store @param {"light" | "dark"} theme
 * @param {{toggle: (kind: Kind) => void, only: (kind: Kind | null) => void}} events */
export function makeLegend(store, theme, events) {
  const present = new Set(store.frames.kind.data.subarray(0, store.frameCount));
  part("legend", HTMLElement).replaceChildren(...KINDS.filter((_, kind) => present.has(kind)).map((kind) => {
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = PALETTES[theme].shades[kind][2];
    const key = KINDS.indexOf(kind) + 1;
    const button = element("button",
      { type: "button", "data-kind": kind, "aria-pressed": "true", title: `Hide or show ${kind} frames (${key})` },
      swatch, KIND_NAMES[kind]);
    button.addEventListener("click", () => events.toggle(kind));
    for (const [event, only] of /** @type {[string, Kind | null][]} */ (
      [["pointerenter", kind], ["focus", kind], ["pointerleave", null], ["blur", null]])) {
      button.addEventListener(event, () => events.only(only));
    }
    return button;
  }));
}

/** What a thread is called, with the labels that its work had. @param {import("./store.js").Thread} thread */
export function threadName({ name, thread_id, labels }) {
  const said = Object.entries(labels ?? {}).map(([key, value]) => ` ${shown(key)}=${shown(value)}`);
  return (shown(name) || `thread ${thread_id}`) + said.join("");
}

/** What tells one thread from the others: its name, with its id where another has the same.
 * @param {Store["threads"]} threads
 * @returns {(thread: Store["threads"][number]) => string} */
export function threadLabels(threads) {
  /** @type {Map<string, number | null>} name → its only id, null where there are several */
  const ids = new Map();
  for (const thread of threads) {
    const name = threadName(thread);
    ids.set(name, !ids.has(name) || ids.get(name) === thread.thread_id ? thread.thread_id : null);
  }
  return (thread) => {
    const name = threadName(thread);
    return thread.name && ids.get(name) === null ? `${name} ${thread.thread_id}` : name;
  };
}

/** Threads, below their processes where there are several, the busiest first.
 * @param {Store} store @param {Map<number, number> | null} samples of a range, by thread
 * @param {(threads: Set<number> | null) => void} choose */
export function makeThreads({ threads }, samples, choose) {
  const menu = part("threads", HTMLElement);
  menu.hidden = threads.length < 2;
  const list = part("thread-list", HTMLElement);
  const count = (/** @type {number} */ index) => (samples ? samples.get(index) ?? 0 : threads[index].samples);
  /** @type {Map<number, number[]>} */
  const processes = new Map();
  threads.forEach(({ process_id }, index) => {
    const of = processes.get(process_id) ?? [];
    if (!of.length) processes.set(process_id, of);
    of.push(index);
  });
  const sum = (/** @type {number[]} */ of) => of.reduce((total, index) => total + count(index), 0);
  const chosen = () => {
    const boxes = [...list.querySelectorAll("input[data-thread]")];
    const set = new Set(boxes.filter((box) => box instanceof HTMLInputElement && box.checked)
      .map((box) => Number(/** @type {HTMLInputElement} */ (box).value)));
    choose(set.size === threads.length ? null : set);
  };
  /** @type {HTMLElement[]} */
  const rows = [];
  for (const [process, indices] of [...processes].sort((a, b) => sum(b[1]) - sum(a[1]))) {
    indices.sort((a, b) => count(b) - count(a));
    if (processes.size > 1) {
      const box = element("input", { type: "checkbox", "data-process": process });
      const first = threads[indices.find((index) => threads[index].thread_id === process) ?? indices[0]];
      box.addEventListener("change", () => {
        for (const index of indices) {
          const own = list.querySelector(`input[data-thread][value="${index}"]`);
          if (own instanceof HTMLInputElement) own.checked = box.checked;
        }
        chosen();
      });
      rows.push(element("label", { class: "process" }, box, element("bdi", {}, `${threadName(first)}`),
        element("small", {}, `process ${process} · ${integer(sum(indices))}`)));
    }
    for (const index of indices) {
      const box = element("input", { type: "checkbox", "data-thread": true, value: index });
      box.addEventListener("change", chosen);
      rows.push(element("label", { class: processes.size > 1 ? "thread" : "" }, box, element("bdi", {}, threadName(threads[index])),
        element("small", {}, `${threads[index].thread_id} · ${integer(count(index))}`)));
    }
  }
  const all = element("button", { type: "button" }, "All");
  all.addEventListener("click", () => choose(null));
  const none = element("button", { type: "button" }, "None");
  none.addEventListener("click", () => choose(new Set()));
  list.replaceChildren(element("div", { class: "row" }, all, none), ...rows);
}

/** Brings radios, lists and boxes to what the state says. @param {State} state @param {Store} store */
export function showControls(state, store) {
  /** @type {[string, string][]} */
  const radios = [["direction", state.leafFirst ? "leaf-first" : "root-first"],
    ["shape", state.flames ? "flames" : "icicles"], ["face", state.face]];
  for (const [name, value] of radios) {
    for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
      if (input instanceof HTMLInputElement) input.checked = input.value === value;
    }
  }
  part("order", HTMLSelectElement).value = state.order;
  part("by", HTMLSelectElement).value = state.by;
  part("last", HTMLSelectElement).value = String(state.last);
  part("collapse", HTMLButtonElement).setAttribute("aria-pressed", String(state.collapsed));
  const glue = part("glue", HTMLButtonElement);
  glue.hidden = !store.frames.glue.data.subarray(0, store.frameCount).includes(1);
  glue.setAttribute("aria-pressed", String(state.glueless));
  for (const button of part("legend", HTMLElement).querySelectorAll("button")) {
    const kind = /** @type {Kind} */ (button.dataset.kind);
    button.setAttribute("aria-pressed", String(!state.hidden.has(kind)));
  }
  const { threads } = state;
  const list = part("thread-list", HTMLElement);
  for (const box of list.querySelectorAll("input")) {
    if (box.dataset.process === undefined) box.checked = !threads || threads.has(Number(box.value));
  }
  for (const box of list.querySelectorAll("input[data-process]")) {
    const process = Number(/** @type {HTMLInputElement} */ (box).dataset.process);
    const own = store.threads.map((thread, index) => ({ thread, index })).filter(({ thread }) => thread.process_id === process);
    const on = own.filter(({ index }) => !threads || threads.has(index)).length;
    /** @type {HTMLInputElement} */ (box).checked = on === own.length;
    /** @type {HTMLInputElement} */ (box).indeterminate = on > 0 && on < own.length;
  }
  const summary = part("threads", HTMLElement).querySelector("summary");
  if (summary) summary.textContent = threads ? `Threads ${threads.size}/${store.threads.length}` : "Threads";
}

/** What is left out, each with a button that takes it back.
 * @param {State} state @param {Functions} functions @param {(change: Partial<State>) => void} change */
export function showFilters(state, functions, change) {
  /** @type {[string, string, Partial<State>][]} */
  const filters = [];
  const name = (/** @type {number} */ frame) => functions.list[functions.called(frame)]?.label ?? "";
  const range = (/** @type {import("./times.js").Range} */ { from, to }) => `${clock(from)} – ${clock(to)}`;
  if (state.range) {
    filters.push([state.than ? "A" : "Range", range(state.range), { range: null, than: null }]);
  }
  if (state.range && state.than) filters.push(["B, compared with", range(state.than), { than: null }]);
  if (state.focus >= 0) {
    filters.push([state.leafFirst ? "Callers of" : "Callees of", name(state.focus), { focus: -1, zoom: "" }]);
  }
  for (const frame of state.without) {
    filters.push(["Hidden", name(frame), { without: new Set([...state.without].filter((other) => other !== frame)) }]);
  }
  const list = part("filters", HTMLElement);
  list.hidden = filters.length === 0;
  list.replaceChildren(...filters.map(([label, text, without]) => {
    const button = element("button", { type: "button", title: "Take it back", "aria-label": `${label} ${text}: take it back` }, "✕");
    button.addEventListener("click", () => change(without));
    return element("li", {}, element("span", {}, label), element("bdi", { title: text }, text), button);
  }));
}
