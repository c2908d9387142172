"""What the page makes of functions: focus, hide, collapse, callers and callees, lines, and stacks to copy."""

from __future__ import annotations

import collections
import itertools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from page_profiles import START_NS, native, python, shop
from page_trees import expected_tree, settle, shown_tree

from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

OpenPage = Callable[..., "Page"]


def recursive() -> Profile:
    """Recursion, direct and by way of another; a function that is called from two."""
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    stacks = ["main a b", "main a a b", "main a b a b", "main c b", "main c", "main a a a", "b"]
    for number, names in enumerate(stacks):
        frames = [python(name, "app", line + 10, 1) for line, name in enumerate(names.split())]
        builder.add_sample(START_NS, thread, builder.add_stack(frames), number + 1)
    return builder.snapshot(Meta(engine="dtrace", frequency_hz=99))


def frame_of(page: Page, name: str) -> int:
    return page.evaluate(  # type: ignore[no-any-return]
        "(name) => window.dtraceProfiler.page.functions.list.find((fn) => fn.name === name).frame", name
    )


def names(stack: list[StackFrame]) -> list[str]:
    return [frame.function_name for frame in stack]


def from_function(stack: list[StackFrame], name: str) -> list[StackFrame] | None:
    """From the outermost call of a function on."""
    return stack[names(stack).index(name) :] if name in names(stack) else None


@pytest.mark.parametrize("name", ["a", "b", "main"])
def test_focus_shows_callees_and_callers(open_page: OpenPage, name: str) -> None:
    profile = recursive()
    page = open_page(profile)
    page.evaluate("(focus) => window.dtraceProfiler.page.change({ focus })", frame_of(page, name))
    assert shown_tree(page) == expected_tree(profile, lambda stack: from_function(stack, name))
    page.keyboard.press("i")

    def callers(stack: list[StackFrame]) -> list[StackFrame] | None:
        return stack[: names(stack).index(name) + 1][::-1] if name in names(stack) else None

    assert shown_tree(page) == expected_tree(profile, callers)
    assert f"Callers of\n{name}" in page.locator("#filters").inner_text()
    page.reload()
    page.locator("#filters button").click()
    assert shown_tree(page) == expected_tree(profile, lambda stack: stack[::-1])


def test_a_hidden_function_gives_its_time_to_its_callers(open_page: OpenPage) -> None:
    profile = recursive()
    page = open_page(profile)
    page.evaluate("(frame) => window.dtraceProfiler.page.change({ without: new Set([frame]) })", frame_of(page, "a"))
    assert shown_tree(page) == expected_tree(profile, lambda s: [f for f in s if f.function_name != "a"])
    page.keyboard.press("i")
    assert shown_tree(page) == expected_tree(profile, lambda s: [f for f in s[::-1] if f.function_name != "a"])


def test_recursion_is_collapsed(open_page: OpenPage) -> None:
    profile = recursive()
    page = open_page(profile)

    def once(stack: list[StackFrame]) -> list[StackFrame]:
        return [f for at, f in enumerate(stack) if not at or stack[at - 1].function_name != f.function_name]

    page.keyboard.press("r")
    assert shown_tree(page) == expected_tree(profile, once)
    page.keyboard.press("i")
    assert shown_tree(page) == expected_tree(profile, lambda stack: once(stack)[::-1])
    assert page.locator("#collapse").get_attribute("aria-pressed") == "true"


def test_the_interpreters_own_frames_are_collapsed(open_page: OpenPage) -> None:
    builder = ProfileBuilder()
    loop = native("_PyEval_EvalFrameDefault", "libpython3.13.so")
    call, sort = native("_PyObject_VectorcallTstate", "libpython3.13.so"), native("list_sort", "libpython3.13.so")
    stack = [loop, python("main", "app"), call, loop, python("work", "app"), call, sort]
    builder.add_sample(START_NS, builder.add_thread(1, 1), builder.add_stack(stack), 3)
    profile = builder.snapshot(Meta(frequency_hz=99))
    page = open_page(profile)
    assert shown_tree(page) == expected_tree(profile)
    page.keyboard.press("g")

    def own(stack: list[StackFrame]) -> list[StackFrame]:
        return [frame for frame in stack if frame.function_name in ("main", "work", "list_sort")]

    assert shown_tree(page) == expected_tree(profile, own)
    page.keyboard.press("i")
    assert shown_tree(page) == expected_tree(profile, lambda stack: own(stack)[::-1])
    assert page.locator("#glue").get_attribute("aria-pressed") == "true"
    assert open_page(recursive()).locator("#glue").is_hidden()


@pytest.mark.parametrize("profile", [recursive(), shop()], ids=["recursive", "shop"])
def test_callers_and_callees_count_each_stack_once(open_page: OpenPage, profile: Profile) -> None:
    page = open_page(profile)
    around = json.loads(
        page.evaluate(
            """() => { const { tree, functions } = window.dtraceProfiler.page;
            const named = (map) => [...map].map(([fn, value]) => [fn < 0 ? "" : functions.list[fn].name, value]);
            return JSON.stringify(functions.list.map((fn, id) => { const { callers, callees } = tree.around(id);
              return [fn.name, named(callers), named(callees)]; })); }"""
        )
    )
    callers: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    callees: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for node, value in profile.stack_values().items():
        stack = ["", *names(list(profile.stack(node)))]
        for caller, callee in set(itertools.pairwise(stack)):
            callers[callee][caller] += value
            callees[caller][callee] += value
    assert len({name for name, _, _ in around}) == len(around)
    for name, found_callers, found_callees in around:
        assert dict(found_callers) == dict(callers[name])
        assert dict(found_callees) == dict(callees[name])


def test_what_is_told_about_a_function(open_page: OpenPage) -> None:
    profile = shop()
    page = open_page(profile)
    page.locator("#table tr", has_text="Index.score").locator("button").click()
    settle(page)
    details = page.locator("#details")
    assert details.locator("h2").inner_text() == "Index.score"
    assert "/srv/shop/shop/index.py:90" in details.inner_text()
    assert details.locator("table", has_text="Callers").inner_text().split("\n")[1:] == ["11.7 %\t", "Index.query"]
    rows = [row.split("\t") for row in details.locator(".source tbody").inner_text().splitlines()]
    assert ["11.7 %", "11.7 %", "96"] in [[cell.strip() for cell in row[:3]] for row in rows]
    assert "The text of the file is not in this page." in details.inner_text()
    details.get_by_role("button", name="Index.query").click()
    settle(page)
    assert details.locator("h2").inner_text() == "Index.query"
    details.get_by_role("button", name="Graph of callees").click()
    assert shown_tree(page) == expected_tree(profile, lambda stack: from_function(stack, "Index.query"))
    for _ in range(4):
        page.keyboard.press("Escape")
    assert shown_tree(page) == expected_tree(profile)
    settle(page)
    assert details.is_hidden()


def test_functions_by_keys_alone(open_page: OpenPage) -> None:
    profile = shop()
    page = open_page(profile)
    page.locator("#graph").focus()
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("v")
    settle(page)
    name = page.locator("#details h2").inner_text()
    assert name == "search"
    page.keyboard.press("o")
    settle(page)
    assert shown_tree(page) == expected_tree(profile, lambda stack: from_function(stack, "search"))
    page.locator("#graph").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    assert page.locator("#filters li").count() == 2


def test_the_stack_is_copied(open_page: OpenPage) -> None:
    page = open_page(shop(), permissions=["clipboard-read", "clipboard-write"])
    page.locator("#graph").focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    settle(page)
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == [
        "<module> (/srv/shop/__main__.py:1)",
        "main (/srv/shop/shop/app.py:30)",
        "Server.handle (/srv/shop/shop/http.py:96)",
    ]


def test_siblings_in_the_order_in_which_they_were_seen(open_page: OpenPage) -> None:
    builder = ProfileBuilder()
    for name in ("m", "z", "a"):
        builder.add_sample(0, builder.add_thread(1, 1), builder.add_stack([python("root", "r"), python(name, "r")]))
    page = open_page(builder.snapshot(Meta()))
    row = "window.dtraceProfiler.page.graph.visibleNodes().slice(2).map((n) => window.dtraceProfiler.page"
    row += ".functions.list[window.dtraceProfiler.page.tree.fn.data[n]].name).join('')"
    assert page.evaluate(row) == "amz"
    page.locator("#order").select_option("seen")
    settle(page)
    assert page.evaluate(row) == "mza"
