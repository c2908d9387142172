// Names and numbers as a person reads them.

// Characters that would not show, would reorder their neighbours, or are no text at all.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const LONGEST = 600;

/** A name as text that is safe to show: what can't be seen or would turn the line round is written as its number.
 * @param {string} name any string, also with control characters, direction marks or halves of surrogate pairs
 * @returns {string} at most some 600 characters */
export function shown(name) {
  let text = name;
  if (text.length > LONGEST) {
    text = `${text.slice(0, LONGEST)}… (${integer(name.length)} characters)`;
  }
  if (name && !name.trim()) return "(blank)";
  return text.replace(HIDDEN, (c) => `\\u{${c.charCodeAt(0).toString(16)}}`);
}

const INTEGERS = new Intl.NumberFormat("en-US");

/** @param {number} value */
export function integer(value) {
  return INTEGERS.format(Math.round(value));
}

/** @param {number} ns nanoseconds
 * @returns {string} with three digits that count */
export function duration(ns) {
  const s = ns / 1e9;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  if (s >= 100) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  if (s >= 1) return `${s.toPrecision(3)} s`;
  if (s >= 1e-3) return `${(s * 1e3).toPrecision(3)} ms`;
  return `${(s * 1e6).toPrecision(3)} µs`;
}

/** A share of 1 as per cent.
 * @param {number} share
 * @returns {string} */
export function percent(share) {
  const value = share * 100;
  if (value === 0 || value >= 9.995) return `${value.toFixed(1)} %`;
  if (value >= 0.01) return `${value.toFixed(2)} %`;
  return "< 0.01 %";
}

/** The standard error of a share that was found by sampling. Samples that all count 1: the binomial's, √(p (1 − p) / n).
 * In general the ratio estimate's, √((1 − p)² Σw² inside + p² Σw² outside) / Σw (the same as model/top.py).
 * @param {number} value @param {number} weight Σw² of its samples; of samples that count 1: `value`
 * @param {number} whole @param {number} wholeWeight the same of all
 * @returns {number} of 1 */
export function standardError(value, weight, whole, wholeWeight) {
  if (!(whole > 0)) return 0;
  const p = value / whole;
  return Math.sqrt(Math.max(0, (1 - p) ** 2 * weight + p ** 2 * (wholeWeight - weight))) / whole;
}

/** An error as text, in percentage points.
 * @param {number} error of 1 */
export function errorText(error) {
  const points = error * 100;
  return `± ${points >= 9.95 ? points.toFixed(0) : points >= 0.995 ? points.toFixed(1) : points.toFixed(2)}`;
}

/** A difference of two shares, in percentage points. @param {number} difference of 1 */
export function pointsText(difference) {
  const points = difference * 100;
  return `${points > 0 ? "+" : points < 0 ? "−" : "±"}${Math.abs(points).toFixed(Math.abs(points) < 0.995 ? 2 : 1)}`;
}

/** A value in the profile's unit.
 * @param {number} value
 * @param {"samples" | "nanoseconds"} unit */
export function quantity(value, unit) {
  if (unit === "nanoseconds") return duration(value);
  return `${integer(value)} ${value === 1 ? "sample" : "samples"}`;
}

/** `walk_faults` as words.
 * @param {string} name */
export function words(name) {
  return shown(name).replace(/_/g, " ");
}
