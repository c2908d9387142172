// The timeline as a part of the page: choosing a range, or a second one to compare with, by mouse and by keys.

import { element, part } from "./dom.js";
import { SLOTS_A_SECOND } from "./times.js";
import { clock, drawTime, heightOf, spotAt } from "./timescale.js";
import { integer } from "./text.js";

/** @typedef {import("./timescale.js").TimeScene} TimeScene */
/** @typedef {import("./times.js").Range} Range */
/** @typedef {{second: number, slot: number}} Spot */

const LEAST_SPAN_S = 10;
/** A range is chosen in whole seconds; of a profile that is shorter than this, in tenths. */
const FINE_BELOW_S = 30;

export class Timeline {
  /** @param {HTMLElement} host takes the keys
   * @param {(range: Range, compare: boolean) => void} choose */
  constructor(host, choose) {
    this.host = host;
    this.choose = choose;
    /** Whether the next range is the one to compare with. */
    this.comparing = false;
    this.canvas = element("canvas", { "aria-hidden": "true" });
    host.append(this.canvas);
    const context = this.canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("This browser can't draw on a canvas.");
    this.context = context;
    /** @type {TimeScene | null} */
    this.scene = null;
    /** @type {"light" | "dark"} */
    this.theme = "light";
    this.frame = 0;
    /** @type {{from: number, x: number, compare: boolean} | null} */
    this.drag = null;
    /** @type {Spot | null} */
    this.mark = null;
    /** @type {Spot | null} */
    this.cursor = null;
    new ResizeObserver(() => this.draw()).observe(host);
    this.#listen();
  }

  /** @param {Omit<TimeScene, "mark" | "cursor" | "span">} scene @param {number} durationS */
  show(scene, durationS) {
    if (this.scene && this.scene.face !== scene.face) this.mark = this.cursor = null;
    const span = Math.max(LEAST_SPAN_S, Math.ceil(Math.max(durationS, scene.times.end / SLOTS_A_SECOND)));
    this.scene = { ...scene, span, mark: null, cursor: null };
    this.repaint();
  }

  /** @param {"light" | "dark"} theme */
  setTheme(theme) {
    this.theme = theme;
    this.repaint();
  }

  repaint() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { scene, canvas, host } = this;
    const width = host.clientWidth;
    if (!scene || !width) return;
    const height = heightOf(scene);
    const ratio = window.devicePixelRatio || 1;
    const across = Math.round(width * ratio);
    const down = Math.round(height * ratio);
    if (canvas.width !== across || canvas.height !== down) {
      canvas.width = across;
      canvas.height = down;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const focused = document.activeElement === host;
    drawTime(this.context, { ...scene, mark: this.mark, cursor: focused ? this.cursor : null }, width, this.theme);
  }

  /** Forgets the one end that has been chosen. @returns {boolean} whether there was one */
  forget() {
    const was = this.mark !== null;
    this.mark = null;
    this.repaint();
    return was;
  }

  get #step() {
    return this.scene && this.scene.span < FINE_BELOW_S ? 0.1 : 1;
  }

  /** @param {MouseEvent} event @returns {Spot} */
  #spot(event) {
    const area = this.canvas.getBoundingClientRect();
    const scene = /** @type {TimeScene} */ (this.scene);
    return spotAt(scene, area.width, event.clientX - area.left, event.clientY - area.top);
  }

  /** @param {number} a @param {number} b @param {boolean} compare */
  #chooseBetween(a, b, compare) {
    const step = this.#step;
    const from = Math.floor(Math.min(a, b) / step + 1e-6) * step;
    const to = Math.max(Math.ceil(Math.max(a, b) / step - 1e-6) * step, from + step);
    this.choose({ from: Math.round(from * 100) / 100, to: Math.round(to * 100) / 100 }, compare);
  }

  /** One of the two cells of the heat map, or ends of a range by keys. @param {Spot} spot @param {boolean} compare */
  #chooseEnd(spot, compare) {
    const scene = /** @type {TimeScene} */ (this.scene);
    if (!this.mark) {
      this.mark = spot;
      this.#say(`From ${this.#nameOf(spot)}; choose the other end.`);
      this.repaint();
      return;
    }
    const ends = [this.mark, spot];
    this.mark = null;
    if (scene.face !== "heat") {
      this.#chooseBetween(ends[0].second, ends[1].second, compare);
      return;
    }
    const slots = ends.map(({ second, slot }) => Math.floor(second) * SLOTS_A_SECOND + slot).sort((a, b) => a - b);
    this.choose({ from: slots[0] / SLOTS_A_SECOND, to: (slots[1] + 1) / SLOTS_A_SECOND }, compare);
  }

  /** @param {Spot} spot */
  #nameOf({ second, slot }) {
    return clock(this.scene?.face === "heat" ? Math.floor(second) + slot / SLOTS_A_SECOND
      : Math.floor(second / this.#step) * this.#step);
  }

  /** @param {string} text */
  #say(text) {
    part("time-told", HTMLElement).textContent = text;
  }

  /** What was going on there. @param {Spot} spot */
  #tell(spot) {
    const scene = /** @type {TimeScene} */ (this.scene);
    const second = Math.floor(spot.second);
    const value = scene.times.seconds.data[second < scene.times.seconds.length ? second : 0];
    const amount = second >= scene.times.seconds.length ? 0 : value;
    const lost = scene.lost.get(second);
    this.#say(`${this.#nameOf(spot)}: ${scene.times.alike ? `${integer(amount)} samples` : `${(amount / 1e9).toFixed(2)} s on CPU`}`
      + `${scene.face === "heat" ? " in this second" : ""}${lost ? `, ${integer(lost)} lost` : ""}`);
  }

  #listen() {
    const { host, canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.scene || event.button !== 0 || this.scene.face === "heat") return;
      this.drag = { from: this.#spot(event).second, x: event.clientX, compare: this.comparing || event.shiftKey };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.scene) return;
      const spot = this.#spot(event);
      this.#tell(spot);
      if (this.drag && Math.abs(event.clientX - this.drag.x) > 3) {
        this.mark = null;
        const [a, b] = [this.drag.from, spot.second].sort((x, y) => x - y);
        const range = { from: a, to: b };
        this.scene = { ...this.scene, ...(this.drag.compare ? { than: range } : { range }) };
        this.repaint();
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      const { drag } = this;
      this.drag = null;
      if (drag && this.scene) this.#chooseBetween(drag.from, this.#spot(event).second, drag.compare);
    });
    canvas.addEventListener("pointercancel", () => { this.drag = null; });
    canvas.addEventListener("pointerleave", () => this.#say(""));
    canvas.addEventListener("click", (event) => {
      if (this.scene?.face === "heat") this.#chooseEnd(this.#spot(event), this.comparing || event.shiftKey);
    });
    host.addEventListener("focus", () => {
      this.cursor ??= { second: 0, slot: 0 };
      this.repaint();
    });
    host.addEventListener("blur", () => this.repaint());
    host.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { scene } = this;
    if (!scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const cursor = this.cursor ?? { second: 0, slot: 0 };
    const step = (scene.face === "heat" ? 1 : this.#step) * (event.shiftKey ? 10 : 1);
    let { second, slot } = cursor;
    if (event.key === "ArrowRight") second = Math.min(scene.span - this.#step, second + step);
    else if (event.key === "ArrowLeft") second = Math.max(0, second - step);
    else if (event.key === "ArrowUp" && scene.face === "heat") slot = Math.min(SLOTS_A_SECOND - 1, slot + 1);
    else if (event.key === "ArrowDown" && scene.face === "heat") slot = Math.max(0, slot - 1);
    else if (event.key === "Home") second = 0;
    else if (event.key === "End") second = scene.span - this.#step;
    else if (event.key === "Enter") {
      event.preventDefault();
      const compare = this.comparing || event.shiftKey;
      // By keys both ends are meant to be in it.
      if (this.mark && scene.face !== "heat") {
        if (second >= this.mark.second) second += this.#step;
        else this.mark = { ...this.mark, second: this.mark.second + this.#step };
      }
      this.#chooseEnd({ second, slot }, compare);
      return;
    } else return;
    event.preventDefault();
    this.cursor = { second, slot };
    this.#tell(this.cursor);
    this.repaint();
  }
}
