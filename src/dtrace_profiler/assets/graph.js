// The flame graph as a part of the page: size, scrolling, mouse, keys, focus and zoom around the renderer.

import { element } from "./dom.js";
import { ELIDED, layOut, Layout } from "./layout.js";
import { Renderer } from "./renderer.js";

/** @typedef {import("./tree.js").CallTree} CallTree */
/** @typedef {import("./palette.js").Kind} Kind */

/** @typedef {{node: number, above: number, value: number}} Spot
 *  What is under the pointer: a node, or ELIDED with the node it hangs on; `value` is the box's. */

/** @typedef {object} GraphEvents
 * @property {(node: number) => void} zoom someone asks to see this node across the whole width
 * @property {(spot: Spot | null, at: DOMRect | null, byKey: boolean) => void} look someone looks at a box, or away
 */

const NARROWEST = 0.5;
const ZOOM_MS = 160;

export class GraphView {
  /** @param {HTMLElement} host scrolls and takes the keys @param {GraphEvents} events */
  constructor(host, events) {
    this.host = host;
    this.events = events;
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.hoverMark = element("div", { class: "mark mark-hover", hidden: true });
    this.focusMark = element("div", { class: "mark mark-focus", hidden: true });
    this.sheet = element("div", { class: "graph-sheet" }, this.canvas, this.hoverMark, this.focusMark);
    host.append(this.sheet);
    this.renderer = new Renderer(this.canvas);
    this.layout = new Layout();
    /** @type {CallTree | null} */
    this.tree = null;
    this.zoomed = 0;
    this.focused = 0;
    this.flames = false;
    /** @type {Uint8Array | null} */
    this.matches = null;
    /** @type {Kind | null} */
    this.onlyKind = null;
    this.rootLabel = "all";
    this.range = { from: 0, to: 0 };
    this.contentHeight = 0;
    /** @type {number} */
    this.frame = 0;
    this.stale = true;
    /** @type {{from: number, to: number, start: number} | null} */
    this.motion = null;
    this.#listen();
    new ResizeObserver(() => this.#resized()).observe(host);
  }

  /** Shows a tree. The zoom goes to `zoomed`, without motion.
   * @param {CallTree} tree @param {number} zoomed */
  show(tree, zoomed) {
    const sameTree = this.tree === tree;
    this.tree = tree;
    this.zoomed = zoomed;
    if (!sameTree || this.focused >= tree.length) this.focused = zoomed;
    this.motion = null;
    this.range = this.#rangeOf(zoomed);
    this.#look(null);
    this.invalidate();
  }

  /** The tree has grown: the same picture of it, with its new values. */
  grown() {
    if (!this.tree) return;
    if (this.motion) this.motion = null;
    this.range = this.#rangeOf(this.zoomed);
    this.invalidate();
  }

  /** Brings a node to the whole width.
   * @param {number} node */
  zoomTo(node) {
    if (!this.tree) return;
    const before = { ...this.range };
    this.zoomed = node;
    if (!this.tree.pathTo(this.focused).includes(node)) this.focused = node;
    this.range = this.#rangeOf(node);
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.motion = still || !(before.to > before.from) ? null : { ...before, start: performance.now() };
    this.#look(null);
    this.#revealRow(this.tree.depth.data[node]);
    this.invalidate();
  }

  /** @param {"light" | "dark"} theme */
  setTheme(theme) {
    this.renderer.setTheme(theme);
    this.repaint();
  }

  /** The root below or above.
   * @param {boolean} flames */
  setShape(flames) {
    if (this.flames === flames) return;
    this.flames = flames;
    this.#measure();
    this.host.scrollTop = flames ? this.contentHeight : 0;
    this.#look(null);
    this.repaint();
  }

  /** Lays out and draws with the next frame of the screen. */
  invalidate() {
    this.stale = true;
    this.repaint();
  }

  /** Draws with the next frame of the screen. */
  repaint() {
    if (!this.frame) this.frame = requestAnimationFrame((time) => this.draw(time));
  }

  /** @param {number} time */
  draw(time) {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { tree, renderer, host } = this;
    if (!tree || !renderer.width) return;
    let { from, to } = this.range;
    if (this.motion) {
      const done = Math.min(1, Math.max(0, (time - this.motion.start) / ZOOM_MS));
      const eased = 1 - (1 - done) ** 3;
      from = this.motion.from + (from - this.motion.from) * eased;
      to = this.motion.to + (to - this.motion.to) * eased;
      if (done >= 1) this.motion = null;
      this.stale = true;
    }
    if (this.stale) {
      this.layout = layOut(tree, { from, to, width: renderer.width, narrowest: NARROWEST });
      this.stale = this.motion !== null;
      this.#measure();
    }
    renderer.draw({
      layout: this.layout,
      tree,
      matches: this.matches,
      zoomDepth: tree.depth.data[this.zoomed],
      onlyKind: this.onlyKind,
      rootLabel: this.rootLabel,
      flames: this.flames,
      scrollTop: host.scrollTop,
      contentHeight: this.contentHeight,
    });
    this.#placeFocus();
    if (this.motion) this.repaint();
  }

  /** Moves the focus to a node and looks at it; zooms out where it lies outside.
   * @param {number} node */
  focusOn(node) {
    if (!this.tree) return;
    this.focused = node;
    if (this.layout.boxOf(this.tree, node) < 0) return;
    this.#revealRow(this.tree.depth.data[node]);
    this.#placeFocus();
    const box = this.layout.boxOf(this.tree, node);
    this.#look({ node, above: this.tree.parent.data[node], value: this.tree.width[node] }, this.#rectOf(box), true);
  }

  /** The boxes that are drawn, in the order of depth and then from left to right: for tests and for stepping through
   * matches. @returns {number[]} */
  visibleNodes() {
    return Array.from(this.layout.node.data.subarray(0, this.layout.node.length)).filter((node) => node >= 0);
  }

  /** Where the middle of a node's box is on the screen, null where it is not drawn.
   * @param {number} node */
  pointOf(node) {
    if (!this.tree) return null;
    const box = this.layout.boxOf(this.tree, node);
    if (box < 0) return null;
    const rect = this.#rectOf(box);
    return { x: rect.x + rect.width / 2, y: rect.y + rect.height / 2 };
  }

  /** @param {number} node */
  #rangeOf(node) {
    const tree = /** @type {CallTree} */ (this.tree);
    const from = tree.startOf(node);
    return { from, to: from + tree.width[node] };
  }

  #measure() {
    const rows = this.layout.rowCount * this.renderer.rowHeight + 1;
    const before = this.contentHeight;
    this.contentHeight = this.flames ? Math.max(rows, this.renderer.height) : rows;
    if (before === this.contentHeight) return;
    const fromBottom = before - this.host.scrollTop;
    this.sheet.style.height = `${this.contentHeight}px`;
    if (this.flames) this.host.scrollTop = this.contentHeight - fromBottom;
  }

  #resized() {
    const { host, renderer } = this;
    renderer.resize(host.clientWidth, host.clientHeight, window.devicePixelRatio || 1);
    this.canvas.style.width = `${host.clientWidth}px`;
    this.canvas.style.height = `${host.clientHeight}px`;
    this.stale = true;
    this.#look(null);
    // At once: a canvas that was given a new size is empty until it is drawn.
    this.draw(performance.now());
  }

  /** Scrolls so that a row can be seen, with some of its neighbours.
   * @param {number} row */
  #revealRow(row) {
    const { host, renderer } = this;
    const top = renderer.rowTop(row, this.flames, this.contentHeight);
    const margin = Math.min(3 * renderer.rowHeight, host.clientHeight / 4);
    // A zoom may make the picture higher than it is now: make room first.
    if (!this.flames && top + host.clientHeight > this.contentHeight) {
      this.sheet.style.height = `${Math.max(this.contentHeight, top + renderer.rowHeight)}px`;
    }
    if (top < host.scrollTop + margin) host.scrollTop = top - margin;
    else if (top + renderer.rowHeight > host.scrollTop + host.clientHeight - margin) {
      host.scrollTop = top + renderer.rowHeight - host.clientHeight + margin;
    }
  }

  /** A box on the screen. @param {number} box */
  #rectOf(box) {
    const { layout, renderer } = this;
    const area = this.canvas.getBoundingClientRect();
    const row = this.#rowOf(box);
    const left = Math.max(0, layout.x.data[box]);
    const right = Math.min(renderer.width, layout.x.data[box] + layout.width.data[box]);
    const top = renderer.rowTop(row, this.flames, this.contentHeight) - this.host.scrollTop;
    return new DOMRect(area.left + left, area.top + top, Math.max(1, right - left), renderer.rowHeight - 1);
  }

  /** @param {number} box */
  #rowOf(box) {
    const { rows } = this.layout;
    let low = 0;
    let high = rows.length - 1;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (rows[middle] <= box) low = middle;
      else high = middle;
    }
    return low;
  }

  /** @param {HTMLElement} mark @param {number} box */
  #place(mark, box) {
    if (box < 0) {
      mark.hidden = true;
      return;
    }
    const { layout, renderer } = this;
    const left = Math.max(0, layout.x.data[box]);
    const right = Math.min(renderer.width, layout.x.data[box] + layout.width.data[box]);
    mark.style.left = `${left}px`;
    mark.style.width = `${Math.max(2, right - left - 1)}px`;
    mark.style.top = `${renderer.rowTop(this.#rowOf(box), this.flames, this.contentHeight)}px`;
    mark.style.height = `${renderer.rowHeight - 1}px`;
    mark.hidden = false;
  }

  #placeFocus() {
    const shown = this.tree && document.activeElement === this.host && this.tree.width[0] > 0;
    this.#place(this.focusMark, shown && this.tree ? this.layout.boxOf(this.tree, this.focused) : -1);
  }

  /** @param {Spot | null} spot @param {DOMRect | null} [at] @param {boolean} [byKey] */
  #look(spot, at = null, byKey = false) {
    if (!spot) this.hoverMark.hidden = true;
    this.events.look(spot, at, byKey);
  }

  /** @param {PointerEvent | MouseEvent} event @returns {number} the box there, -1 for none */
  #boxUnder(event) {
    const area = this.canvas.getBoundingClientRect();
    const y = event.clientY - area.top + this.host.scrollTop;
    const { rowHeight } = this.renderer;
    const row = Math.floor((this.flames ? this.contentHeight - y : y) / rowHeight);
    return this.layout.boxAt(row, event.clientX - area.left);
  }

  #listen() {
    const { host } = this;
    /** @type {{y: number, scroll: number, moved: boolean} | null} */
    let drag = null;
    let touchedBox = -1;
    host.addEventListener("scroll", () => this.repaint(), { passive: true });
    host.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button === 0 && event.target !== host) {
        drag = { y: event.clientY, scroll: host.scrollTop, moved: false };
      }
    });
    host.addEventListener("pointermove", (event) => {
      if (drag && event.buttons & 1) {
        const by = event.clientY - drag.y;
        if (Math.abs(by) > 4 && host.scrollHeight > host.clientHeight) drag.moved = true;
        if (drag.moved) {
          host.classList.add("dragged");
          host.scrollTop = drag.scroll - by;
          this.#look(null);
          return;
        }
      }
      if (event.pointerType === "touch") return;
      this.#hover(event);
    });
    host.addEventListener("pointerleave", () => this.#look(null));
    window.addEventListener("pointerup", () => host.classList.remove("dragged"));
    host.addEventListener("click", (event) => {
      const dragged = drag?.moved;
      drag = null;
      if (dragged) return;
      const box = this.#boxUnder(event);
      const byTouch = event instanceof PointerEvent && event.pointerType === "touch";
      if (box < 0) {
        this.#look(null);
        return;
      }
      if (byTouch && touchedBox !== box) {
        // The first touch tells, the second zooms.
        touchedBox = box;
        this.#hover(event);
        return;
      }
      touchedBox = -1;
      const node = this.layout.node.data[box] === ELIDED ? this.layout.above.data[box] : this.layout.node.data[box];
      this.focused = node;
      this.events.zoom(node);
    });
    host.addEventListener("focus", () => {
      this.#placeFocus();
      if (host.matches(":focus-visible")) this.focusOn(this.focused);
    });
    host.addEventListener("blur", () => {
      this.#placeFocus();
      this.#look(null);
    });
    host.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {PointerEvent | MouseEvent} event */
  #hover(event) {
    const box = this.#boxUnder(event);
    if (box < 0 || !this.tree) {
      this.#look(null);
      return;
    }
    this.#place(this.hoverMark, box);
    const node = this.layout.node.data[box];
    const perPixel = (this.range.to - this.range.from) / this.renderer.width;
    const value = node === ELIDED ? this.layout.width.data[box] * perPixel : this.tree.width[node];
    this.#look({ node, above: this.layout.above.data[box], value }, new DOMRect(event.clientX, event.clientY, 0, 0));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { tree } = this;
    if (!tree || event.ctrlKey || event.metaKey || event.altKey) return;
    const down = this.flames ? "ArrowUp" : "ArrowDown";
    const up = this.flames ? "ArrowDown" : "ArrowUp";
    let to = -1;
    if (event.key === down) to = this.#widestChild();
    else if (event.key === up) to = tree.parent.data[this.focused];
    else if (event.key === "ArrowLeft") to = this.#neighbour(-1);
    else if (event.key === "ArrowRight") to = this.#neighbour(1);
    else if (event.key === "Home") to = 0;
    else if (event.key === "Enter" || event.key === " ") this.events.zoom(this.focused);
    else if (event.key === "Backspace") this.events.zoom(Math.max(0, tree.parent.data[this.zoomed]));
    else return;
    event.preventDefault();
    if (to >= 0) this.focusOn(to);
  }

  #widestChild() {
    const tree = /** @type {CallTree} */ (this.tree);
    const { layout } = this;
    const row = tree.depth.data[this.focused] + 1;
    let widest = -1;
    for (let box = layout.rows[row]; box < layout.rows[row + 1]; box++) {
      const node = layout.node.data[box];
      if (node === ELIDED || tree.parent.data[node] !== this.focused) continue;
      if (widest < 0 || tree.width[node] > tree.width[widest]) widest = node;
    }
    return widest;
  }

  /** The next box of the row, to the left or to the right. @param {number} step */
  #neighbour(step) {
    const tree = /** @type {CallTree} */ (this.tree);
    const { layout } = this;
    const row = tree.depth.data[this.focused];
    const from = layout.boxOf(tree, this.focused);
    if (from < 0) return -1;
    for (let box = from + step; box >= layout.rows[row] && box < layout.rows[row + 1]; box += step) {
      if (layout.node.data[box] !== ELIDED) return layout.node.data[box];
    }
    return -1;
  }
}
