// Drawing what was going on when: samples a second in all, of each thread, or by slots of 20 ms.

import { PALETTES, mixed } from "./palette.js";
import { SLOTS_A_SECOND } from "./times.js";

/** @typedef {import("./times.js").Times} Times */
/** @typedef {import("./times.js").Range} Range */
/** @typedef {import("./address.js").Face} Face */

/** @typedef {object} TimeScene what is drawn
 * @property {Times} times
 * @property {Map<number, number>} lost second → count
 * @property {number} span seconds from the left to the right edge
 * @property {Face} face
 * @property {{index: number, label: string}[]} lanes threads that are chosen, the busiest first
 * @property {ReadonlySet<number> | null} threads
 * @property {Range | null} range
 * @property {Range | null} than
 * @property {{second: number, slot: number} | null} mark the one end of a range that has been chosen
 * @property {{second: number, slot: number} | null} cursor
 * @property {number} firstSecond before it the samples' times are no longer kept
 */

export const LANE = 15;
const AXIS = 15;
const PLOT = 44;
const HEAT_ROW = 2;
const HEAT_STEPS = 12;
const LEAST_TICK = 70;
const TICKS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/** @type {Record<"light" | "dark", {bar: string, lost: string, than: string, chosen: string, heat: string}>} */
const COLOURS = {
  light: { bar: "#8fb9e8", lost: "#d6453a", than: "#8a6d00", chosen: "#1f62b5", heat: "#123c8c" },
  dark: { bar: "#3f6ea8", lost: "#f0695e", than: "#e6c34a", chosen: "#7db2f7", heat: "#a6d4ff" },
};

/** How high the picture is. @param {TimeScene} scene */
export function heightOf(scene) {
  if (scene.face === "threads") return AXIS + LANE * Math.max(1, scene.lanes.length);
  return AXIS + (scene.face === "heat" ? SLOTS_A_SECOND * HEAT_ROW : PLOT);
}

/** What lies under a point: a second, and in the heat map a slot of it.
 * @param {TimeScene} scene @param {number} width @param {number} x @param {number} y */
export function spotAt(scene, width, x, y) {
  const second = Math.min(scene.span, Math.max(0, (x / width) * scene.span));
  const slot = SLOTS_A_SECOND - 1 - Math.floor(y / HEAT_ROW);
  return { second, slot: scene.face === "heat" ? Math.min(SLOTS_A_SECOND - 1, Math.max(0, slot)) : 0 };
}

/** @param {CanvasRenderingContext2D} context transformed to CSS pixels @param {TimeScene} scene
 * @param {number} width @param {"light" | "dark"} theme */
export function drawTime(context, scene, width, theme) {
  const { text, ground } = PALETTES[theme];
  const colours = COLOURS[theme];
  const height = heightOf(scene);
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  if (scene.face === "threads") drawLanes(context, scene, width, theme);
  else if (scene.face === "heat") drawHeat(context, scene, width, theme);
  else drawBars(context, [scene.times.seconds], scene, width, PLOT, colours.bar);
  drawLost(context, scene, width, colours.lost);
  const x = (/** @type {number} */ second) => (second / scene.span) * width;
  const plot = height - AXIS;
  if (scene.firstSecond) {
    context.fillStyle = mixed(text, ground, 0.12);
    context.fillRect(0, plot - 3, x(scene.firstSecond), 3);
  }
  for (const [range, colour, letter] of /** @type {[Range | null, string, string][]} */ ([
    [scene.than, colours.than, "B"], [scene.range, colours.chosen, scene.than ? "A" : ""]])) {
    if (!range) continue;
    const left = x(range.from);
    const wide = Math.max(1.5, x(range.to) - left);
    context.globalAlpha = 0.16;
    context.fillStyle = colour;
    context.fillRect(left, 0, wide, plot);
    context.globalAlpha = 1;
    context.fillRect(left - 1, 0, 1.5, plot);
    context.fillRect(left + wide - 0.5, 0, 1.5, plot);
    context.font = "bold 11px system-ui, sans-serif";
    context.textBaseline = "top";
    if (letter) context.fillText(letter, left + 3, 1);
  }
  for (const spot of [scene.mark, scene.cursor]) {
    if (!spot) continue;
    context.fillStyle = text;
    context.fillRect(x(spot.second), 0, 1, plot);
    if (scene.face === "heat") {
      context.strokeStyle = text;
      const top = (SLOTS_A_SECOND - 1 - spot.slot) * HEAT_ROW;
      context.strokeRect(x(Math.floor(spot.second)) - 1, top - 1, Math.max(4, x(1) + 2), HEAT_ROW + 2);
    }
  }
  drawAxis(context, scene, width, plot, mixed(text, ground, 0.65), mixed(text, ground, 0.2));
}

/** A lane below the other, all of one scale, so that they can be compared. A bar is a second; of more seconds than
 * pixels, the mean of those that share one.
 * @param {CanvasRenderingContext2D} context @param {(import("./columns.js").Column | undefined)[]} lanes seconds of each
 * @param {TimeScene} scene @param {number} width @param {number} height of a lane @param {string} colour */
function drawBars(context, lanes, scene, width, height, colour) {
  const each = Math.max(1, Math.ceil(scene.span / width));
  const bars = lanes.map((seconds) => {
    const bins = new Float64Array(seconds ? Math.ceil(seconds.length / each) : 0);
    for (let second = 0; seconds && second < seconds.length; second++) {
      bins[Math.floor(second / each)] += seconds.data[second] / each;
    }
    return bins;
  });
  const most = bars.reduce((most, bins) => bins.reduce((more, bin) => Math.max(more, bin), most), 0);
  context.fillStyle = colour;
  const wide = (each / scene.span) * width;
  bars.forEach((bins, lane) => bins.forEach((bin, at) => {
    if (!bin) return;
    const tall = Math.max(1, (bin / most) * (height - 4));
    context.fillRect(at * wide, (lane + 1) * height - tall, Math.max(1, wide - (wide > 4 ? 1 : 0)), tall);
  }));
}

/** @param {CanvasRenderingContext2D} context @param {TimeScene} scene @param {number} width
 * @param {"light" | "dark"} theme */
function drawLanes(context, scene, width, theme) {
  const { text, ground } = PALETTES[theme];
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const seconds = scene.lanes.map(({ index }) => scene.times.threadSeconds.get(index));
  drawBars(context, seconds, scene, width, LANE, COLOURS[theme].bar);
  scene.lanes.forEach(({ label }, lane) => {
    context.fillStyle = mixed(text, ground, 0.12);
    context.fillRect(0, lane * LANE + LANE - 1, width, 1);
    const shown = label.slice(0, 60);
    context.globalAlpha = 0.8;
    context.fillStyle = ground;
    context.fillRect(0, lane * LANE, context.measureText(shown).width + 8, LANE - 1);
    context.globalAlpha = 1;
    context.fillStyle = text;
    context.fillText(shown, 4, lane * LANE + LANE / 2);
  });
}

/** @param {CanvasRenderingContext2D} context @param {TimeScene} scene @param {number} width
 * @param {"light" | "dark"} theme */
function drawHeat(context, scene, width, theme) {
  const { ground } = PALETTES[theme];
  const each = Math.max(1, Math.ceil(scene.span / width));
  const columns = Math.ceil(scene.span / each);
  const cells = new Float64Array(columns * SLOTS_A_SECOND);
  const slots = scene.times.bySlot(0, Math.ceil(scene.span) * SLOTS_A_SECOND, scene.threads);
  let most = 0;
  for (let slot = 0; slot < slots.length; slot++) {
    if (!slots[slot]) continue;
    const cell = Math.floor(slot / SLOTS_A_SECOND / each) * SLOTS_A_SECOND + (slot % SLOTS_A_SECOND);
    cells[cell] += slots[slot];
    most = Math.max(most, cells[cell]);
  }
  const ramp = Array.from({ length: HEAT_STEPS + 1 }, (_, step) =>
    mixed(COLOURS[theme].heat, ground, step ? 0.12 + (0.88 * step) / HEAT_STEPS : 0.03));
  const wide = (each / scene.span) * width;
  for (let column = 0; column < columns; column++) {
    for (let slot = 0; slot < SLOTS_A_SECOND; slot++) {
      const step = Math.ceil((cells[column * SLOTS_A_SECOND + slot] / most) * HEAT_STEPS) || 0;
      context.fillStyle = ramp[step];
      context.fillRect(column * wide, (SLOTS_A_SECOND - 1 - slot) * HEAT_ROW, Math.max(1, wide - (wide > 4 ? 1 : 0)),
        HEAT_ROW);
    }
  }
}

/** A second in which something was lost is marked from top to bottom.
 * @param {CanvasRenderingContext2D} context @param {TimeScene} scene @param {number} width @param {string} colour */
function drawLost(context, scene, width, colour) {
  const plot = heightOf(scene) - AXIS;
  const wide = Math.max(2, width / scene.span);
  context.fillStyle = colour;
  for (const second of scene.lost.keys()) {
    const left = (second / scene.span) * width;
    context.fillRect(left, 0, wide, 3);
    context.globalAlpha = 0.14;
    context.fillRect(left, 3, wide, plot - 3);
    context.globalAlpha = 1;
  }
}

/** @param {CanvasRenderingContext2D} context @param {TimeScene} scene @param {number} width @param {number} top
 * @param {string} colour @param {string} line */
function drawAxis(context, scene, width, top, colour, line) {
  const tick = TICKS_S.find((seconds) => (seconds / scene.span) * width >= LEAST_TICK) ?? 86400 * 7;
  context.fillStyle = line;
  context.fillRect(0, top, width, 1);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  for (let second = 0; second < scene.span; second += tick) {
    const left = Math.round((second / scene.span) * width);
    context.fillStyle = line;
    context.fillRect(left, top, 1, 4);
    context.fillStyle = colour;
    if (left + 40 < width) context.fillText(clock(second), left + 3, top + 2);
  }
}

/** Seconds since the start as a person reads them: `7 s`, `1:05`, `2:00:07`.
 * @param {number} seconds */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const rest = Math.round((seconds - whole) * 100) / 100;
  const part = rest ? rest.toFixed(2).slice(1) : "";
  if (whole < 60) return `${whole}${part} s`;
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}${part}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}${part}`;
}
