"""The live page below a path of an application, in a real browser: let in, it grows, and nothing goes wrong in it."""

from __future__ import annotations

import socketserver
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from page_browser import wait_for

from dtrace_profiler.integrations.wsgi import ProfilerMiddleware

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
SECRET = "0123456789-abcdefghijklm"
TOTAL = "window.dtraceProfiler.page.tree.total[0]"


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *ignored: object) -> None:
        pass


def work(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    sum(sum(range(2000)) for _ in range(3000))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    options = {"secret": SECRET, "engine": "sampler", "folder": str(tmp_path / "kept"), "always_on": True}
    middleware = ProfilerMiddleware(work, **options)  # type: ignore[arg-type]
    server = Server(("127.0.0.1", 0), Quiet)
    server.set_app(middleware)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
    middleware.profiler.close()


def test_the_page_grows_below_the_mount(browser: Browser, address: str) -> None:
    wrong: list[str] = []
    with urllib.request.urlopen(f"{address}/") as answer:
        assert answer.read() == b"done"
    asked = urllib.request.Request(f"{address}/_profile/open", headers={"X-Profile-Secret": SECRET})
    with urllib.request.urlopen(asked) as answer:
        opened = answer.read().decode().splitlines()[0]
    context = browser.new_context()
    try:
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: request.url.startswith((address, "data:")) or wrong.append(request.url))
        page.goto(opened)
        assert page.url == f"{address}/_profile/"
        page.click("text=Process")
        wait_for(page, "window.dtraceProfiler?.firstDraw > 0")
        before = page.evaluate(TOTAL)
        for _ in range(3):
            urllib.request.urlopen(f"{address}/orders/42").close()
        wait_for(page, f"{TOTAL} > {before}")
        wait_for(page, "document.getElementById('threads').textContent.includes('/orders/*')")
        # Each stream is short: that one has ended is nothing to tell.
        assert "does not answer" not in page.inner_text("body")
    finally:
        context.close()
    assert wrong == []
