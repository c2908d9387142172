// A profile that grows: the stream of a running profiler, from its snapshot on.

import { element, part } from "./dom.js";

/** @typedef {import("./store.js").Snapshot} Snapshot */
/** @typedef {import("./store.js").Delta} Delta */

/** @typedef {object} Follower
 * @property {(snapshot: Snapshot) => void} begin all that is known; more than once where we were too far behind
 * @property {(delta: Delta) => void} grow what is new
 * @property {(text: string) => void} say how the connection is, in words; empty: well */

/** A stream that ends and comes again at once is nothing to speak of: behind a web application each is short. */
const PATIENCE_MS = 4000;

/** Follows the profiler that this page came from. The browser connects again by itself, and says how far we are.
 * @param {Follower} follower
 * @returns {EventSource} */
export function follow(follower) {
  // The key has been exchanged for a cookie: it needs not stand in the history, nor be sent with a picture of it.
  if (location.search) history.replaceState(null, "", `${location.pathname}${location.hash}`);
  const stream = new EventSource("events");
  /** @type {ReturnType<typeof setTimeout> | 0} */
  let waiting = 0;
  const well = () => {
    clearTimeout(waiting);
    waiting = 0;
    follower.say("");
  };
  stream.addEventListener("open", well);
  stream.addEventListener("snapshot", (event) => {
    well();
    const snapshot = JSON.parse(event.data);
    makeSaveMenu(snapshot.meta.saves ?? []);
    follower.begin(snapshot);
  });
  stream.addEventListener("delta", (event) => {
    well();
    follower.grow(JSON.parse(event.data));
  });
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) {
      well();
      follower.say("The profiler has ended. What it had found stays here.");
    } else if (!waiting) {
      waiting = setTimeout(() => follower.say("The profiler does not answer; trying again."), PATIENCE_MS);
    }
  });
  return stream;
}

/** @param {string[]} formats */
function makeSaveMenu(formats) {
  part("save", HTMLElement).hidden = formats.length === 0;
  part("save-list", HTMLElement).replaceChildren(...formats.map((name) =>
    element("a", { href: `save/${name}`, download: `profile.${name}` }, name)));
}

/** The text of a file of the profile. @param {number} file index of a string
 * @returns {Promise<import("./details.js").Source>} */
export async function loadSource(file) {
  try {
    const answer = await fetch(`source?file=${file}`);
    return answer.ok ? await answer.json() : { missing: (await answer.text()).trim() };
  } catch {
    return { missing: "The profiler does not answer." };
  }
}
