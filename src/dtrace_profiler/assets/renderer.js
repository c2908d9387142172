// Draws a layout on a canvas. Knows colours and letters, nothing of mice and keys.

import { ELIDED } from "./layout.js";
import { DIFFERENCES, KINDS, PALETTES, mixed } from "./palette.js";

/** @typedef {import("./layout.js").Layout} Layout */
/** @typedef {import("./tree.js").CallTree} CallTree */
/** @typedef {import("./palette.js").Kind} Kind */

/** @typedef {object} Scene what one picture is made of
 * @property {Layout} layout
 * @property {CallTree} tree
 * @property {Uint8Array | null} matches function → 1 where the search found it
 * @property {number} zoomDepth rows above this one are the zoomed frame's callers
 * @property {Kind | null} onlyKind the others are drawn faintly
 * @property {string} rootLabel
 * @property {boolean} flames row 0 at the bottom
 * @property {number} scrollTop pixels of the whole picture above the canvas
 * @property {number} contentHeight pixels of the whole picture
 */

const FONT = 'system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif';
const PADDING = 5;
/** A box narrower than this has no letters. */
const NARROWEST_LABEL = 22;
const CHANGE_STEPS = 8;
/** Letters that are looked at: wider boxes than these don't exist. */
const MOST_LETTERS = 500;

export class Renderer {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("This browser can't draw on a canvas.");
    this.canvas = canvas;
    this.context = context;
    this.width = 0;
    this.height = 0;
    this.rowHeight = 19;
    this.fontSize = 12;
    /** @type {Map<string, number>} */
    this.widths = new Map();
    /** @type {Map<string, number[]>} colour → x, y, width, height of each box of the picture that is being drawn */
    this.boxes = new Map();
    /** @type {{node: number, x: number, y: number, room: number, colour: string}[]} */
    this.labels = [];
    this.setTheme("light");
  }

  /** @param {"light" | "dark"} theme */
  setTheme(theme) {
    const palette = PALETTES[theme];
    this.palette = palette;
    /** @type {string[]} kind × shade */
    this.fills = KINDS.flatMap((kind) => palette.shades[kind]);
    this.faint = this.fills.map((colour) => mixed(colour, palette.ground, theme === "dark" ? 0.35 : 0.28));
    this.callers = this.fills.map((colour) => mixed(colour, palette.ground, theme === "dark" ? 0.6 : 0.55));
    this.faintText = mixed(palette.text, palette.ground, 0.55);
    this.rootFill = mixed(palette.text, palette.ground, 0.14);
    const { same, more, less } = DIFFERENCES[theme];
    /** From all gone to all new, by `CallTree.change`, and what of it is drawn faintly. */
    this.changes = Array.from({ length: 2 * CHANGE_STEPS + 1 }, (_, step) => {
      const change = (step - CHANGE_STEPS) / CHANGE_STEPS;
      return change === 0 ? same : mixed(change > 0 ? more : less, same, 0.25 + 0.75 * Math.abs(change));
    });
    this.faintChanges = this.changes.map((colour) => mixed(colour, palette.ground, 0.3));
  }

  /** @param {number} width @param {number} height CSS pixels @param {number} ratio device pixels a CSS pixel */
  resize(width, height, ratio) {
    const large = width >= 2400;
    this.width = width;
    this.height = height;
    this.ratio = ratio;
    this.rowHeight = large ? 23 : 19;
    if (this.fontSize !== (large ? 14 : 12)) {
      this.fontSize = large ? 14 : 12;
      this.widths.clear();
    }
    const across = Math.max(1, Math.round(width * ratio));
    const down = Math.max(1, Math.round(height * ratio));
    if (this.canvas.width !== across || this.canvas.height !== down) {
      this.canvas.width = across;
      this.canvas.height = down;
    }
  }

  /** The top of a row, from the top of the whole picture.
   * @param {number} row @param {boolean} flames @param {number} contentHeight */
  rowTop(row, flames, contentHeight) {
    return flames ? contentHeight - (row + 1) * this.rowHeight : row * this.rowHeight;
  }

  /** @param {Scene} scene */
  draw(scene) {
    const { context, rowHeight, width, height } = this;
    const { layout, flames, scrollTop, contentHeight } = scene;
    const palette = /** @type {import("./palette.js").Palette} */ (this.palette);
    const ratio = this.ratio ?? 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = palette.ground;
    context.fillRect(0, 0, width, height);
    context.font = `${this.fontSize}px ${FONT}`;
    context.textBaseline = "middle";
    context.direction = "ltr";
    let first;
    let last;
    if (flames) {
      first = Math.floor((contentHeight - scrollTop - height) / rowHeight);
      last = Math.ceil((contentHeight - scrollTop) / rowHeight);
    } else {
      first = Math.floor(scrollTop / rowHeight);
      last = Math.ceil((scrollTop + height) / rowHeight);
    }
    first = Math.max(0, first);
    last = Math.min(layout.rowCount, last);
    // Colour by colour: to tell a canvas the colour takes longer than to fill a box.
    for (const boxes of this.boxes.values()) boxes.length = 0;
    this.labels.length = 0;
    for (let row = first; row < last; row++) {
      this.#row(scene, row, this.rowTop(row, flames, contentHeight) - scrollTop, palette);
    }
    for (const [colour, boxes] of this.boxes) {
      if (boxes.length) context.fillStyle = colour;
      for (let at = 0; at < boxes.length; at += 4) context.fillRect(boxes[at], boxes[at + 1], boxes[at + 2], boxes[at + 3]);
    }
    for (const { node, x, y, room, colour } of this.labels) this.#label(scene, node, x, y, room, colour);
  }

  /** @param {string} colour @param {number} x @param {number} y @param {number} width @param {number} height */
  #box(colour, x, y, width, height) {
    let boxes = this.boxes.get(colour);
    if (!boxes) this.boxes.set(colour, boxes = []);
    boxes.push(x, y, width, height);
  }

  /** Says what is to be drawn. @param {Scene} scene @param {number} row @param {number} top @param {import("./palette.js").Palette} palette */
  #row(scene, row, top, palette) {
    const { rowHeight, width } = this;
    const { layout, tree, matches, zoomDepth, onlyKind } = scene;
    const functions = tree.functions.list;
    const fills = /** @type {string[]} */ (this.fills);
    const faint = /** @type {string[]} */ (this.faint);
    const callers = /** @type {string[]} */ (this.callers);
    const tall = rowHeight - 1;
    const ratio = this.ratio ?? 1;
    const onePixel = 1 / ratio;
    for (let box = layout.rows[row]; box < layout.rows[row + 1]; box++) {
      const node = layout.node.data[box];
      // Edges on device pixels: sharp in every box, and no grey seams between neighbours.
      const x = Math.round(Math.max(0, layout.x.data[box]) * ratio) / ratio;
      const right = Math.min(width, layout.x.data[box] + layout.width.data[box]);
      const wide = Math.max(Math.round(right * ratio) / ratio - x, onePixel);
      const drawn = wide > 3 ? wide - onePixel : wide;
      if (node === ELIDED) {
        this.#box(palette.elided, x, top + Math.round(tall * 0.3), drawn, Math.round(tall * 0.4));
        continue;
      }
      let text = palette.text;
      let fill = /** @type {string} */ (this.rootFill);
      if (node !== 0) {
        const fn = functions[tree.fn.data[node]];
        if (matches && matches[tree.fn.data[node]]) {
          fill = palette.match;
          text = palette.match_text;
        } else if (tree.before) {
          const step = CHANGE_STEPS + Math.round(tree.change(node) * CHANGE_STEPS);
          const faintly = matches || (onlyKind && onlyKind !== fn.kind);
          fill = (faintly ? this.faintChanges : this.changes)?.[step] ?? palette.elided;
          if (faintly) text = /** @type {string} */ (this.faintText);
        } else if (matches || (onlyKind && onlyKind !== fn.kind)) {
          fill = faint[fn.colour];
          text = /** @type {string} */ (this.faintText);
        } else {
          fill = (row < zoomDepth ? callers : fills)[fn.colour];
        }
      }
      this.#box(fill, x, top, drawn, tall);
      if (wide >= NARROWEST_LABEL) {
        this.labels.push({ node, x: x + PADDING, y: top + tall / 2 + 0.5, room: wide - 2 * PADDING, colour: text });
      }
    }
  }

  /** @param {Scene} scene @param {number} node @param {number} x @param {number} y @param {number} room
   * @param {string} colour */
  #label(scene, node, x, y, room, colour) {
    const { context } = this;
    const fn = node === 0 ? null : scene.tree.functions.list[scene.tree.fn.data[node]];
    const label = fn ? fn.label.slice(0, MOST_LETTERS) : scene.rootLabel;
    const wide = this.#widthOf(label);
    context.fillStyle = colour;
    if (wide > room) {
      const cut = this.#shortened(label, wide, room);
      if (cut) context.fillText(cut, x, y);
      return;
    }
    context.fillText(label, x, y);
    const left = room - wide - 8;
    if (!fn || !fn.module || left < 30) return;
    const module = fn.moduleLabel.slice(0, MOST_LETTERS);
    const moduleWidth = this.#widthOf(module);
    context.globalAlpha = 0.72;
    const text = moduleWidth <= left ? module : this.#shortened(module, moduleWidth, left);
    if (text) context.fillText(text, x + wide + 8, y);
    context.globalAlpha = 1;
  }

  /** @param {string} text */
  #widthOf(text) {
    let width = this.widths.get(text);
    if (width === undefined) {
      width = this.context.measureText(text).width;
      this.widths.set(text, width);
    }
    return width;
  }

  /** As many letters as have room, and an ellipsis.
   * @param {string} text @param {number} wide its width @param {number} room */
  #shortened(text, wide, room) {
    const ellipsis = this.#widthOf("…");
    let count = Math.floor(((room - ellipsis) / wide) * text.length);
    while (count > 0 && this.context.measureText(text.slice(0, count)).width + ellipsis > room) count--;
    return count > 0 ? `${text.slice(0, count)}…` : "";
  }
}
