// Dark or light: what the system has, until somebody chooses.

const KEY = "dtrace-profiler.theme";

export class Theme {
  /** @param {(name: "light" | "dark") => void} show */
  constructor(show) {
    this.show = show;
    /** @type {"light" | "dark"} */
    this.name = "light";
  }

  choose() {
    let kept = null;
    try {
      kept = localStorage.getItem(KEY);
    } catch {
      // No storage for files in this browser: the system's choice holds.
    }
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    this.#set(kept === "dark" || kept === "light" ? kept : system.matches ? "dark" : "light");
    if (!kept) system.addEventListener("change", () => this.#set(system.matches ? "dark" : "light"));
  }

  toggle() {
    this.#set(this.name === "dark" ? "light" : "dark");
    try {
      localStorage.setItem(KEY, this.name);
    } catch {
      // As above.
    }
  }

  /** @param {"light" | "dark"} name */
  #set(name) {
    this.name = name;
    document.documentElement.dataset.theme = name;
    this.show(name);
  }
}
