"""How long pictures take to write, and the page to draw.

    python benchmarks/bench_render.py [--smoke] [--stacks N ...]

Writing: profiles of 10,000, 100,000 and 1,000,000 different stacks of up to 40 frames (made, not measured), as SVG
and as HTML: seconds and size of the file. The page: at 100,000 nodes in headless Chromium, milliseconds from the
start of its script to the end of the first frame, and from each act to the end of the frame that shows it (best,
median and worst of several), the wait for the frame included; and the CPU time of the page's main thread, with all
that a browser does to open a file. Other work on the machine makes all but the last too large. Needs Playwright and
Chromium for that part.
"""

from __future__ import annotations

import argparse
import io
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from dtrace_profiler.formats import html, page_data, svg
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

DEPTH = 40
FIGURES_MS = {"first draw": 300, "zoom": 100, "search": 100}
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()

ACTS = """async () => {
  const { page } = window.dtraceProfiler;
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const out = {};
  const measure = async (name, act) => {
    await frame();
    const began = performance.now();
    act();
    await frame();
    (out[name] ??= []).push(performance.now() - began);
  };
  const { tree } = page;
  for (let i = 0; i < 7; i++) {
    const child = tree.childrenOf(0)[i % tree.childrenOf(0).length];
    await measure("zoom", () => page.change({ zoom: page.view.nameOf(child) }));
    await measure("zoom out", () => page.change({ zoom: "" }));
    await measure("search", () => page.change({ search: i % 2 ? `function_${i}` : `/_.*${i}$/` }));
    await measure("all values anew", () => { tree.update(); page.graph.show(tree, 0); });
  }
  page.change({ search: "" });
  for (let i = 0; i < 3; i++) {
    page.view.trees.clear();
    page.view.countedAs.clear();
    await measure("leaf first", () => page.change({ leafFirst: true }));
    await measure("root first", () => page.change({ leafFirst: false }));
  }
  return out;
}"""


def made(*, stacks: int = 0, nodes: int = 0) -> Profile:
    """A profile with so many different stacks, or so many nodes. Stacks share their beginnings, as programs' do."""
    chance = random.Random(1)
    kinds = [FrameKind.PYTHON] * 5 + [FrameKind.NATIVE] * 3 + [FrameKind.INLINED, FrameKind.KERNEL]
    builder = ProfileBuilder()
    frames = [
        builder.add_frame(
            StackFrame(f"function_{i}", f"module_{i % 97}", 0, f"/src/{i % 97}.py", 1, 1, kinds[i % 10])
        )
        for i in range(5_000)
    ]
    threads = [builder.add_thread(1, 1 + i, f"worker-{i}") for i in range(4)]
    path: list[int] = []
    ends: set[int] = set()
    while len(ends) < stacks or len(builder.parent) < nodes:
        keep = min(len(path), int(chance.betavariate(2.2, 1.1) * DEPTH))
        del path[keep:]
        for _ in range(min(DEPTH - keep, 1 + int(chance.expovariate(0.5)))):
            frame = frames[int(len(frames) * chance.random() ** 2)]
            path.append(builder.add_node(path[-1] if path else -1, frame))
        if path:
            ends.add(path[-1])
            builder.add_sample(0, threads[len(ends) % 4], path[-1], chance.randrange(1, 20))
    return builder.snapshot(Meta(engine="dtrace", frequency_hz=997, target="made"))


def bench_writing(stacks: int) -> None:
    began = time.perf_counter()
    profile = made(stacks=stacks)
    print(
        f"{stacks:>9,} stacks ({len(profile.parent):,} nodes, made in {time.perf_counter() - began:.1f} s)",
        flush=True,
    )
    for name, module in (("svg", svg), ("html", html)):
        file: BinaryIO = io.BytesIO()
        began = time.perf_counter()
        module.write(profile, file)
        seconds = time.perf_counter() - began
        print(f"{'':>9} {name:<5} {seconds:6.2f} s  {file.tell() / 1e6:6.1f} MB", flush=True)


def bench_page(nodes: int, repeats: int) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        print("page: skipped, no Chromium or no Playwright")
        return
    profile = made(nodes=nodes)
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "page.html")
        with path.open("wb") as file:
            html.write(profile, file)
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1600, "height": 900}, reduced_motion="reduce")
            devtools = page.context.new_cdp_session(page)
            devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(path.as_uri())
            while not (first := page.evaluate("window.dtraceProfiler?.firstDraw")):
                time.sleep(0.02)
            times.setdefault("first draw", []).append(first)
            metrics = {row["name"]: row["value"] for row in devtools.send("Performance.getMetrics")["metrics"]}
            times.setdefault("CPU until then", []).append(1000 * metrics["TaskDuration"])
            boxes = page.evaluate("window.dtraceProfiler.page.graph.layout.node.length")
            time.sleep(0.5)
            for name, values in page.evaluate(ACTS).items():
                times.setdefault(name, []).extend(values)
            page.close()
        browser.close()
    kept = len(page_data.page_data(profile)["nodes"]["parent"])
    print(f"page of {kept:,} nodes, {boxes:,} boxes drawn at 1600 × 900, in ms:    best   median   worst   to reach")
    slow = []
    for name, values in times.items():
        middle = statistics.median(values)
        figure = FIGURES_MS.get(name)
        print(f"    {name:<20}{min(values):42.0f}{middle:9.0f}{max(values):8.0f}{figure or '':>11}")
        if figure and middle > figure:
            slow.append(name)
    if slow:
        print(f"    slower than it should be: {', '.join(slow)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes: only that it runs")
    parser.add_argument("--stacks", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    chosen = parser.parse_args()
    for stacks in [1_000] if chosen.smoke else chosen.stacks:
        bench_writing(stacks)
    bench_page(3_000 if chosen.smoke else 100_000, 1 if chosen.smoke else 5)


if __name__ == "__main__":
    main()
