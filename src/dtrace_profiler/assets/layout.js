// Where the boxes are: from a tree and a range of values to flat columns of boxes, row by row.
//
// Only what can be seen is laid out: children that lie outside the range or are narrower than `narrowest` cost
// nothing below themselves, so that the work follows the screen's size, not the tree's.

import { Column } from "./columns.js";

/** @typedef {import("./tree.js").CallTree} CallTree */

/** A box that stands for several too narrow ones (or for what this file leaves out) has this for its node. */
export const ELIDED = -1;

/** Sums of shares are off by less than this many pixels: what ends here at an edge lies outside. */
const EDGE = 0.001;

export class Layout {
  constructor() {
    /** Node of the tree, or ELIDED. */
    this.node = new Column(Int32Array);
    /** Left edge in pixels; may lie outside the picture. */
    this.x = new Column(Float64Array);
    this.width = new Column(Float64Array);
    /** Row r: boxes `rows[r]` up to `rows[r + 1]`, from left to right. */
    this.rows = [0];
    /** The tree node that an elided box hangs on, otherwise the parent. */
    this.above = new Column(Int32Array);
  }

  get rowCount() {
    return this.rows.length - 1;
  }

  /** The box under a point.
   * @param {number} row @param {number} x
   * @returns {number} its index, -1 where there is none */
  boxAt(row, x) {
    if (row < 0 || row >= this.rowCount) return -1;
    let low = this.rows[row];
    let high = this.rows[row + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.x.data[middle] + this.width.data[middle] <= x) low = middle + 1;
      else high = middle;
    }
    return low < this.rows[row + 1] && this.x.data[low] <= x ? low : -1;
  }

  /** The box of a node, -1 where it has none.
   * @param {CallTree} tree @param {number} node */
  boxOf(tree, node) {
    const row = tree.depth.data[node];
    if (row >= this.rowCount) return -1;
    for (let box = this.rows[row]; box < this.rows[row + 1]; box++) if (this.node.data[box] === node) return box;
    return -1;
  }

  /** @param {number} node @param {number} above @param {number} x @param {number} width */
  push(node, above, x, width) {
    this.node.push(node);
    this.above.push(above);
    this.x.push(x);
    this.width.push(width);
  }
}

/**
 * @param {CallTree} tree
 * @param {object} options
 * @param {number} options.from value at the left edge
 * @param {number} options.to value at the right edge
 * @param {number} options.width pixels
 * @param {number} options.narrowest pixels
 * @returns {Layout}
 */
export function layOut(tree, { from, to, width, narrowest }) {
  const layout = new Layout();
  if (!(tree.width[0] > 0) || !(to > from) || !(width > 0)) return layout;
  const scale = width / (to - from);
  layout.push(0, -1, -from * scale, tree.width[0] * scale);
  layout.rows.push(1);
  const { width: values, elidedWidth: elided, children, childStart } = tree;
  let begin = 0;
  let end = 1;
  while (begin < end) {
    for (let box = begin; box < end; box++) {
      const node = layout.node.data[box];
      if (node < 0) continue;
      let x = layout.x.data[box];
      let narrow = 0;
      const last = childStart[node + 1];
      for (let at = childStart[node]; at < last && x < width - EDGE; at++) {
        const child = children[at];
        const wide = values[child] * scale;
        const left = x + wide <= EDGE;
        if (left || wide < narrowest) {
          narrow = left ? 0 : narrow + wide;
        } else {
          if (narrow >= 1) layout.push(ELIDED, node, x - narrow, narrow);
          narrow = 0;
          layout.push(child, node, x, wide);
        }
        x += wide;
      }
      narrow += elided[node] * scale;
      if (narrow >= 1 && x < width - EDGE) layout.push(ELIDED, node, x + elided[node] * scale - narrow, narrow);
    }
    begin = end;
    end = layout.node.length;
    if (end > begin) layout.rows.push(end);
  }
  return layout;
}
