// The little sheet that says what is under the pointer or has the focus.

import { element } from "./dom.js";
import { KIND_NAMES, PALETTES } from "./palette.js";

/** @typedef {import("./palette.js").Kind} Kind */

/** @typedef {object} Description what there is to say about a box
 * @property {string} name safe to show
 * @property {string} module
 * @property {string} place file and line
 * @property {Kind | null} kind
 * @property {number} shade
 * @property {[string, string, string, string][]} rows label, share, error, value
 * @property {string} remark
 */

export class Tooltip {
  /** @param {HTMLElement} host */
  constructor(host) {
    this.host = host;
  }

  hide() {
    this.host.hidden = true;
  }

  /** @param {Description} what @param {DOMRect} at @param {"light" | "dark"} theme */
  show(what, at, theme) {
    const swatch = element("span", { class: "swatch" });
    if (what.kind) swatch.style.background = PALETTES[theme].shades[what.kind][what.shade];
    const kind = what.kind ? KIND_NAMES[what.kind] : "";
    const parts = [element("p", { class: "tip-name" }, element("bdi", {}, what.name))];
    if (what.kind) {
      const where = element("p", { class: "tip-where" }, swatch, kind);
      if (what.module) where.append(" · ", element("bdi", {}, what.module));
      parts.push(where);
    }
    if (what.place) parts.push(element("p", { class: "tip-where" }, element("bdi", {}, what.place)));
    if (what.rows.length) {
      const table = element("table");
      for (const [label, share, error, value] of what.rows) {
        table.append(
          element("tr", {}, element("th", { scope: "row" }, label), element("td", {}, share),
            element("td", { class: "error" }, error), element("td", {}, value)),
        );
      }
      this.host.replaceChildren(...parts, table);
    } else {
      this.host.replaceChildren(...parts);
    }
    if (what.remark) this.host.append(element("p", { class: "tip-remark" }, what.remark));
    this.host.hidden = false;
    this.#place(at);
  }

  /** Beside the box or the pointer, inside the window. @param {DOMRect} at */
  #place(at) {
    const { offsetWidth: width, offsetHeight: height } = this.host;
    const gap = at.height ? 6 : 16;
    const left = Math.max(8, Math.min(at.left + (at.width ? 0 : 12), window.innerWidth - width - 8));
    let top = at.bottom + gap;
    if (top + height > window.innerHeight - 8) top = at.top - gap - height;
    this.host.style.left = `${left}px`;
    this.host.style.top = `${Math.max(8, top)}px`;
  }
}
