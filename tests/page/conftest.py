"""A real browser for the pages that the tests write, and what every one of them has to keep."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from page_browser import wait_for

from dtrace_profiler.formats import html, svg, write_profile
from dtrace_profiler.live.server import LiveServer
from dtrace_profiler.model.profile import Profile

sys.path.insert(0, str(Path(__file__).parent.parent / "live"))
from live_sources import Source

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="module")  # while it is there, no test can have an asyncio loop of its own
def browser(chromium_path: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Writes a profile as a file and opens it. Afterwards nothing may have gone wrong in the page: no error, no word
    on the console (a violation of the policy is one), no request but for the file itself."""
    wrong: list[str] = []
    contexts = []

    def open_page(profile: Profile, hash: str = "", *, picture: str = "html", **context: Any) -> Page:
        path = tmp_path / f"{len(contexts)}.{picture}"
        with path.open("wb") as file:
            (html if picture == "html" else svg).write(profile, file)
        settings = {"viewport": {"width": 1200, "height": 800}, "reduced_motion": "reduce", **context}
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: check_request(request.url, path.as_uri()))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.goto(path.as_uri() + hash)
        if picture == "html":
            wait_for(page, "window.dtraceProfiler?.firstDraw > 0")
        return page

    def check_request(url: str, own: str) -> None:
        if url.partition("#")[0] != own and not url.startswith("data:image/svg+xml"):
            wrong.append(f"request: {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def server(source: Source) -> Iterator[LiveServer]:
    server = LiveServer(source, lambda name, file: write_profile(source.profile(), file, name), refresh_s=0.02)
    server.start()
    yield server
    server.close()


@pytest.fixture
def open_live(browser: Browser, server: LiveServer) -> Iterator[Callable[..., Page]]:
    """Afterwards nothing may have gone wrong in the page, and nobody else may have been asked for anything."""
    wrong: list[str] = []
    contexts = []

    def open_live(address: str = "", **context: Any) -> Page:
        settings = {"viewport": {"width": 1200, "height": 800}, "reduced_motion": "reduce", **context}
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: check_request(request.url))
        page.goto(address or server.address)
        wait_for(page, "window.dtraceProfiler?.firstDraw > 0")
        return page

    def check_request(url: str) -> None:
        if not url.startswith((f"http://127.0.0.1:{server.port}/", "data:image/svg+xml")):
            wrong.append(f"request: {url}")

    yield open_live
    for context in contexts:
        context.close()
    assert wrong == []
