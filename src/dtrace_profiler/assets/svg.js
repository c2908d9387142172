// The small script of an SVG flame graph: click zooms, search marks. The picture is whole without it.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const XHTML = "http://www.w3.org/1999/xhtml";
  /** @param {string} id @returns {SVGElement} */
  const part = (id) => /** @type {any} */ (document.getElementById(id));

  /** @typedef {{group: SVGElement, rect: Element, text: Element | undefined, name: string, where: string,
   *             about: string, x: number, width: number, y: number}} Box
   *  `where` is what a search looks at: name, kind and module, file */

  const frames = part("frames");
  const width = Number(frames.getAttribute("data-width"));
  const letter = Number(frames.getAttribute("data-letter"));
  /** @type {Box[]} the root first, each before its callees */
  const boxes = [...frames.children].map((group) => {
    const [title, rect, text] = group.children;
    const lines = (title.textContent ?? "").split("\n");
    return {
      group: /** @type {SVGElement} */ (group), rect, text, name: lines[0], where: lines.slice(0, 3).join("\n"),
      about: lines.filter(Boolean).join(" · "),
      x: Number(rect.getAttribute("x")), width: Number(rect.getAttribute("width")),
      y: Number(rect.getAttribute("y")),
    };
  });
  const details = part("details");
  const quiet = details.textContent;
  let zoomed = boxes[0];

  /** As much of a name as fits, as when the picture was made. @param {string} name @param {number} room */
  function fitted(name, room) {
    const most = Math.floor((room - 6) / letter);
    if (most < 3) return "";
    let used = 0;
    let out = "";
    for (const c of name) { // whole characters, not halves
      used += (c.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1;
      if (used > most) return out.slice(0, -1) + "…";
      out += c;
    }
    return out;
  }

  /** @param {Box} to */
  function zoom(to) {
    zoomed = to;
    const scale = width / to.width;
    for (const box of boxes) {
      const left = Math.max(0, (box.x - to.x) * scale);
      const right = Math.min(width, (box.x + box.width - to.x) * scale);
      const shown = right - left > 0.05;
      box.group.style.display = shown ? "" : "none";
      if (!shown) continue;
      box.rect.setAttribute("x", left.toFixed(2));
      box.rect.setAttribute("width", (right - left).toFixed(2));
      box.group.classList.toggle("caller", box.y > to.y);
      let { text } = box;
      const label = fitted(box.name, right - left);
      if (!text && label) {
        text = box.text = document.createElementNS(SVG, "text");
        text.setAttribute("y", String(box.y + 12.5));
        box.group.append(text);
      }
      if (text) {
        text.setAttribute("x", (left + 3).toFixed(2));
        text.textContent = label;
      }
    }
    reset.style.display = to === boxes[0] ? "none" : "";
  }

  /** @param {string} query */
  function search(query) {
    /** @type {((where: string) => boolean) | null} */
    let test = null;
    const expression = /^\/(.+?)(?:\/([a-z]*))?$/su.exec(query.trim());
    try {
      if (expression) {
        const pattern = new RegExp(expression[1], (expression[2] ?? "").replace(/[gy]/g, "") + "m");
        test = (where) => pattern.test(where);
      } else if (query.trim()) {
        const wanted = query.trim().toLowerCase();
        test = (where) => where.toLowerCase().includes(wanted);
      }
    } catch {
      found.textContent = "not a regular expression";
      return;
    }
    frames.classList.toggle("searched", test !== null);
    const hits = boxes.filter((box) => {
      const hit = Boolean(test?.(box.where)) && box !== boxes[0];
      box.group.classList.toggle("hit", hit);
      return hit;
    });
    // Each stack counts once: a hit inside one that is counted already adds nothing.
    let share = 0;
    let end = -1;
    for (const box of hits.sort((a, b) => a.x - b.x || b.width - a.width)) {
      if (box.x + box.width <= end + 0.005) continue;
      share += box.width;
      end = box.x + box.width;
    }
    found.textContent = test ? `matched: ${((share / width) * 100).toFixed(2)} %` : "";
  }

  const tools = part("tools");
  const found = part("found");
  const reset = part("reset");
  const holder = document.createElementNS(SVG, "foreignObject");
  holder.setAttribute("x", String(width - 200));
  holder.setAttribute("width", "200");
  holder.setAttribute("height", "26");
  const input = /** @type {HTMLInputElement} */ (document.createElementNS(XHTML, "input"));
  input.setAttribute("type", "search");
  input.setAttribute("placeholder", "Search: text or /regex/");
  input.setAttribute("aria-label", "Search");
  holder.append(input);
  tools.append(holder);
  reset.style.display = "none";
  reset.style.cursor = "pointer";
  reset.addEventListener("click", () => zoom(boxes[0]));
  reset.addEventListener("keydown", (event) => {
    if (event.key === "Enter") zoom(boxes[0]);
  });
  input.addEventListener("input", () => search(input.value));

  const boxOfGroup = new Map(boxes.map((box) => [/** @type {Element} */ (box.group), box]));
  /** @param {EventTarget | null} target */
  const boxOf = (target) => {
    const group = target instanceof Element && target.closest("#frames > g");
    return group ? boxOfGroup.get(group) : undefined;
  };
  frames.addEventListener("click", (event) => {
    const box = boxOf(event.target);
    if (box) zoom(box);
  });
  frames.addEventListener("mouseover", (event) => {
    const box = boxOf(event.target);
    if (box) details.textContent = box.about;
  });
  frames.addEventListener("mouseout", () => {
    details.textContent = quiet;
  });
  document.addEventListener("keydown", (event) => {
    const find = (event.ctrlKey || event.metaKey) && event.key === "f";
    if (find || (event.key === "/" && event.target !== input)) {
      event.preventDefault();
      input.focus();
      input.select();
    } else if (event.key === "Escape") {
      if (input.value) {
        input.value = "";
        search("");
      } else if (zoomed !== boxes[0]) {
        zoom(boxes[0]);
      }
    }
  });
})();
