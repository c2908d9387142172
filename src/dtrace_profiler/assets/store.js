// All that the page knows of a profile: strings, frames, nodes, threads and values, as columns that only grow.
//
// Filled by one snapshot (`formats/page_data.py` describes it), then by deltas of the same form: new strings, frames,
// nodes and threads once, and what was added to the values. Ids never change their meaning.

import { Column } from "./columns.js";
import { Times } from "./times.js";
import { Values } from "./values.js";

/** @typedef {{process_id: number, thread_id: number, name: string, samples: number, labels?: Record<string, string>}} Thread
 *  `samples`: how many samples it has. */
/** @typedef {{engine: string, unit: "samples" | "nanoseconds", frequency_hz: number, start_ms: number,
 *             live: "" | "running" | "ended", duration_ns: number, target: string, system: string, versions: Record<string, string>,
 *             losses: Record<string, number>,
 *             loss_words: Record<string, string>, notes: string[], title: string, saves?: string[],
 *             keep_s?: number}} Meta
 *  `saves`: formats that the profiler can be asked for; `keep_s`: it keeps only the last so many seconds; 0: all */
/** @typedef {{name: number[], module: number[], file: number[], line: number[], first_line: number[],
 *             kind: number[], glue: number[]}} FrameColumns `name`, `module`, `file`: indices of strings */
/** @typedef {import("./values.js").ValueColumns} ValueColumns */
/** @typedef {import("./times.js").PackedTimes} PackedTimes */
/** @typedef {import("./times.js").NewTimes} NewTimes */
/** @typedef {{now: string, then: string}} Sides how what is looked at is called, and what it is compared with */
/** @typedef {{version: number, seq: number, strings: string[], frames: FrameColumns,
 *             nodes: {parent: number[], frame: number[]}, threads: Thread[], values: ValueColumns,
 *             elided: ValueColumns, elided_nodes: number, times: PackedTimes | null,
 *             lost: {second: number[], count: number[]}, meta: Meta,
 *             before?: {values: ValueColumns, elided: ValueColumns}, sides?: Sides}} Snapshot
 *  `before`: another profile, which this one is compared with (`formats/comparison_page.py`) */
/** @typedef {Partial<Omit<Snapshot, "seq" | "times" | "before" | "sides">> & {seq: number, times?: NewTimes | PackedTimes | null}} Delta
 *  `threads` and `lost` replace what was there, `values`, `elided` and `times` are added to it. */

export const DATA_VERSION = 1;

export class Store {
  /** @param {Snapshot} snapshot */
  constructor(snapshot) {
    if (snapshot.version !== DATA_VERSION) {
      throw new Error(`This page reads profiles of version ${DATA_VERSION}, and this one is of ${snapshot.version}.`);
    }
    /** @type {string[]} */
    this.strings = [];
    this.frames = {
      name: new Column(Int32Array),
      module: new Column(Int32Array),
      file: new Column(Int32Array),
      line: new Column(Int32Array),
      first_line: new Column(Int32Array),
      kind: new Column(Uint8Array),
      glue: new Column(Uint8Array),
    };
    this.nodes = { parent: new Column(Int32Array), frame: new Column(Int32Array) };
    /** @type {Thread[]} */
    this.threads = [];
    /** Values of a node itself. */
    this.values = new Values();
    /** Values of a node's callees that were too small for this file; node -1: of the root's. */
    this.elided = new Values();
    this.elidedNodes = 0;
    /** @type {import("./values.js").Counted | null} */
    this.before = null;
    if (snapshot.before) {
      this.before = { values: new Values(), elided: new Values() };
      this.before.values.add(snapshot.before.values);
      this.before.elided.add(snapshot.before.elided);
    }
    /** @type {Sides} */
    this.sides = snapshot.sides ?? { now: "A", then: "B" };
    this.times = new Times(snapshot.meta.unit);
    /** Second → how much was lost in it. */
    this.lost = new Map();
    this.meta = snapshot.meta;
    this.seq = -1;
    this.apply(snapshot);
    /** When the times of the snapshot are there, too. */
    this.timed = snapshot.times ? this.times.unpack(snapshot.times) : Promise.resolve();
  }

  /** Takes what is new. One that is known already is left alone, so that nothing is counted twice.
   * @param {Delta} delta
   * @returns {boolean} whether it was new */
  apply(delta) {
    if (delta.seq <= this.seq) return false;
    this.seq = delta.seq;
    if (delta.strings) for (const text of delta.strings) this.strings.push(text);
    if (delta.frames) {
      for (const name of /** @type {(keyof FrameColumns)[]} */ (Object.keys(this.frames))) {
        this.frames[name].extend(delta.frames[name]);
      }
    }
    if (delta.nodes) {
      this.nodes.parent.extend(delta.nodes.parent);
      this.nodes.frame.extend(delta.nodes.frame);
    }
    if (delta.threads) this.threads = delta.threads;
    if (delta.values) this.values.add(delta.values);
    if (delta.elided) this.elided.add(delta.elided);
    if (delta.times && "slot" in delta.times) this.times.extend(delta.times);
    if (delta.lost) {
      const { second, count } = delta.lost;
      this.lost = new Map(second.map((at, index) => [at, count[index]]));
    }
    if (delta.elided_nodes) this.elidedNodes = delta.elided_nodes;
    if (delta.meta) this.meta = delta.meta;
    return true;
  }

  get nodeCount() {
    return this.nodes.parent.length;
  }

  get frameCount() {
    return this.frames.name.length;
  }

  /** How many samples the profile has.
   * @param {ReadonlySet<number> | null} threads only of these; null: of all */
  samples(threads) {
    let count = 0;
    this.threads.forEach((thread, index) => {
      if (!threads || threads.has(index)) count += thread.samples;
    });
    return count;
  }
}
