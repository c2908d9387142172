// What there is to say about a box of the graph.

import { ELIDED } from "./layout.js";
import { errorText, percent, pointsText, quantity, shown, standardError } from "./text.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./graph.js").Spot} Spot */
/** @typedef {import("./tooltip.js").Description} Description */

/** A share of all that is shown, and its error, as text.
 * @param {import("./tree.js").CallTree} tree @param {number} value @param {number} weight
 * @returns {[string, string]} */
export function shareText(tree, value, weight) {
  const whole = tree.total[0];
  return [percent(whole > 0 ? value / whole : 0), errorText(standardError(value, weight, whole, tree.totalWeight[0]))];
}

/** @param {View} view @param {Spot} spot @param {number} zoomed
 * @returns {Description} */
export function describe(view, { node, above, value }, zoomed) {
  const { tree, store, state } = view;
  const whole = tree.total[0];
  const { unit } = store.meta;
  /** @type {(label: string, value: number, weight: number) => [string, string, string, string]} */
  const row = (label, v, w) => [label, ...shareText(tree, v, w), quantity(v, unit)];
  if (node === ELIDED) {
    const left = tree.elided[above];
    return {
      name: "Functions too narrow to draw", module: "", place: "", kind: null, shade: 0,
      rows: [["Together", percent(value / tree.width[0]), "", unit === "samples" && !tree.before ? `≈ ${quantity(value, unit)}` : ""]],
      remark: left > 0
        ? `${percent(left / whole)} is left out of this page because of its size.`
        : "Zoom into the frame they belong to.",
    };
  }
  if (node === 0) {
    return { name: "all", module: "", place: "", kind: null, shade: 0,
      rows: [["Total", "100.0 %", "", quantity(whole, unit)]], remark: "" };
  }
  const fn = view.functions.list[tree.fn.data[node]];
  const rows = [row(state.leafFirst ? "Here" : "Total", tree.total[node], tree.totalWeight[node])];
  if (!state.leafFirst) rows.push(row("Self", tree.self[node], tree.selfWeight[node]));
  let remark = "";
  const { before } = tree;
  if (before) {
    const then = before.total[0] > 0 ? before.total[node] / before.total[0] : 0;
    const thenError = standardError(before.total[node], before.totalWeight[node], before.total[0], before.totalWeight[0]);
    const { sides } = store;
    rows[0][0] = sides.now;
    if (rows[1]) rows[1][0] = `${sides.now}, self`;
    rows.push([sides.then, percent(then), errorText(thenError), quantity(before.total[node], unit)]);
    const nowError = standardError(tree.total[node], tree.totalWeight[node], whole, tree.totalWeight[0]);
    rows.push([`${sides.now} − ${sides.then}`, pointsText((whole > 0 ? tree.total[node] / whole : 0) - then), errorText(Math.hypot(nowError, thenError)), ""]);
    if (tree.change(node) === 0) remark = "No more than chance: within two standard errors.";
  } else if (zoomed > 0 && zoomed !== node && tree.total[zoomed] >= tree.total[node]) {
    const error = standardError(tree.total[node], tree.totalWeight[node], tree.total[zoomed], tree.totalWeight[zoomed]);
    rows.push(["Of the zoomed", percent(tree.total[node] / tree.total[zoomed]), errorText(error), ""]);
  }
  const { total, totalWeight } = view.sums().now;
  const everywhere = total[tree.fn.data[node]];
  if (!before && everywhere > tree.total[node] * (1 + 1e-9)) {
    rows.push(row("In all places", everywhere, totalWeight[tree.fn.data[node]]));
  }
  const file = shown(fn.file);
  return {
    name: fn.label,
    module: fn.moduleLabel,
    place: file ? (fn.line ? `${file}:${fn.line}` : file) : "",
    kind: fn.kind,
    shade: fn.shade,
    rows,
    remark,
  };
}

/** A stack as lines of text, root first. @param {View} view @param {number} node */
export function stackText(view, node) {
  const { tree, functions, state } = view;
  const path = tree.pathTo(node).slice(1);
  if (state.leafFirst) path.reverse();
  return path.map((at) => {
    const { name, module, file, line } = functions.list[tree.fn.data[at]];
    const place = file ? (line ? `${file}:${line}` : file) : module;
    return place ? `${name} (${place})` : name;
  }).join("\n");
}
