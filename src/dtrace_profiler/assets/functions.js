// Frames put together to functions (or kept apart by line): what a box of the graph and a row of the table stand for.

import { Column } from "./columns.js";
import { KINDS, SHADES, shadeOf } from "./palette.js";
import { shown } from "./text.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./palette.js").Kind} Kind */
/** @typedef {"function" | "line"} By */

/** @typedef {object} ProfiledFunction
 * @property {number} frame the first of its frames: what an address calls it
 * @property {string} name as it is
 * @property {string} module
 * @property {string} file
 * @property {number} line its first line; by line: that line; 0 where not known
 * @property {Kind} kind
 * @property {string} label `name`, safe to show
 * @property {string} moduleLabel `module`, safe to show
 * @property {number} shade
 * @property {number} colour kind and shade in one
 * @property {string} [lowered] for the search
 */

export class Functions {
  /** @param {Store} store @param {By} by */
  constructor(store, by) {
    this.store = store;
    this.by = by;
    /** Frame → function. */
    this.ofFrame = new Column(Int32Array);
    /** @type {ProfiledFunction[]} */
    this.list = [];
    /** @type {Map<string, number>} */
    this.ids = new Map();
    /** @type {Int32Array | null} */
    this.ranks = null;
    this.extend();
  }

  get length() {
    return this.list.length;
  }

  /** Takes the frames that came since. */
  extend() {
    const { strings, frames, frameCount } = this.store;
    for (let frame = this.ofFrame.length; frame < frameCount; frame++) {
      const name = frames.name.data[frame];
      const module = frames.module.data[frame];
      const file = frames.file.data[frame];
      const kind = frames.kind.data[frame];
      const first = frames.first_line.data[frame];
      const line = this.by === "line" ? frames.line.data[frame] : first;
      const key = `${kind} ${name} ${module} ${file} ${this.by === "line" ? `${line} ${first}` : ""}`;
      let id = this.ids.get(key);
      if (id === undefined) {
        id = this.list.length;
        const shade = shadeOf(strings[module], strings[name]);
        this.ids.set(key, id);
        this.list.push({
          frame,
          name: strings[name],
          module: strings[module],
          file: strings[file],
          line,
          kind: KINDS[kind],
          label: shown(strings[name]) + (this.by === "line" && line ? `:${line}` : ""),
          moduleLabel: shown(strings[module]),
          shade,
          colour: kind * SHADES + shade,
        });
        this.ranks = null;
      } else if (line && (!this.list[id].line || line < this.list[id].line)) {
        this.list[id].line = line;
      }
      this.ofFrame.push(id);
    }
  }

  /** The function that an address means, -1 for none. @param {number} frame */
  called(frame) {
    return frame >= 0 && frame < this.ofFrame.length ? this.ofFrame.data[frame] : -1;
  }

  /** Function → its place in the order of names. */
  ranksByName() {
    if (!this.ranks || this.ranks.length !== this.list.length) {
      const { list } = this;
      const order = list.map((_, id) => id);
      order.sort((a, b) => {
        const x = list[a];
        const y = list[b];
        return compare(x.name, y.name) || compare(x.module, y.module) || compare(x.file, y.file) || x.line - y.line
          || a - b;
      });
      this.ranks = new Int32Array(list.length);
      for (let rank = 0; rank < order.length; rank++) this.ranks[order[rank]] = rank;
    }
    return this.ranks;
  }
}

/** @param {string} a @param {string} b */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
