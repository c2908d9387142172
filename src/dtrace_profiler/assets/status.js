// What a profile is of, how it was taken, and what is missing from it, in words.

import { element } from "./dom.js";
import { duration, integer, percent, shown, words } from "./text.js";

/** @typedef {import("./store.js").Store} Store */

/** @type {Record<string, string>} */
const ENGINES = { dtrace: "DTrace", sampler: "embedded sampler" };

/** @type {Record<string, string>} */
const LIVE = { running: "● live", ended: "ended" };

const FILTERED = {
  threads: "No sample is of the threads that are chosen.",
  range: "No sample was taken in the range that is chosen: the target was not on a CPU then, or samples were lost.",
  focus: "No sample has the function that is looked at.",
};

/** @typedef {{total: number, samples: number}} Whole the sum of all values, and how many samples there are */

/** @param {Store} store @param {Whole} whole
 * @returns {string[]} */
export function facts(store, { total, samples: counted }) {
  const { meta } = store;
  const out = [];
  if (meta.live) out.push(LIVE[meta.live]);
  const engine = meta.engine ? (ENGINES[meta.engine] ?? shown(meta.engine)) : "";
  if (engine && meta.frequency_hz) out.push(`${engine} at ${integer(meta.frequency_hz)} Hz`);
  else if (engine) out.push(engine);
  else if (meta.frequency_hz) out.push(`${integer(meta.frequency_hz)} Hz`);
  if (meta.duration_ns) out.push(`${meta.keep_s ? "the last" : "over"} ${duration(meta.duration_ns)}`);
  const samples = meta.unit === "samples" ? total : counted;
  let count = `${integer(samples)} ${samples === 1 ? "sample" : "samples"}`;
  if (meta.unit === "nanoseconds") count += ` of ${duration(total)} on CPU`;
  else if (meta.frequency_hz && samples) count += ` ≈ ${duration((samples / meta.frequency_hz) * 1e9)} on CPU`;
  out.push(count);
  const processes = new Set(store.threads.map((thread) => thread.process_id)).size;
  if (store.threads.length > 1) {
    out.push(`${integer(store.threads.length)} threads${processes > 1 ? ` of ${integer(processes)} processes` : ""}`);
  }
  if (meta.start_ms) {
    const when = new Date(meta.start_ms);
    if (!Number.isNaN(when.getTime())) out.push(`${when.toISOString().slice(0, 16).replace("T", " ")} UTC`);
  }
  const python = meta.versions.python;
  if (python) out.push(`Python ${shown(python)}`);
  if (meta.system) out.push(shown(meta.system));
  return out;
}

/** @param {Store} store
 * @returns {string[]} one a kind of loss, empty where nothing was lost */
export function losses(store) {
  return Object.entries(store.meta.losses)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${store.meta.loss_words[name] ?? words(name)} (${integer(count)})`);
}

/** Why there is nothing to see.
 * @param {Store} store @param {number} total @param {"" | "threads" | "range" | "focus"} filter what leaves samples out
 * @returns {string[]} empty where there is something */
export function emptiness(store, total, filter) {
  if (total > 0) return [];
  if (filter) return ["Nothing is left to show.", FILTERED[filter]];
  if (store.meta.live === "running") {
    return ["No sample yet.", "The target was not on a CPU so far: it is idle, or waits for something."];
  }
  const lost = losses(store).length > 0;
  const out = ["This profile holds no sample."];
  if (lost) out.push("Samples were lost, see above. The picture would not be true without them.");
  else out.push("The target was never seen on a CPU: it was idle, or it ended before sampling began.");
  return out;
}

/** Only what has changed: called with each picture.
 * @param {HTMLElement} list @param {Store} store @param {Whole} whole */
export function showFacts(list, store, whole) {
  const said = facts(store, whole);
  if (list.children.length !== said.length) list.replaceChildren(...said.map((fact) => element("li", {}, fact)));
  else said.forEach((fact, at) => { if (list.children[at].textContent !== fact) list.children[at].textContent = fact; });
}

/** @param {{title: HTMLElement, facts: HTMLElement, losses: HTMLElement, notes: HTMLElement}} parts
 * @param {Store} store @param {Whole} whole */
export function showStatus(parts, store, whole) {
  const { meta } = store;
  const title = shown(meta.title || meta.target || "CPU profile");
  parts.title.textContent = title;
  parts.title.title = title;
  document.title = `${title} · flame graph`;
  showFacts(parts.facts, store, whole);
  const lost = losses(store);
  parts.losses.hidden = lost.length === 0;
  if (lost.length) parts.losses.replaceChildren(element("strong", {}, "Incomplete: "), lost.join(" · "));
  const notes = [...meta.notes].map(shown);
  if (store.elidedNodes) {
    let value = 0;
    for (let row = 0; row < store.elided.length; row++) value += store.elided.value.data[row];
    notes.push(`${integer(store.elidedNodes)} of the narrowest call paths are left out of this file, because they`
      + ` would make it too large: ${whole.total > 0 ? percent(value / whole.total) : "0 %"} of the profile. Totals include them.`);
  }
  parts.notes.hidden = notes.length === 0;
  parts.notes.replaceChildren(...notes.map((note) => element("li", {}, note)));
}
