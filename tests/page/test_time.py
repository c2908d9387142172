"""The page's timeline: a range of time, a second one to compare with, the heat map; all of it is what was sampled."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from page_browser import wait_for
from page_profiles import START_NS, native, python, shop
from page_trees import between, expected_tree, settle, shown_tree

from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.top import top_functions

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

OpenPage = Callable[..., "Page"]
TIMES = "window.dtraceProfiler.store.times"


def open_timed(open_page: OpenPage, profile: Profile, hash: str = "", **context: object) -> Page:
    page = open_page(profile, hash, **context)
    wait_for(page, f"{TIMES}.waiting === null")
    settle(page)
    return page


def phases(unit: str = "samples", names: tuple[str, str] = ("MainThread", "worker")) -> Profile:
    """Forty seconds: `idle` work throughout, from second 20 on `late` as well; something lost in second 30."""
    builder = ProfileBuilder()
    threads = builder.add_thread(10, 10, names[0]), builder.add_thread(20, 21, names[1])
    main, early, late = python("main", "app", 3), python("early", "app", 7), native("late", "libc.so.6")
    value = 1 if unit == "samples" else 10_000_000
    for second in range(40):
        for sample in range(50):
            at = START_NS + second * 1_000_000_000 + sample * 20_000_000
            stack = (main, late) if second >= 20 and sample % 2 else (main, early)
            builder.add_sample(at, threads[sample % 5 == 0], builder.add_stack(stack), value)
    builder.add_loss(START_NS + 30_500_000_000, 17)
    return builder.snapshot(
        Meta(engine="dtrace", unit=unit, frequency_hz=50, start_ns=START_NS, duration_ns=40_000_000_000, target="app")  # type: ignore[arg-type]
    )


def address(page: Page) -> str:
    """What `page.url` will say in a moment."""
    return page.evaluate("location.hash")  # type: ignore[no-any-return]


def plot_point(page: Page, second: float, y: float = 20) -> tuple[float, float]:
    box = page.locator("#time-plot canvas").bounding_box()
    span = page.evaluate("window.dtraceProfiler.page.timeline.scene.span")
    assert box is not None
    return box["x"] + second / span * box["width"], box["y"] + y


def drag(page: Page, from_s: float, to_s: float) -> None:
    page.mouse.move(*plot_point(page, from_s))
    page.mouse.down()
    page.mouse.move(*plot_point(page, (from_s + to_s) / 2))
    page.mouse.move(*plot_point(page, to_s))
    page.mouse.up()
    settle(page)


@pytest.mark.parametrize("unit", ["samples", "nanoseconds"])
@pytest.mark.parametrize(("from_s", "to_s"), [(0, 40), (3, 9), (19.5, 20.54), (33.02, 33.04)])
def test_a_range_is_the_profile_of_its_samples(open_page: OpenPage, unit: str, from_s: float, to_s: float) -> None:
    profile = phases(unit)
    page = open_timed(open_page, profile, f"#range={from_s}-{to_s}")
    assert shown_tree(page) == expected_tree(between(profile, from_s, to_s))
    page.keyboard.press("i")
    settle(page)
    assert shown_tree(page) == expected_tree(between(profile, from_s, to_s), lambda stack: stack[::-1])


def test_the_errors_of_a_range_are_its_own(open_page: OpenPage) -> None:
    profile = phases("nanoseconds")
    page = open_timed(open_page, profile, "#range=15-25")
    rows = {row.frame.function_name: row for row in top_functions(between(profile, 15, 25))}
    late = rows["late"]
    share = late.total / between(profile, 15, 25).total * 100
    error = late.total_error / between(profile, 15, 25).total * 100
    row = page.locator("#table tr", has_text="late").inner_text()
    assert f"{share:.1f} %" in row
    assert f"± {error:.1f}" in row


def test_a_range_is_dragged_and_taken_back(open_page: OpenPage) -> None:
    profile = phases()
    page = open_timed(open_page, profile)
    drag(page, 5.3, 11.7)
    assert shown_tree(page) == expected_tree(between(profile, 5, 12))
    assert address(page) == "#range=5-12"
    assert "5 s – 12 s" in page.locator("#filters").inner_text()
    page.reload()
    wait_for(page, f"window.dtraceProfiler?.firstDraw > 0 && {TIMES}.waiting === null")
    settle(page)
    assert shown_tree(page) == expected_tree(between(profile, 5, 12)), "the address keeps it"
    page.locator("#filters button").click()
    settle(page)
    assert shown_tree(page) == expected_tree(profile)
    assert page.locator("#filters").is_hidden()


def test_a_range_without_samples_is_said_in_words(open_page: OpenPage) -> None:
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    for second in (0, 50):
        builder.add_sample(START_NS + second * 10**9, thread, builder.add_stack([python("f", "m")]))
    profile = builder.snapshot(Meta(frequency_hz=99, start_ns=START_NS, duration_ns=51 * 10**9))
    page = open_timed(open_page, profile, "#range=10-20")
    assert "No sample was taken in the range" in page.locator("#empty").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#empty").is_hidden()


def test_all_of_it_goes_by_keys(open_page: OpenPage) -> None:
    profile = phases()
    page = open_timed(open_page, profile)
    page.keyboard.press("m")
    for key in ["Home", "ArrowRight", "ArrowRight", "Enter", "Shift+ArrowRight", "Enter"]:
        page.keyboard.press(key)
    settle(page)
    assert shown_tree(page) == expected_tree(between(profile, 2, 13)), "both ends are in it"
    page.keyboard.press("=")
    for key in ["End", "Enter", "Shift+ArrowLeft", "Enter"]:
        page.keyboard.press(key)
    assert address(page) == "#range=2-13&than=29-40"
    for _ in range(2):
        page.keyboard.press("Escape")
    assert address(page) == ""


def test_two_cells_of_the_heat_map(open_page: OpenPage) -> None:
    profile = phases()
    page = open_timed(open_page, profile)
    page.get_by_text("Heat map").click()
    settle(page)
    # A slot is two pixels high, the first at the bottom of 100.
    page.mouse.click(*plot_point(page, 12.5, 100 - 2 * 10 - 1))
    page.mouse.click(*plot_point(page, 21.5, 100 - 2 * 30 - 1))
    settle(page)
    assert address(page) == "#range=12.2-21.62&time=heat"
    assert shown_tree(page) == expected_tree(between(profile, 12.2, 21.62))


def test_a_difference_of_two_ranges(open_page: OpenPage) -> None:
    profile = phases()
    page = open_timed(open_page, profile, "#range=20-40")
    page.keyboard.down("Shift")
    drag(page, 0.1, 9.9)
    page.keyboard.up("Shift")
    assert address(page) == "#range=20-40&than=0-10"
    assert shown_tree(page) == expected_tree(between(profile, 20, 40))
    changes = json.loads(
        page.evaluate(
            """() => { const { tree, functions } = window.dtraceProfiler.page; const out = {};
            for (let n = 1; n < tree.length; n++) out[functions.list[tree.fn.data[n]].name] =
              [tree.change(n), tree.width[n] / tree.width[0], tree.before.total[n]];
            return JSON.stringify(out); }"""
        )
    )
    assert changes == {"main": [0, 1, 500], "early": [-0.5, 0.75, 500], "late": [1, 0.25, 0]}
    late = page.locator("#table tr", has_text="late").inner_text()
    assert "50.0 %" in late
    assert "+50.0" in late
    page.locator("#table tr", has_text="early").locator("button").click()
    x, y = page.evaluate(
        """() => { const { tree, functions, graph } = window.dtraceProfiler.page;
        for (let n = 1; n < tree.length; n++) if (functions.list[tree.fn.data[n]].name === "late") {
          const { x, y } = graph.pointOf(n); return [x, y]; } }"""
    )
    page.mouse.move(x, y)
    assert "A − B" in page.locator("#tip").inner_text()


def test_what_may_be_chance_is_grey(open_page: OpenPage) -> None:
    profile = shop()
    page = open_timed(open_page, profile, "#range=0-4&than=4-8")
    changes = page.evaluate(
        """() => { const { tree } = window.dtraceProfiler.page;
        return Array.from({ length: tree.length }, (_, n) => tree.change(n)).filter((c) => c !== 0).length; }"""
    )
    total = page.evaluate("window.dtraceProfiler.page.tree.length")
    # Both halves are of the same shuffled stacks: one function in twenty lies outside by chance, with its callers.
    assert changes < total * 0.2


def test_losses_have_their_second(open_page: OpenPage) -> None:
    page = open_timed(open_page, phases())
    assert page.evaluate("[...window.dtraceProfiler.page.timeline.scene.lost]") == [[30, 17]]
    page.mouse.move(*plot_point(page, 30.5))
    assert "17 lost" in page.locator("#time-told").inner_text()
    red = page.evaluate(
        """() => { const { canvas, context, scene } = window.dtraceProfiler.page.timeline;
        const row = context.getImageData(0, 1, canvas.width, 1).data;
        const at = (s) => [0, 1, 2].map((i) => row[4 * Math.floor((s / scene.span) * canvas.width) + i]);
        return [at(30.5), at(28.5)]; }"""
    )
    assert red[0][0] > 180
    assert red[0][2] < 120
    assert red[1] != red[0]


def test_each_thread_has_its_lane(open_page: OpenPage) -> None:
    page = open_timed(open_page, phases(), "#time=threads")
    lanes = page.evaluate("window.dtraceProfiler.page.timeline.scene.lanes.map((lane) => lane.label)")
    assert lanes == ["MainThread", "worker"]
    sums = page.evaluate(f"[...{TIMES}.threadSeconds].map(([t, c]) => [t, c.data.slice(0, 2).join()])")
    assert sorted(sums) == [[0, "40,40"], [1, "10,10"]]


def test_lanes_are_told_apart_and_compared(open_page: OpenPage) -> None:
    page = open_timed(open_page, phases(names=("python", "python")), "#time=threads")
    lanes = page.evaluate("window.dtraceProfiler.page.timeline.scene.lanes.map((lane) => lane.label)")
    assert lanes == ["python 10", "python 21"]
    heights = page.evaluate(
        """() => { const { canvas, context, scene } = window.dtraceProfiler.page.timeline;
        const x = Math.floor((20.5 / scene.span) * canvas.width);
        const scale = canvas.width / canvas.clientWidth;
        const { data } = context.getImageData(x, 0, 1, Math.ceil(30 * scale));
        const at = (y) => [...data.slice(4 * y, 4 * y + 3)].join();
        return [0, 1].map((lane) => { const top = Math.ceil(lane * 15 * scale); let tall = 0;
          for (let y = top; y < top + Math.floor(14 * scale); y++) tall += at(y) !== at(top);
          return tall / scale; }); }"""
    )
    assert heights[0] == pytest.approx(10, abs=1.5)
    assert heights[1] == pytest.approx(10 / 4, abs=1.5), "a quarter of the other's samples"


def test_processes_are_chosen_with_their_threads(open_page: OpenPage) -> None:
    profile = phases()
    page = open_timed(open_page, profile)
    page.locator("#threads summary").click()
    page.locator("#thread-list label.process", has_text="process 20").click()
    settle(page)
    assert page.evaluate("window.dtraceProfiler.page.tree.total[0]") == profile.total * 4 // 5
    assert page.locator("#threads summary").inner_text() == "Threads 1/2"


def test_a_profile_without_times_has_no_timeline(open_page: OpenPage) -> None:
    builder = ProfileBuilder()
    builder.add_sample(0, builder.add_thread(1, 1), builder.add_stack([python("f", "m")]), 5)
    page = open_page(builder.snapshot(Meta()))
    assert page.locator("#time").is_hidden()
    assert shown_tree(page) == {(): (0, 5), ("f",): (5, 5)}
