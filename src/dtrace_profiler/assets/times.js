// When the samples were taken: rows of (slot of 20 ms, thread, node, value), nearly in their order, the newest ones
// (`formats/page_times.py`); what a range of time holds, and how much was going on when.

import { Column } from "./columns.js";
import { Values } from "./values.js";

/** @typedef {{base_ms: number, slot_ms: number, count: number, dropped: number, packed: string}} PackedTimes */
/** @typedef {{base_ms: number, slot: number[], thread: number[], node: number[], value: number[], drop?: number}}
 *  NewTimes */
/** @typedef {{from: number, to: number}} Range seconds since `Times.baseMs`, `from` < `to` */

export const SLOT_MS = 20;
export const SLOTS_A_SECOND = 1000 / SLOT_MS;
/** Samples come this much out of order at most: each processor's are read in their turn. */
const DISORDER_SLOTS = 10 * SLOTS_A_SECOND;

export class Times {
  /** @param {"samples" | "nanoseconds"} unit */
  constructor(unit) {
    this.alike = unit === "samples";
    /** UNIX epoch of slot 0; 0 until there is a sample. */
    this.baseMs = 0;
    this.slot = new Column(Int32Array);
    this.thread = new Column(Int32Array);
    /** As in `Store.values`; -2 - node of one in `Store.elided`. */
    this.node = new Column(Int32Array);
    this.value = new Column(this.alike ? Int32Array : Float64Array);
    /** The slot after the last one. */
    this.end = 0;
    /** @type {NewTimes[] | null} what has come while packed rows are unpacked */
    this.waiting = null;
    /** How many rows have gone from the front. */
    this.dropped = 0;
    /** Second → value, of all threads and of each: also of rows that have gone. */
    this.seconds = new Column(Float64Array);
    /** @type {Map<number, Column>} */
    this.threadSeconds = new Map();
  }

  get length() {
    return this.slot.length;
  }

  /** The second from which on all rows are there. */
  get firstSecond() {
    return this.dropped && this.length ? Math.ceil(this.slot.data[0] / SLOTS_A_SECOND) : 0;
  }

  /** @param {NewTimes} columns */
  extend(columns) {
    if (this.waiting) {
      this.waiting.push(columns);
      return;
    }
    const old = this.length;
    this.baseMs = columns.base_ms;
    this.slot.extend(columns.slot);
    this.thread.extend(columns.thread);
    this.node.extend(columns.node);
    this.value.extend(columns.value);
    this.#count(old);
    if (columns.drop) {
      for (const column of [this.slot, this.thread, this.node, this.value]) column.drop(columns.drop);
      this.dropped += columns.drop;
    }
  }

  /** Takes packed rows. What comes meanwhile waits. @param {PackedTimes} packed */
  async unpack(packed) {
    /** @type {NewTimes[]} */
    const waiting = this.waiting = [];
    const text = atob(packed.packed);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const data = await new Response(stream).arrayBuffer();
    const { count } = packed;
    [this.slot, this.thread, this.node].forEach((column, index) => {
      column.extend(new Int32Array(data, 4 * index * count, count));
    });
    const values = data.slice(12 * count);
    this.value.extend(this.alike ? new Int32Array(values) : new Float64Array(values));
    this.baseMs = packed.base_ms;
    this.dropped = packed.dropped;
    this.#count(0);
    this.waiting = null;
    for (const columns of waiting) this.extend(columns);
  }

  /** @param {number} from the first new row */
  #count(from) {
    const { slot, thread, value, seconds, threadSeconds } = this;
    for (let row = from; row < slot.length; row++) {
      const at = slot.data[row];
      const second = Math.floor(at / SLOTS_A_SECOND);
      if (at >= this.end) this.end = at + 1;
      if (second >= seconds.length) seconds.resize(second + 1);
      seconds.data[second] += value.data[row];
      let own = threadSeconds.get(thread.data[row]);
      if (!own) threadSeconds.set(thread.data[row], own = new Column(Float64Array));
      if (second >= own.length) own.resize(second + 1);
      own.data[second] += value.data[row];
    }
  }

  /** Calls `take` with each row of a range of slots.
   * @param {number} from @param {number} to not included @param {(row: number) => void} take */
  eachRow(from, to, take) {
    const slot = this.slot.data;
    for (let row = this.length - 1; row >= 0; row--) {
      const at = slot[row];
      if (at >= from && at < to) take(row);
      else if (at < from - DISORDER_SLOTS) break;
    }
  }

  /** Values by slot, of some threads. @param {number} from @param {number} to slots
   * @param {ReadonlySet<number> | null} threads */
  bySlot(from, to, threads) {
    const out = new Float64Array(Math.max(0, to - from));
    this.eachRow(from, to, (row) => {
      if (!threads || threads.has(this.thread.data[row])) out[this.slot.data[row] - from] += this.value.data[row];
    });
    return out;
  }
}

/** What a range of time holds, for a tree to count. */
export class RangeCounts {
  /** @param {Times} times @param {Range} range */
  constructor(times, range) {
    this.times = times;
    this.range = range;
    this.values = new Values();
    this.elided = new Values();
    this.update(range);
  }

  /** Counts anew. @param {Range} range */
  update(range) {
    const { times } = this;
    const { thread, node, value, alike } = times;
    this.range = range;
    this.values = new Values();
    this.elided = new Values();
    times.eachRow(Math.round(range.from * SLOTS_A_SECOND), Math.round(range.to * SLOTS_A_SECOND), (row) => {
      const amount = value.data[row];
      const at = node.data[row];
      const square = alike ? amount : amount * amount;
      if (at >= 0) this.values.addOne(thread.data[row], at, amount, square);
      else this.elided.addOne(thread.data[row], -2 - at, amount, square);
    });
  }

  /** How many samples there are of which thread. @returns {Map<number, number>} */
  samples() {
    /** @type {Map<number, number>} */
    const out = new Map();
    const { thread, value, alike } = this.times;
    this.times.eachRow(Math.round(this.range.from * SLOTS_A_SECOND), Math.round(this.range.to * SLOTS_A_SECOND),
      (row) => {
        const of = thread.data[row];
        out.set(of, (out.get(of) ?? 0) + (alike ? value.data[row] : 1));
      });
    return out;
  }
}
