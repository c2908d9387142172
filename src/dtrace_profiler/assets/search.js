// What the search box asks for: text, a /regular expression/, or one "name" in quotes.

/** @typedef {import("./functions.js").ProfiledFunction} ProfiledFunction */

/** @typedef {{test: ((fn: ProfiledFunction) => boolean) | null, error: string}} Query
 *  `test` is null for an empty search and for one that can't be understood (then `error` says why). */

/** @param {string} text
 * @returns {Query} */
export function parseQuery(text) {
  const query = text.trim();
  if (!query) return { test: null, error: "" };
  const expression = /^\/(.+?)(?:\/([a-z]*))?$/su.exec(query);
  if (expression) {
    try {
      const flags = [...new Set(expression[2] ?? "")].filter((flag) => flag !== "g" && flag !== "y").join("");
      const pattern = new RegExp(expression[1], flags);
      return { test: (fn) => pattern.test(fn.name) || pattern.test(fn.module) || pattern.test(fn.file), error: "" };
    } catch (error) {
      return { test: null, error: error instanceof Error ? error.message : String(error) };
    }
  }
  const quoted = /^"(.+)"$/su.exec(query);
  if (quoted) return { test: (fn) => fn.name === quoted[1] || fn.label === quoted[1], error: "" };
  const wanted = query.toLowerCase();
  return {
    // The module and the name together, so that `json.dumps` is found; a line break no text can have before the file.
    test: (fn) => (fn.lowered ??= `${fn.module}.${fn.name}\n${fn.file}`.toLowerCase()).includes(wanted),
    error: "",
  };
}

/** @param {Query} query
 * @param {readonly ProfiledFunction[]} functions
 * @returns {Uint8Array | null} function → 1 where it matches; null without a search */
export function matching(query, functions) {
  const { test } = query;
  if (!test) return null;
  return Uint8Array.from(functions, (fn) => (test(fn) ? 1 : 0));
}
