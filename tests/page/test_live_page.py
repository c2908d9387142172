"""The page on a profile that grows, in a real browser: it shows what the profiler has, and holds still if told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from live_sources import Source
from page_browser import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from dtrace_profiler.live.server import LiveServer

pytestmark = pytest.mark.browser
TOTAL = "window.dtraceProfiler.page.tree.total[0]"


def text(page: Page, selector: str) -> str:
    return page.locator(selector).inner_text()


def test_it_grows_with_the_program(open_live: Callable[..., Page], source: Source) -> None:
    page = open_live()
    assert "No sample yet." in text(page, "#empty")
    source.sample("main", "work", count=3)
    wait_for(page, f"{TOTAL} === 3")
    assert not page.locator("#empty").is_visible()
    source.sample("main", "late", thread=2, count=5)
    source.losses["drops"] = 2
    wait_for(page, f"{TOTAL} === 8")
    wait_for(page, "document.getElementById('table').innerText.includes('late')")
    wait_for(page, "document.getElementById('losses').innerText.includes('(2)')")
    assert "● live" in text(page, "#facts")
    assert "8 samples" in text(page, "#facts")
    assert page.locator("#thread-list input").count() == 2
    names = "window.dtraceProfiler.page.graph.visibleNodes().map((node) => node && window.dtraceProfiler.page"
    names += ".functions.list[window.dtraceProfiler.page.tree.fn.data[node]].name)"
    assert page.evaluate(names) == [0, "main", "late", "work"], "siblings by name: the eye can follow"


def test_the_key_does_not_stay_in_the_address(open_live: Callable[..., Page], server: LiveServer) -> None:
    page = open_live(f"{server.address}#view=leaf-first")
    assert page.url == f"http://127.0.0.1:{server.port}/#view=leaf-first"
    page.reload()
    wait_for(page, "window.dtraceProfiler?.firstDraw > 0")


def test_zoom_search_and_threads_stay_while_it_grows(open_live: Callable[..., Page], source: Source) -> None:
    source.sample("main", "work", "inner", count=4)
    source.sample("main", "rest", count=4, thread=2)
    page = open_live()
    wait_for(page, f"{TOTAL} === 8")
    page.evaluate("window.dtraceProfiler.page.change({ zoom: '1', search: 'inner' })")
    source.sample("main", "a", "inner", count=8)
    wait_for(page, f"{TOTAL} === 16")
    assert page.evaluate("window.dtraceProfiler.page.graph.zoomed") == 2
    assert text(page, "#found").startswith("75.0 %")
    page.keyboard.press("i")
    source.sample("main", "work", "inner", count=4)
    wait_for(page, f"{TOTAL} === 20")
    page.evaluate(
        "window.dtraceProfiler.page.change({ leafFirst: false, search: '', zoom: '', threads: new Set([1]) })"
    )
    source.sample("main", "rest", count=1, thread=2)
    wait_for(page, f"{TOTAL} === 5")


def test_it_holds_still_and_goes_on(open_live: Callable[..., Page], source: Source) -> None:
    source.sample("main")
    page = open_live()
    wait_for(page, f"{TOTAL} === 1")
    page.keyboard.press("Space")
    assert text(page, "#pause") == "Go on"
    source.sample("main", "later", count=5)
    wait_for(page, "window.dtraceProfiler.store.samples(null) === 6")
    assert page.evaluate(TOTAL) == 1
    page.locator("#pause").click()
    wait_for(page, f"{TOTAL} === 6")


def test_the_end_stays(open_live: Callable[..., Page], source: Source, server: LiveServer) -> None:
    source.sample("main", count=2)
    page = open_live()
    wait_for(page, f"{TOTAL} === 2")
    source.sample("main", "last")
    source.running = False
    wait_for(page, "document.getElementById('facts').innerText.includes('ended')")
    assert page.evaluate(TOTAL) == 3
    assert "over 1.23 s" in text(page, "#facts"), "to the nanosecond, now that it stands"
    assert not page.locator("#pause").is_visible()


def test_what_is_there_can_be_saved(open_live: Callable[..., Page], source: Source) -> None:
    source.sample("main", "work", count=2)
    page = open_live()
    wait_for(page, f"{TOTAL} === 2")
    page.locator("#save summary").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="folded").click()
    assert download.value.suggested_filename == "profile.folded"
    assert download.value.path().read_text() == "app.main;app.work 2\n"


def test_started_again_it_shows_the_new_one(open_live: Callable[..., Page], source: Source) -> None:
    source.sample("main", "before", count=2)
    page = open_live()
    wait_for(page, f"{TOTAL} === 2")
    source.collector = Source().collector
    source.sample("main", "after")
    wait_for(page, f"{TOTAL} === 1")
    wait_for(page, "!document.getElementById('table').innerText.includes('before')")


def test_a_file_has_neither_pause_nor_save(open_page: Callable[..., Page], source: Source) -> None:
    source.sample("main")
    page = open_page(source.profile())
    assert not page.locator("#pause").is_visible()
    assert not page.locator("#save").is_visible()
    assert "live" not in text(page, "#facts")


def test_the_last_seconds_are_followed(open_live: Callable[..., Page], source: Source) -> None:
    source.sample("main", "old", count=7, at_ms=500)
    source.sample("main", "new", count=5, at_ms=20_000)
    page = open_live()
    wait_for(page, f"{TOTAL} === 12")
    page.locator("#last").select_option("10")
    wait_for(page, f"{TOTAL} === 5")
    assert page.url.endswith("#last=10")
    source.sample("main", "newest", count=2, at_ms=25_000)
    wait_for(page, f"{TOTAL} === 7")
    source.sample("main", "newest", at_ms=31_000)
    wait_for(page, f"{TOTAL} === 3")
    page.locator("#last").select_option("0")
    wait_for(page, f"{TOTAL} === 15")


def test_a_range_grows_with_its_samples_and_then_stands(open_live: Callable[..., Page], source: Source) -> None:
    source.sample("main", count=2, at_ms=500)
    page = open_live()
    wait_for(page, f"{TOTAL} === 2")
    page.evaluate("window.dtraceProfiler.page.change({ range: { from: 0, to: 3 } })")
    source.sample("main", count=3, at_ms=2_500)
    source.sample("main", count=4, at_ms=3_500)
    wait_for(page, f"{TOTAL} === 5")
    source.sample("main", count=6, at_ms=60_000)
    wait_for(page, "window.dtraceProfiler.store.samples(null) === 15")
    assert page.evaluate(TOTAL) == 5
    late = open_live()
    wait_for(late, f"{TOTAL} === 15")
    late.evaluate("window.dtraceProfiler.page.change({ range: { from: 0, to: 3 } })")
    assert late.evaluate(TOTAL) == 5, "whoever comes later has the same times"


def test_the_source_of_a_function(open_live: Callable[..., Page], source: Source, tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text("def main():\n\twork('</script>')\n")
    source.sample("main", "work", file=str(path), count=3)
    page = open_live()
    wait_for(page, f"{TOTAL} === 3")
    wait_for(page, "document.querySelector('#table tbody button')")
    page.locator("#table tr", has_text="work").locator("button").click()
    wait_for(page, "document.querySelector('#details .source')?.innerText.includes('script')")
    assert "    work('</script>')" in page.locator("#details .source").inner_text()
    assert "has changed since" in text(page, "#details")
    path.unlink()
