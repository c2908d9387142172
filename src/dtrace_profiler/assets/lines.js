// Which lines of a file the time went to.

/** @typedef {import("./tree.js").CallTree} CallTree */
/** @typedef {{self: number, total: number}} LineSums */

/** Self and total of each line of a file; a stack that holds a line twice counts once. Root-first trees only: it says
 * what is counted, and of which stacks.
 * @param {CallTree} tree @param {number} file index of a string
 * @returns {Map<number, LineSums>} */
export function linesOf(tree, file) {
  const { nodes, frames } = tree.store;
  const { counted: { values }, threads } = tree.counts;
  /** @type {Map<number, LineSums>} */
  const sums = new Map();
  /** @type {Map<number, number>} line → the last row whose stack had it */
  const seen = new Map();
  for (let row = 0; row < values.length; row++) {
    const leaf = values.node.data[row];
    if ((threads && !threads.has(values.thread.data[row])) || !tree.holds(leaf)) continue;
    const value = values.value.data[row];
    for (let node = leaf; node >= 0; node = nodes.parent.data[node]) {
      const frame = nodes.frame.data[node];
      if (frames.file.data[frame] !== file) continue;
      const line = frames.line.data[frame];
      let sum = sums.get(line);
      if (!sum) sums.set(line, sum = { self: 0, total: 0 });
      if (node === leaf) sum.self += value;
      if (seen.get(line) === row) continue;
      seen.set(line, row);
      sum.total += value;
    }
  }
  return sums;
}
