"""The live view: how old a picture is, what an update costs the page, and what serving costs us.

    python benchmarks/bench_live.py [--smoke] [PART ...]

latency     a Python program under the real DTrace at 99 Hz, watched in headless Chromium: milliseconds from a
            sample's probe to the end of the frame that shows it. Times are rounded down to
            slots of 20 ms: too large by up to that. Needs root.
update      100,000 nodes; ten times a second 1,000 of them change: milliseconds of the page's main thread for each,
            all that its scripts do, the once-a-second table and timeline included.
server      a profile that grows by 997 samples a second, followed by one viewer: CPU time of the feed's and the
            viewer's threads, as per cent of one core.
memory      an hour of 10,000 samples a second, as fast as it goes, with 20 viewers of which every other one takes
            nothing: the largest memory of the process, and by how much the second half of the hour makes it grow.

Playwright and Chromium are needed for the first two; what can't run is said.
"""

from __future__ import annotations

import argparse
import gc
import http.client
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.bench_render import ARGUMENTS, made
from dtrace_profiler import DTraceProfiler
from dtrace_profiler.collector import Collector
from dtrace_profiler.live.feed import Feed
from dtrace_profiler.live.server import LiveServer
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

START_NS = 1_795_420_800_000_000_000
FIGURES = {"latency": 250.0, "update": 16.0, "server": 3.0}
BUSY = """
import math, time
def one(n): return sum(math.sqrt(i) for i in range(n))
def two(n): return sorted(str(i) for i in range(n))
while True:
    one(2000); two(500)
"""
# How old the newest samples are when the frame with them ends.
WATCH_LATENCY = """() => {
  const { page, store } = window.dtraceProfiler;
  const { graph } = page;
  const draw = graph.draw.bind(graph);
  let seen = store.times.length;
  window.ages = [];
  graph.draw = (time) => {
    draw(time);
    const { times } = store;
    const from = seen;
    seen = times.length;
    setTimeout(() => {
      const now = performance.timeOrigin + performance.now();
      for (let row = from; row < seen; row++) window.ages.push(now - times.baseMs - times.slot.data[row] * 20);
    });
  };
}"""
# All scripts of the page run in frames, timers and events of the stream.
WATCH_UPDATES = """() => {
  const spent = { ms: 0 };
  window.spent = spent;
  const timed = (run) => (...args) => {
    const began = performance.now();
    try { return run(...args); } finally { spent.ms += performance.now() - began; }
  };
  const frame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (run) => frame(timed(run));
  const timer = window.setTimeout.bind(window);
  window.setTimeout = (run, ...rest) => timer(timed(run), ...rest);
  const listen = EventSource.prototype.addEventListener;
  EventSource.prototype.addEventListener = function (name, run) { listen.call(this, name, timed(run)); };
}"""


class Growing:
    """A profiler whose samples we make."""

    def __init__(self, hertz: int) -> None:
        self.collector = Collector()
        self.running = True
        self._hertz = hertz

    def meta(self) -> Meta:
        return Meta(engine="dtrace", frequency_hz=self._hertz, start_ns=START_NS, duration_ns=10**9, target="made")

    def profile(self) -> Profile:
        return self.collector.snapshot(self.meta())


@contextmanager
def chromium_page() -> Iterator[Any]:
    """None where there is no browser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser.new_page(viewport={"width": 1600, "height": 900}, reduced_motion="reduce")
        browser.close()


def wait_until(page: Any, expression: str) -> None:
    deadline = time.monotonic() + 60
    while not page.evaluate(f"Boolean({expression})"):
        if time.monotonic() > deadline:
            raise SystemExit(f"the page did not get there: {expression}")
        time.sleep(0.05)


def told(part: str, text: str, value: float | None = None) -> None:
    figure = FIGURES.get(part)
    late = value is not None and figure is not None and value > figure
    print(f"{part:<9}{text}" + (f"  (to reach: {figure:g})" if figure else "") + ("  NOT REACHED" if late else ""))


def bench_latency(smoke: bool) -> None:
    target = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        with chromium_page() as page, DTraceProfiler(target.pid, engine="dtrace") as profiler:
            if page is None:
                told("latency", "skipped: no Chromium or no Playwright")
                return
            profiler.wait_ready(30)
            page.goto(profiler.serve())
            wait_until(page, "window.dtraceProfiler?.store?.times.length > 50")
            time.sleep(0 if smoke else 3)  # the program that follows deep stacks has taken over
            page.evaluate(WATCH_LATENCY)
            time.sleep(3 if smoke else 30)
            ages = sorted(page.evaluate("window.ages"))
            profiler.close()
    finally:
        target.kill()
        target.wait()
    p95 = ages[int(len(ages) * 0.95)]
    told(
        "latency",
        f"{len(ages)} samples: median {statistics.median(ages):.0f} ms, p95 {p95:.0f} ms, worst {ages[-1]:.0f} ms",
        p95,
    )


def bench_update(smoke: bool) -> None:
    nodes, updates = (3_000, 10) if smoke else (100_000, 150)
    source = Growing(997)
    profile = made(nodes=nodes)
    chance = random.Random(2)
    places = [source.collector.node(profile.stack(node)) for node in sorted(set(profile.node))]
    for number, place in enumerate(places):
        source.collector.add(START_NS + number * 100_000, 1, 1 + number % 4, place, 1, 0)
    server = LiveServer(source, lambda name, file: None)
    with chromium_page() as page:
        if page is None:
            told("update", "skipped: no Chromium or no Playwright")
            return
        page.add_init_script(f"({WATCH_UPDATES})()")
        server.start()
        page.goto(server.address)
        wait_until(page, f"window.dtraceProfiler?.store?.times.length >= {len(places)}")
        time.sleep(1)
        seq, before = page.evaluate("[window.dtraceProfiler.store.seq, window.spent.ms]")
        now = START_NS + 12_000_000_000
        for _ in range(updates):
            for place in chance.choices(places, k=1_000):
                source.collector.add(now, 1, chance.randrange(1, 5), place, 1, 0)
            now += 100_000_000
            time.sleep(0.1)
        time.sleep(0.5)
        end, after = page.evaluate("[window.dtraceProfiler.store.seq, window.spent.ms]")
        shown = page.evaluate("window.dtraceProfiler.page.tree.length")
    server.close()
    each = (after - before) / (end - seq)
    told("update", f"{shown:,} nodes, {end - seq} updates: {each:.1f} ms of the main thread each", each)


def viewer(address: str) -> Iterator[bytes]:
    """Lines of the stream."""
    url = urllib.parse.urlsplit(address)
    assert url.hostname is not None
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connection.request("GET", f"{url.path}?{url.query}")
    answer = connection.getresponse()
    answer.read()
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    connection.request("GET", "/events", headers={"Cookie": cookie})
    yield from connection.getresponse()


def bench_server(smoke: bool) -> None:
    """The viewer is another process: only our threads are counted."""
    seconds = 3 if smoke else 30
    source = Growing(997)
    frames = [StackFrame(f"function_{i}", "app", kind=FrameKind.PYTHON) for i in range(300)]
    chance = random.Random(3)
    places = [source.collector.node(chance.choices(frames, k=20)) for _ in range(500)]
    server = LiveServer(source, lambda name, file: None)
    server.start()
    code = "import sys; from benchmarks.bench_live import viewer\nfor line in viewer(sys.argv[1]): pass"
    reader = subprocess.Popen([sys.executable, "-c", code, server.address], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        began, used = time.monotonic(), time.process_time() - time.thread_time()
        given = 0
        while (elapsed := time.monotonic() - began) < seconds:
            # As the engine does it: in batches.
            while given < elapsed * 997:
                source.collector.add(time.time_ns(), 1, 1, chance.choice(places), 1, 0)
                given += 1
            time.sleep(0.1)
        used = time.process_time() - time.thread_time() - used
    finally:
        reader.kill()
        reader.wait()
        server.close()
    share = 100 * used / seconds
    told("server", f"{given} samples in {seconds} s, one viewer: {share:.2f} % of a core", share)


def bench_memory(smoke: bool) -> None:
    seconds = 15 if smoke else 3600
    source = Growing(10_000)
    frames = [StackFrame(f"function_{i}", f"m{i % 50}", kind=FrameKind.PYTHON) for i in range(2000)]
    chance = random.Random(4)
    places = [source.collector.node(chance.choices(frames, k=25)) for _ in range(20_000)]
    feed = Feed(source)
    server = LiveServer(source, lambda name, file: None, refresh_s=3600)
    server._feed = feed  # we say when it is time
    server.start()
    streams = [viewer(server.address) for _ in range(20)]
    for index, stream in enumerate(streams):
        next(stream)
        if index % 2:
            threading.Thread(target=lambda stream=stream: [None for _ in stream], daemon=True).start()
    middle = 0
    add = source.collector.add
    for tenth in range(seconds * 10):
        now = START_NS + tenth * 100_000_000
        for place in chance.choices(places, k=1000):
            add(now + chance.randrange(10**8), 1, 1 + place % 100, place, 1, 0)
        if feed.tick():
            with server._changed:
                server._changed.notify_all()
        if tenth == seconds * 5:
            gc.collect()
            middle = _resident()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told(
        "memory",
        f"{seconds * 10_000:,} samples, 20 viewers: at most {peak:.0f} MB;"
        f" {middle:.0f} MB after half of it, {_resident():.0f} MB after all",
    )
    server.close()


def _resident() -> float:
    """MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> None:
    parts = {"latency": bench_latency, "update": bench_update, "server": bench_server, "memory": bench_memory}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="short: only that it runs")
    parser.add_argument("parts", nargs="*", metavar="PART", help="all, without any")
    chosen = parser.parse_args()
    for name in chosen.parts or parts:
        parts[name](chosen.smoke)


if __name__ == "__main__":
    main()
