from __future__ import annotations

import io
import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_profiles import HOSTILE, empty, forest, hostile, shop

from dtrace_profiler.formats import svg
from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.tree import CallTree

if TYPE_CHECKING:
    from playwright.sync_api import Page

SVG = "{http://www.w3.org/2000/svg}"


def picture(profile: Profile, **options: object) -> ET.Element:
    file = io.BytesIO()
    svg.write(profile, file, **options)  # type: ignore[arg-type]
    return ET.fromstring(file.getvalue())


def boxes(root: ET.Element) -> list[tuple[str, float, float, float]]:
    """Name, x, y, width."""
    out = []
    for group in root.findall(f"{SVG}g[@id='frames']/{SVG}g"):
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        name = (group.findtext(f"{SVG}title") or "").split("\n")[0]
        out.append((name, *(float(rect.get(key, "nan")) for key in ("x", "y", "width"))))
    return out  # type: ignore[return-value]


def texts(root: ET.Element) -> str:
    return "\n".join(element.text or "" for element in root.findall(f"{SVG}text"))


def test_boxes_are_as_wide_as_their_totals() -> None:
    profile = shop()
    tree = CallTree.from_profile(profile)
    found = boxes(picture(profile, width=1220))
    assert len(found) == len(tree)
    assert found[0] == ("all", 0.0, found[0][2], 1200.0)
    widths = sorted(round(1200 * total / tree.total[0], 2) for total in tree.total)
    assert sorted(width for *_, width in found) == pytest.approx(widths, abs=0.011)


def test_callees_stand_on_their_callers() -> None:
    rows: dict[float, list[tuple[float, float]]] = {}
    for _, x, y, width in boxes(picture(shop())):
        rows.setdefault(y, []).append((x, x + width))
    below = sorted(rows, reverse=True)
    for lower, upper in itertools.pairwise(below):
        assert lower - upper == svg.ROW
        for left, right in rows[upper]:
            assert any(a - 0.02 <= left and right <= b + 0.02 for a, b in rows[lower])
        for one, other in itertools.pairwise(sorted(rows[upper])):
            assert one[1] <= other[0] + 0.02


def test_titles_hold_the_numbers() -> None:
    titles = [title.text or "" for title in picture(shop()).iter(f"{SVG}title")]
    assert (
        "Index.score\npython shop.index\n/srv/shop/shop/index.py:90\n"
        "Total 11.7 % ± 0.87, 160 samples\nSelf 11.7 % ± 0.87, 160 samples"
    ) in titles


def test_losses_notes_and_facts_are_in_the_picture() -> None:
    text = texts(picture(shop(losses={"drops": 37}, notes=["Kernel frames need root."]), title="My & title"))
    assert "My & title" in text
    assert "Incomplete: records dropped by dtrace, its buffer was full (37)" in text
    assert "Kernel frames need root." in text
    assert "DTrace at 99 Hz · over 9.60 s" in text
    assert "Incomplete" not in texts(picture(shop()))


def test_an_empty_profile_is_said_in_words() -> None:
    root = picture(empty())
    assert "This profile holds no sample." in texts(root)
    assert boxes(root) == []


def test_what_is_too_narrow_is_left_out_and_counted() -> None:
    profile = forest(30_000)
    root = picture(profile)
    found = boxes(root)
    tree = CallTree.from_profile(profile)
    assert min(width for *_, width in found) >= svg.NARROWEST - 0.01
    match = re.search(r"([\d,]+) boxes are too narrow to draw; ([\d.]+) % of the profile", texts(root))
    assert match is not None
    assert int(match[1].replace(",", "")) == len(tree) - len(found)


def test_a_share_that_is_next_to_nothing_is_text_too() -> None:
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    builder.add_sample(0, thread, builder.add_stack([StackFrame("most")]), 100_000)
    builder.add_sample(0, thread, builder.add_stack([StackFrame("one")]), 1)
    assert "1 boxes are too narrow to draw; < 0.01 % of the profile" in texts(picture(builder.snapshot(Meta())))


def test_no_more_boxes_than_a_browser_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg, "MOST_BOXES", 100)
    found = boxes(picture(forest(5_000)))
    assert len(found) == 100
    builder = ProfileBuilder()
    deep = [StackFrame(f"f{i}") for i in range(500)]
    builder.add_sample(0, builder.add_thread(1, 1), builder.add_stack(deep), 3)
    found = boxes(picture(builder.snapshot(Meta())))
    assert [name for name, *_ in found] == ["all", *(f"f{i}" for i in range(99))]


def test_hostile_names_are_text() -> None:
    root = picture(hostile())
    assert {name for name, *_ in boxes(root)} >= {shown(name) for name in HOSTILE if name.strip()}
    assert len(list(root.iter(f"{SVG}script"))) == 1
    assert not [element for element in root.iter() if not element.tag.startswith(SVG)]
    for name in HOSTILE:
        picture(shop(target=name), title=None)


@settings(max_examples=60)
@given(st.text(st.characters(codec=None), max_size=20), st.integers(-5, 3000))
def test_any_name_gives_well_formed_xml(name: str, width: int) -> None:
    builder = ProfileBuilder()
    frame = StackFrame(name, name, file=name, line=1)
    builder.add_sample(0, builder.add_thread(1, 1, name), builder.add_stack([frame]), 2)
    found = boxes(picture(builder.snapshot(Meta(target=name, notes=[name])), width=width))
    assert len(found) == 2


# In a browser.

OpenPage = Callable[..., "Page"]


def box(page: Page, name: str) -> dict[str, float]:
    return page.evaluate(  # type: ignore[no-any-return]
        """(name) => { const g = [...document.querySelectorAll("#frames > g")]
        .find((g) => g.firstElementChild.textContent.split("\\n")[0] === name);
        const { x, y, width } = g.querySelector("rect").getBoundingClientRect();
        const text = g.querySelector("text")?.textContent ?? "";
        return { x, y, width, shown: g.style.display !== "none", text }; }""",
        name,
    )


@pytest.mark.browser
def test_a_click_zooms(open_page: OpenPage) -> None:
    page = open_page(shop(), picture="svg", viewport={"width": 1220, "height": 500})
    before = box(page, "worker")
    assert before["width"] < 600
    page.mouse.click(before["x"] + 20, before["y"] + 5)
    after = box(page, "worker")
    assert after["width"] == pytest.approx(1180, abs=0.1)
    assert not box(page, "main")["shown"]
    assert box(page, "store")["width"] == pytest.approx(1180 * 37 / 592, abs=0.1)
    assert box(page, "pack")["text"] == "pack"
    page.locator("#reset").click()
    assert box(page, "worker") == before
    page.mouse.click(before["x"] + 20, before["y"] + 5)
    page.keyboard.press("Escape")
    assert box(page, "worker") == before


@pytest.mark.browser
def test_search_marks_and_tells_the_share(open_page: OpenPage) -> None:
    page = open_page(shop(), picture="svg", viewport={"width": 1220, "height": 500})
    page.keyboard.press("Control+f")
    page.keyboard.type("walk")
    assert page.locator("#found").text_content() == "matched: 21.91 %"
    assert page.locator("#frames .hit").count() == 2
    page.locator("input").fill("/^(clip8|.*_WALK)$/i")
    assert page.locator("#found").text_content() == "matched: 40.91 %"
    page.locator("input").fill("/(/")
    assert page.locator("#found").text_content() == "not a regular expression"
    page.keyboard.press("Escape")
    assert page.locator("#frames .hit").count() == 0
    assert page.locator("#found").text_content() == ""


@pytest.mark.browser
def test_hostile_names_do_nothing(open_page: OpenPage) -> None:
    page = open_page(hostile(), picture="svg")
    for name in HOSTILE:
        page.locator("input").fill(name.replace("\0", "")[:50])
    at = box(page, "start")
    page.mouse.move(at["x"] + 5, at["y"] + 5)
    assert (page.locator("#details").text_content() or "").startswith("start · native a.out")
    assert page.evaluate("window.hacked") is None
