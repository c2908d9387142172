"""Two profiles as one page: each box has the share of both."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from page_browser import wait_for
from page_profiles import native, python

from dtrace_profiler.compare.merged import merged
from dtrace_profiler.errors import NotComparable
from dtrace_profiler.formats import comparison_page, svg_comparison
from dtrace_profiler.formats.palette import differences
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile, Unit

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def made(stacks: dict[tuple[StackFrame, ...], int], unit: Unit = "samples", value: int = 1) -> Profile:
    builder = ProfileBuilder()
    thread = builder.add_thread(7, 8, "main")
    for stack, count in stacks.items():
        for _ in range(count):
            builder.add_sample(1_700_000_000_000_000_000, thread, builder.add_stack(stack), value)
    return builder.snapshot(Meta(engine="dtrace", unit=unit, frequency_hz=100))


MAIN, WORK, REST = python("main", "app", 3), python("work", "app", 10), native("rest", "libc.so.6", 0x1000)
BEFORE = made({(MAIN, WORK): 300, (MAIN, REST): 700})
# The function has moved, and the library lies at another address.
AFTER = made(
    {
        (MAIN, python("work", "app", 99)): 60,
        (MAIN, native("rest", "libc.so.6", 0x2000)): 30,
        (MAIN, python("new", "app", 5)): 10,
    }
)


def test_what_moved_is_one_box_with_the_values_of_both() -> None:
    profile = merged(BEFORE, AFTER)
    assert sorted(frame.function_name for frame in profile.frames) == ["main", "new", "rest", "work"]
    values: dict[tuple[int, str], int] = {}
    for thread, node, value in zip(profile.thread, profile.node, profile.value, strict=True):
        key = (thread, profile.frames[profile.frame[node]].function_name)
        values[key] = values.get(key, 0) + value
    assert values == {(0, "work"): 60, (0, "rest"): 30, (0, "new"): 10, (1, "work"): 300, (1, "rest"): 700}


@pytest.mark.parametrize("max_nodes", [100, 2, 1])
def test_no_value_of_either_is_lost(max_nodes: int) -> None:
    data = comparison_page.comparison_data(BEFORE, AFTER, names=("a", "b"), max_nodes=max_nodes)
    assert sum(data["values"]["value"]) + sum(data["elided"]["value"]) == 100
    assert sum(data["before"]["values"]["value"]) + sum(data["before"]["elided"]["value"]) == 1000


def test_samples_and_time_are_not_drawn_in_one_picture() -> None:
    with pytest.raises(NotComparable, match="a flame graph has one unit"):
        merged(BEFORE, made({(MAIN,): 3}, "nanoseconds", 5))


@pytest.mark.browser
@pytest.mark.parametrize(("unit", "value"), [("samples", 1), ("nanoseconds", 10_000_000)])
def test_the_page_shows_what_grew_and_what_shrank(browser: Browser, tmp_path: Path, unit: Unit, value: int) -> None:
    before = made({(MAIN, WORK): 300, (MAIN, REST): 690, (MAIN,): 10}, unit, value)
    after = made({(MAIN, WORK): 600, (MAIN, REST): 390, (MAIN,): 10}, unit, value)
    path = tmp_path / "diff.html"
    with path.open("wb") as file:
        comparison_page.write(before, after, file, names=("old.dtrace", "<b>new.dtrace"), warnings=["Beware of B."])
    page = browser.new_page(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    wait_for(page, "window.dtraceProfiler?.firstDraw > 0")
    changes = page.evaluate(
        """() => { const { tree, functions: { list } } = window.dtraceProfiler.page; const out = {};
        for (let node = 1; node < tree.length; node++) out[list[tree.fn.data[node]].name] = tree.change(node);
        return out; }"""
    )
    assert changes == {"main": 0, "work": pytest.approx(0.5), "rest": pytest.approx(-300 / 690)}
    wait_for(page, "document.querySelectorAll('#table tbody tr').length === 3")
    first = page.locator("#table tbody tr").first.inner_text()
    assert "60.0 %" in first
    assert "+30" in first
    assert "work" in first
    assert page.locator("#title").inner_text() == "old.dtrace → <b>new.dtrace"
    assert "Beware of B." in page.locator("#notes").inner_text()
    assert page.locator("#time").is_hidden()
    assert page.locator("#threads").is_hidden()
    page.keyboard.press("i")  # leaf first
    wait_for(page, "window.dtraceProfiler.page.tree.shape.leafFirst")
    assert page.evaluate("window.dtraceProfiler.page.tree.before.total[0] > 0")
    assert wrong == []
    page.close()


@pytest.mark.parametrize(("unit", "value"), [("samples", 1), ("nanoseconds", 10_000_000)])
def test_the_picture_has_the_shares_of_both_and_the_colours_of_the_change(unit: Unit, value: int) -> None:
    before = made({(MAIN, WORK): 300, (MAIN, REST): 690, (MAIN,): 10}, unit, value)
    after = made({(MAIN, WORK): 1200, (MAIN, REST): 780, (MAIN,): 20}, unit, value)
    file = io.BytesIO()
    svg_comparison.write(before, after, file, names=("old", "<b>new"), warnings=["Beware of B."])
    root = ElementTree.fromstring(file.getvalue())
    boxes = {}
    for box in root.findall(".//{*}g"):
        title = box.find("{*}title")
        if title is not None and title.text:
            name, *lines = title.text.split("\n")
            width = box.find("{*}rect").get("width")  # type: ignore[union-attr]
            boxes[name] = (box.get("class"), float(width or 0), lines)
    assert {name: css for name, (css, _, _) in boxes.items()} == {
        "all": "root",
        "main": "cs0",
        "work": "cm2",
        "rest": "cl2",
    }
    assert boxes["work"][1] == pytest.approx(boxes["all"][1] * 0.45, abs=0.1)  # the mean of 30 % and 60 %
    assert any(line.startswith("A 30.0 % ± 1.4") for line in boxes["work"][2])
    assert any(line.startswith("B 60.0 % ± 1.1") for line in boxes["work"][2])
    assert "B − A +30.00 percentage points" in boxes["work"][2]
    text = "".join(root.itertext())
    assert "old → <b>new" in text
    assert "Beware of B." in text


def test_the_colours_of_a_comparison_are_those_of_the_page() -> None:
    assert differences()["light"].more == "#f08a7c"
    assert set(differences()) == {"light", "dark"}
