"""A real program under the real DTrace, watched in a real browser."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtrace_profiler import DTraceProfiler

sys.path.insert(0, str(Path(__file__).parent.parent / "page"))
sys.path.insert(0, str(Path(__file__).parent.parent / "cpython"))
from cpython_targets import running
from page_browser import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.dtrace, pytest.mark.browser]
SCRIPT = """
import signal

def quiet_work(n):
    return sum(i * i for i in range(n))

def sudden_burner(n):
    return sum(i % 7 for i in range(n))

work = quiet_work

def change(number, frame):
    global work
    work = sudden_burner

signal.signal(signal.SIGUSR1, change)
print("ready", flush=True)
while True:
    work(3000)
"""
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SHARE = """(name) => { const { view } = window.dtraceProfiler.page; const { tree, now } = view.sums();
  const fn = view.functions.list.findIndex((fn) => fn.name === name);
  return fn < 0 ? 0 : now.total[fn] / tree.total[0]; }"""


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield browser
        browser.close()


def how_it_stands(profiler: DTraceProfiler, page: Page) -> str:
    """Where what was sampled got stuck."""
    names = {frame.function_name for sample in profiler.take_samples()[-50:] for frame in sample.stack_frames}
    shown = page.evaluate("""() => { const { store, page } = window.dtraceProfiler;
      return { seq: store.seq, samples: page.tree.total[0], facts: document.getElementById("facts").innerText,
        names: page.view.functions.list.map((fn) => fn.name).slice(0, 60) }; }""")
    return f"sampled: {profiler.sample_count}, last {names}; lost: {profiler.losses}; shown: {shown}"


def test_a_function_that_begins_to_burn_is_seen(browser: Browser, tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(SCRIPT)
    wrong: list[str] = []
    with (
        running([sys.executable, str(script)]) as pid,
        contextlib.closing(DTraceProfiler(pid, engine="dtrace")) as profiler,
    ):
        profiler.start()
        profiler.wait_ready(60)
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(profiler.serve())
        wait_for(page, f"window.dtraceProfiler?.page && ({SHARE})('quiet_work') > 0.9")
        assert page.evaluate(f"({SHARE})('sudden_burner')") == 0
        os.kill(pid, signal.SIGUSR1)
        try:
            wait_for(page, f"({SHARE})('sudden_burner') > 0")
        except AssertionError as error:
            raise AssertionError(how_it_stands(profiler, page)) from error
        page.locator("#last").select_option("10")
        wait_for(page, f"({SHARE})('sudden_burner') > 0.9")
        wait_for(page, "document.getElementById('table').innerText.includes('sudden_burner')")
        assert "● live" in page.locator("#facts").inner_text()
        assert "DTrace at 99 Hz" in page.locator("#facts").inner_text()
        profiler.stop()
        page.locator("#last").select_option("0")
        wait_for(page, "document.getElementById('facts').innerText.includes('ended')")
        wait_for(page, f"window.dtraceProfiler.page.tree.total[0] === {profiler.profile().total}")
        with page.expect_download() as download:
            page.locator("#save summary").click()
            page.get_by_role("link", name="dtrace", exact=True).click()
        assert b"sudden_burner" in download.value.path().read_bytes()
        page.close()
    assert wrong == []
