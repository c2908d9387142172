// The colours of the graph, by kind of frame. The one place: the page, the SVG and the tests read them from here.
//
// Six shades a kind, so that neighbours differ a little; which one is decided by the function's module and name, so
// that a function keeps its colour in every picture. The kinds differ in lightness as well as in hue: they stay apart
// for people with protan, deutan and tritan vision, and text on every shade has a contrast of at least 4.5
// (tests/page/test_palette.py computes both).
//
// The object below is read by Python as JSON (formats/palette.py): keep it plain.

/** @typedef {"python" | "native" | "inlined" | "kernel" | "unknown"} Kind */
/** @typedef {{text: string, ground: string, elided: string, match: string, match_text: string,
 *             shades: Record<Kind, string[]>}} Palette */

/** @type {Record<"light" | "dark", Palette>} */
export const PALETTES = {
  "light": {
    "text": "#16202c",
    "ground": "#ffffff",
    "elided": "#d9dee4",
    "match": "#4b2fa8",
    "match_text": "#ffffff",
    "shades": {
      "python": ["#65a9e7", "#76a7ed", "#6fadee", "#7eacf3", "#71b3f3", "#7db2f7"],
      "native": ["#e6aa67", "#e2b165", "#e9b06a", "#e5b769", "#f0b470", "#eeba70"],
      "inlined": ["#f3e185", "#e9e88c", "#f4e88b", "#ecef92", "#fcec90", "#f7f295"],
      "kernel": ["#c96f88", "#ce727e", "#d07489", "#d47780", "#d47990", "#d97b8b"],
      "unknown": ["#bac0c6", "#bdc2c9", "#bfc5cb", "#c2c7ce", "#c4cad0", "#c7cdd3"]
    }
  },
  "dark": {
    "text": "#f4f6f8",
    "ground": "#14171c",
    "elided": "#252a32",
    "match": "#ffd84a",
    "match_text": "#191500",
    "shades": {
      "python": ["#2c5c94", "#3d5b98", "#36609a", "#445f9d", "#37659e", "#4365a2"],
      "native": ["#935115", "#915705", "#975716", "#955d0b", "#9d5b20", "#9c601a"],
      "inlined": ["#5a6949", "#576d50", "#5d6e4f", "#5a7255", "#627353", "#617658"],
      "kernel": ["#6e3869", "#763863", "#753b6b", "#7b3c66", "#794071", "#7e416e"],
      "unknown": ["#32343a", "#35363c", "#36383f", "#393a41", "#3a3c43", "#3d3e45"]
    }
  }
};

export const SHADES = 6;

/** @type {Kind[]} The order in legends and in the data. */
export const KINDS = ["python", "native", "inlined", "kernel", "unknown"];

/** @type {Record<Kind, string>} What a legend calls them. */
export const KIND_NAMES = {
  python: "Python", native: "native", inlined: "inlined", kernel: "kernel", unknown: "unknown",
};

/** @type {Record<"light" | "dark", {same: string, more: string, less: string}>} Of two profiles that are compared: red and
 *  blue, which stay apart for everyone; as light as text on them needs. */
export const DIFFERENCES = {
  light: { same: "#dfe3e8", more: "#f08a7c", less: "#72aaf2" },
  dark: { same: "#3a3f48", more: "#9c352b", less: "#2a62ab" },
};

/** Which shade a function has: FNV-1a over the UTF-16 units of its module, a nought, and its name.
 * @param {string} module
 * @param {string} name
 * @returns {number} 0 to SHADES - 1 */
export function shadeOf(module, name) {
  let hash = 0x811c9dc5;
  const text = module + "\0" + name;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % SHADES;
}

/** Two colours mixed.
 * @param {string} colour `#rrggbb`
 * @param {string} ground `#rrggbb`
 * @param {number} share of `colour`, 0 to 1
 * @returns {string} */
export function mixed(colour, ground, share) {
  let out = "#";
  for (let at = 1; at < 7; at += 2) {
    const a = parseInt(colour.slice(at, at + 2), 16);
    const b = parseInt(ground.slice(at, at + 2), 16);
    out += Math.round(a * share + b * (1 - share)).toString(16).padStart(2, "0");
  }
  return out;
}
