"""The page in each of its states, as pictures in build/tests/pictures for people to look at; nothing sticks out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from page_browser import wait_for
from page_profiles import empty, hostile, shop

from dtrace_profiler.model.profile import Profile

if TYPE_CHECKING:
    from live_sources import Source
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
PICTURES = Path(__file__).parents[2] / "build" / "tests" / "pictures"
NARROW, WIDE = {"width": 400, "height": 800}, {"width": 3840, "height": 2160}

CASES: dict[str, tuple[Callable[[], Profile], str, dict[str, Any]]] = {
    "light": (shop, "", {"color_scheme": "light"}),
    "dark": (shop, "", {"color_scheme": "dark"}),
    "narrow": (shop, "", {"viewport": NARROW}),
    "narrow-dark": (shop, "#view=leaf-first", {"viewport": NARROW, "color_scheme": "dark"}),
    "4k": (shop, "", {"viewport": WIDE}),
    "leaf-first": (shop, "#view=leaf-first", {}),
    "search": (shop, "#search=template", {}),
    "threads": (shop, "#time=threads", {}),
    "heat-map": (shop, "#time=heat", {}),
    "heat-map-dark": (shop, "#time=heat", {"color_scheme": "dark"}),
    "range": (shop, "#range=1-3", {}),
    "comparison": (shop, "#range=3-6&than=0-3", {}),
    "comparison-dark": (shop, "#range=3-6&than=0-3", {"color_scheme": "dark"}),
    "lossy": (lambda: shop(losses={"drops": 70, "unresolved_code": 12, "truncated_stacks": 1}), "", {}),
    "empty": (empty, "", {}),
    "empty-dark": (empty, "", {"color_scheme": "dark"}),
    "empty-lossy": (lambda: empty(losses={"drops": 5}), "", {}),
    "hostile": (hostile, "", {}),
    "hostile-narrow": (hostile, "", {"viewport": NARROW}),
}

OUTSIDE = """[...document.querySelectorAll("h1, button, summary, select, input, #facts li, #losses, #notes")]
    .filter((part) => part.offsetParent && part.getClientRects().length)
    .map((part) => [part.id || part.textContent.slice(0, 40), part.getBoundingClientRect()])
    .filter(([, box]) => box.left < -0.5 || box.right > innerWidth + 0.5).map(([name]) => name)"""
COLOURS = """(() => { const { width, height } = document.querySelector("#graph canvas") ?? {};
    if (!width || !height) return 0;
    const data = document.querySelector("#graph canvas").getContext("2d").getImageData(0, 0, width, height).data;
    const seen = new Set();
    for (let at = 0; at < data.length; at += 4 * 97) seen.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
    return seen.size; })()"""


def keep(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, "it can be scrolled sideways"
    assert page.evaluate(OUTSIDE) == [], "these can't be reached"


@pytest.mark.parametrize("name", CASES)
def test_a_file(open_page: Callable[..., Page], name: str) -> None:
    profile, hash, context = CASES[name]
    page = open_page(profile(), hash, **context)
    wait_for(page, "window.dtraceProfiler.store.times.waiting === null")
    wait_for(page, "document.readyState === 'complete'")
    keep(page, name)
    assert page.locator("#empty").is_visible() == name.startswith("empty")
    if not name.startswith("empty"):
        assert page.evaluate(COLOURS) > 4, "a picture"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_while_it_grows_and_after_its_end(open_live: Callable[..., Page], source: Source, scheme: str) -> None:
    page = open_live(color_scheme=scheme)
    keep(page, f"live-idle-{scheme}")
    for second in range(12):
        source.sample("main", "serve", "render", count=60 + second, at_ms=1000 * second)
        source.sample("main", "serve", "query", "parse", thread=2, count=30, at_ms=1000 * second + 300)
    source.losses["drops"] = 20
    wait_for(page, "document.getElementById('losses').innerText.includes('(20)')")
    wait_for(page, "window.dtraceProfiler.page.tree.total[0] > 1000")
    keep(page, f"live-{scheme}")
    source.running = False
    wait_for(page, "document.getElementById('facts').innerText.includes('ended')")
    keep(page, f"live-ended-{scheme}")
