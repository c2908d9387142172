"""The page in a real browser: what it shows is what the profile holds, and all of it can be done by keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from page_browser import wait_for
from page_profiles import HOSTILE, empty, forest, hostile, shop

from dtrace_profiler.formats.facts import facts, losses
from dtrace_profiler.formats.names import shown
from dtrace_profiler.formats.palette import palettes, shade_of
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.identity import Identity
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.top import top_functions
from dtrace_profiler.model.tree import CallTree

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

OpenPage = Callable[..., "Page"]
Path = tuple[tuple[str, str, str, int], ...]

TREE = """() => {
  const { tree, functions } = window.dtraceProfiler.page;
  const rows = [];
  const { parent, fn, self, total } = tree;
  for (let n = 0; n < tree.length; n++) rows.push([parent.data[n], fn.data[n], self[n], total[n]]);
  return JSON.stringify({ rows, functions: functions.list.map((fn) => [fn.name, fn.module, fn.file, fn.line]) });
}"""


def page_tree(page: Page) -> dict[Path, tuple[int, int]]:
    """Self and total by path, as the page has them."""
    data = json.loads(page.evaluate(TREE))
    functions = [tuple(function) for function in data["functions"]]
    paths: list[Path] = [()]
    out = {}
    for parent, function, own, total in data["rows"][1:]:
        path = (*paths[parent], functions[function])
        paths.append(path)
        if total:
            assert path not in out
            out[path] = (own, total)
    return out


def call_tree(profile: Profile, **options: Any) -> dict[Path, tuple[int, int]]:
    tree = CallTree.from_profile(profile, **options)
    return {
        tuple((f.function_name, f.module_name, f.file, f.line) for f in tree.stack(node)): (
            tree.self_value[node],
            tree.total[node],
        )
        for node in range(1, len(tree))
        if tree.total[node]
    }


def visible(page: Page) -> list[str]:
    """Names of the boxes that are drawn, row by row."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => { const { graph, tree, functions } = window.dtraceProfiler.page;
        return graph.visibleNodes().map((n) => n ? functions.list[tree.fn.data[n]].label : "all"); }"""
    )


def node_called(page: Page, name: str) -> int:
    return page.evaluate(  # type: ignore[no-any-return]
        """(name) => { const { tree, functions } = window.dtraceProfiler.page;
        for (let n = 1; n < tree.length; n++) if (functions.list[tree.fn.data[n]].name === name) return n;
        return -1; }""",
        name,
    )


def point_of(page: Page, name: str) -> tuple[float, float]:
    point = page.evaluate("(node) => window.dtraceProfiler.page.graph.pointOf(node)", node_called(page, name))
    return point["x"], point["y"]


def settle(page: Page) -> None:
    """Until the next picture is drawn and the table filled."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => setTimeout(done))))")


def path(page: Page) -> str:
    return " ".join(page.locator("#path li").all_inner_texts())


# What it shows.


@pytest.mark.parametrize("by", ["function", "line"])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("profile", [shop(), hostile(), forest(3_000)], ids=["shop", "hostile", "forest"])
def test_the_tree_is_the_profiles(open_page: OpenPage, profile: Profile, inverted: bool, by: Identity) -> None:
    page = open_page(profile, f"#by={by}" + ("&view=leaf-first" if inverted else ""))
    assert page_tree(page) == call_tree(profile, by=by, inverted=inverted)
    assert page.evaluate("window.dtraceProfiler.page.tree.total[0]") == profile.total


def test_children_are_in_the_trees_order(open_page: OpenPage) -> None:
    profile = shop()
    tree = CallTree.from_profile(profile)
    expected = ["all"]
    row = [0]
    while row:
        row = [child for node in row for child in tree.children(node)]
        expected += [tree.frames[tree.frame[node]].function_name for node in row]
    assert visible(open_page(profile)) == expected


def test_threads_are_chosen(open_page: OpenPage) -> None:
    profile = shop()
    page = open_page(profile)
    page.locator("#threads summary").click()
    page.locator("#thread-list label", has_text="MainThread").click()
    settle(page)
    assert page_tree(page) == call_tree(profile, threads=[1])
    assert page.locator("#threads summary").inner_text() == "Threads 1/2"
    page.locator("#thread-list button", has_text="None").click()
    assert "Nothing is left to show." in page.locator("#empty").inner_text()
    page.locator("#thread-list button", has_text="All").click()
    assert page_tree(page) == call_tree(profile)
    assert page.locator("#empty").is_hidden()


def test_hidden_kinds_give_their_values_to_their_callers(open_page: OpenPage) -> None:
    profile = shop()
    page = open_page(profile)
    for kind in ("native", "inlined", "kernel", "unknown"):
        page.locator(f"#legend button[data-kind={kind}]").click()
    tree = page_tree(page)
    assert {frame[0] for stack in tree for frame in stack} <= {
        frame.function_name for frame in profile.frames if frame.kind == FrameKind.PYTHON
    }
    thumbnail = next(values for stack, values in tree.items() if stack[-1][0] == "thumbnail")
    assert thumbnail == (400, 400)
    assert page.evaluate("window.dtraceProfiler.page.tree.total[0]") == profile.total


@pytest.mark.parametrize("unit", ["samples", "nanoseconds"])
def test_the_table_is_the_list_of_top_functions(open_page: OpenPage, unit: str) -> None:
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    a, b, c = (StackFrame(name, "m", kind=FrameKind.PYTHON) for name in "abc")
    for at in range(60):
        builder.add_sample(at, thread, builder.add_stack([a, b, a][: 1 + at % 3]), 1 if unit == "samples" else 1 + at)
    builder.add_sample(99, thread, builder.add_stack([c]), 1)
    profile = builder.snapshot(Meta(unit=unit))  # type: ignore[arg-type]
    page = open_page(profile)
    rows = [row.split("\n") for row in page.locator("#table tbody tr").all_inner_texts()]
    shown_rows = [re.findall(r"[\d.]+ %|± [\d.]+|\b[abc]\b", " ".join(row)) for row in rows]

    def percent(value: float) -> str:
        share = 100 * value / profile.total
        return f"{share:.1f} %" if share >= 9.995 else f"{share:.2f} %"

    def error(value: float) -> str:
        points = 100 * value / profile.total
        return f"± {points:.0f}" if points >= 9.95 else f"± {points:.1f}" if points >= 0.995 else f"± {points:.2f}"

    assert shown_rows == [
        [
            percent(top.self_value),
            error(top.self_error),
            percent(top.total),
            error(top.total_error),
            top.frame.function_name,
        ]
        for top in top_functions(profile)
    ]


def test_the_table_is_sorted_as_asked(open_page: OpenPage) -> None:
    page = open_page(shop())
    names = page.locator("#table .fn")
    assert names.first.inner_text() == "clip8"
    page.locator("#table th.total button").click()
    settle(page)
    assert names.first.inner_text() == "<module>"
    assert page.locator("#table th.total").get_attribute("aria-sort") == "descending"
    page.locator("#table th.name button").click()
    settle(page)
    assert names.all_inner_texts() == sorted(names.all_inner_texts())


def test_says_what_it_is_of_as_the_svg_does(open_page: OpenPage) -> None:
    profile = shop(losses={"drops": 37, "walk_faults_stacks": 4, "none": 0}, notes=["Kernel frames need root."])
    page = open_page(profile)
    assert page.locator("#title").inner_text() == "python -m shop --workers 1 --port 8080"
    assert page.locator("#facts li").all_inner_texts() == facts(profile)
    assert page.locator("#losses").inner_text() == f"Incomplete: {' · '.join(losses(profile))}"
    assert page.locator("#notes li").all_inner_texts() == ["Kernel frames need root."]
    nanoseconds = ProfileBuilder()
    nanoseconds.add_sample(0, nanoseconds.add_thread(1, 1), nanoseconds.add_stack([StackFrame("f")]), 12_345_678)
    for other in (
        empty(),
        shop(duration_ns=4 * 3600 * 10**9, engine="folded", frequency_hz=0, versions={}),
        nanoseconds.snapshot(Meta(engine="sampler", unit="nanoseconds", frequency_hz=99, duration_ns=250_000)),
    ):
        page = open_page(other)
        assert page.locator("#facts li").all_inner_texts() == facts(other)
        assert page.locator("#losses").is_hidden()
        assert page.locator("#notes").is_hidden()


def test_an_empty_profile_is_said_in_words(open_page: OpenPage) -> None:
    page = open_page(empty())
    assert "This profile holds no sample." in page.locator("#empty").inner_text()
    page.keyboard.press("i")
    page.keyboard.press("ArrowDown")
    page = open_page(empty(losses={"drops": 5}))
    assert "Samples were lost" in page.locator("#empty").inner_text()


def test_what_is_left_out_of_a_large_file_is_said(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    from dtrace_profiler.formats import html, page_data

    monkeypatch.setattr(html, "page_data", lambda p, title: page_data.page_data(p, title=title, max_nodes=500))
    profile = forest(20_000)
    for view in ("", "#view=leaf-first"):
        page = open_page(profile, view)
        assert re.search(r"[\d,]+ of the narrowest call paths are left out", page.locator("#notes").inner_text())
        assert page.evaluate("window.dtraceProfiler.page.tree.total[0]") == profile.total


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ratio", [1, 2])
def test_boxes_have_the_colours_of_their_kinds(open_page: OpenPage, theme: str, ratio: int) -> None:
    page = open_page(shop(), color_scheme=theme, device_scale_factor=ratio)
    expected = {
        "worker": ("shop.queue", "python"),
        "resample_lanczos": ("_imaging.so", "native"),
        "clip8": ("_imaging.so", "inlined"),
        "do_epoll_wait": ("vmlinux", "kernel"),
    }
    got = page.evaluate(
        """(nodes) => { const { graph } = window.dtraceProfiler.page;
        const { canvas, renderer } = graph, area = canvas.getBoundingClientRect(), ratio = devicePixelRatio;
        const { data } = renderer.context.getImageData(0, 0, canvas.width, canvas.height);
        return nodes.map((node) => { const at = graph.pointOf(node);
          const x = Math.round((at.x - area.left) * ratio), y = Math.round((at.y - area.top - 7) * ratio);
          const [red, green, blue] = data.subarray(4 * (y * canvas.width + x));
          return "#" + [red, green, blue].map((c) => c.toString(16).padStart(2, "0")).join(""); }); }""",
        [node_called(page, name) for name in expected],
    )
    assert got == [
        palettes()[theme].shades[kind][shade_of(module, name)] for name, (module, kind) in expected.items()
    ]


def test_hovering_tells_name_place_and_shares_with_error(open_page: OpenPage) -> None:
    page = open_page(shop())
    page.mouse.move(*point_of(page, "Index.score"))
    text = page.locator("#tip").inner_text()
    assert [line for line in text.splitlines() if line][:3] == [
        "Index.score",
        "Python · shop.index",
        "/srv/shop/shop/index.py:90",
    ]
    # 160 of 1369: 11.69 %, and the root of p (1 - p) / n is 0.87 points.
    assert re.search(r"Total\s+11\.7 %\s+± 0\.87\s+160 samples", text)
    assert re.search(r"Self\s+11\.7 %\s+± 0\.87\s+160 samples", text)
    page.mouse.move(*point_of(page, "Template._walk"))
    assert "Total" in page.locator("#tip").inner_text()
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_hidden()


# What can be done with it.


def test_a_click_zooms_and_the_way_back_is_shown(open_page: OpenPage) -> None:
    page = open_page(shop())
    page.mouse.click(*point_of(page, "search"))
    settle(page)
    assert path(page) == "all <module> main Server.handle Router.dispatch search"
    assert visible(page)[:7] == [
        "all",
        "<module>",
        "main",
        "Server.handle",
        "Router.dispatch",
        "search",
        "Index.query",
    ]
    assert "escape" not in visible(page)
    page.locator("#path button", has_text="main").click()
    settle(page)
    assert "escape" in visible(page)
    assert "worker" not in visible(page)
    page.locator("#path .reset").click()
    settle(page)
    assert path(page) == "all"
    assert "worker" in visible(page)
    page.go_back()
    settle(page)
    assert path(page) == "all <module> main"


def test_search_marks_and_tells_the_share(open_page: OpenPage) -> None:
    page = open_page(shop())
    box, found = page.locator("#search"), page.locator("#found")
    box.fill("index.")
    assert found.inner_text() == "24.8 % ± 1.2"
    settle(page)
    assert page.locator("#table tbody tr").count() == 3
    box.fill("/^_.*walk$|^clip8$/")
    # 210 + 90 + 260 of 1369: a recursive function counts once.
    assert found.inner_text() == "19.0 % ± 1.1"
    box.fill("/walk$|^clip8$/")
    assert found.inner_text() == "40.9 % ± 1.3"
    box.fill("/WALK$/i")
    assert found.inner_text() == "21.9 % ± 1.1"
    box.fill('"main"')
    assert found.inner_text() == "56.8 % ± 1.3"
    box.fill("/(/")
    assert found.inner_text() == "not a regular expression"
    box.fill("nowhere to be found")
    assert found.inner_text() == "0.0 % ± 0.00"
    box.fill("")
    assert found.inner_text() == ""


def test_the_share_of_a_search_is_the_same_leaf_first(open_page: OpenPage) -> None:
    profile = forest(3_000)
    for search in ("function_1", "/[37]$/", "module_5"):
        shares = [open_page(profile, f"#search={search}{view}").locator("#found").inner_text()
                  for view in ("", "&view=leaf-first")]  # fmt: skip
        assert shares[0] == shares[1] != ""


def test_a_function_of_the_table_is_found_in_the_graph(open_page: OpenPage) -> None:
    page = open_page(shop())
    page.locator("#table button", has_text="resample_lanczos").click()
    assert page.locator("#search").input_value() == '"resample_lanczos"'
    assert page.locator("#found").inner_text() == "29.2 % ± 1.2"


def test_everything_goes_by_keys(open_page: OpenPage) -> None:
    page = open_page(shop())
    press = page.keyboard.press
    spoken = page.locator("#spoken")
    for _ in range(40):
        press("Tab")
        if page.evaluate("document.activeElement.id") == "graph":
            break
    else:
        pytest.fail("Tab does not lead to the graph")
    press("ArrowDown")
    assert spoken.inner_text().startswith("<module>. Total 56.8 % ± 1.3, Self 0.0 %")
    press("ArrowRight")
    assert spoken.inner_text().startswith("Thread._bootstrap.")
    press("ArrowLeft")
    press("ArrowDown")
    press("ArrowDown")
    assert spoken.inner_text().startswith("Server.handle.")
    assert page.locator("#tip").is_visible()
    press("Enter")
    settle(page)
    assert path(page) == "all <module> main Server.handle"
    press("Backspace")
    settle(page)
    assert path(page) == "all <module> main"
    press("Escape")
    settle(page)
    assert path(page) == "all"
    press("/")
    page.keyboard.type("lock")
    press("Escape")
    assert page.locator("#search").input_value() == ""
    press("Escape")
    press("/")
    page.keyboard.type("walk")
    press("Enter")
    assert spoken.inner_text().startswith("Template._walk.")
    press("n")
    press("n")
    assert spoken.inner_text().startswith("Template._walk.")
    press("i")
    assert page.locator("input[value=leaf-first]").is_checked()
    press("f")
    assert page.locator("input[value=flames]").is_checked()
    press("2")
    assert page.locator("#legend button[data-kind=native]").get_attribute("aria-pressed") == "false"
    before = page.locator("html").get_attribute("data-theme")
    press("d")
    assert page.locator("html").get_attribute("data-theme") != before
    press("?")
    assert page.locator("#help").is_visible()
    press("Escape")
    assert page.locator("#help").is_hidden()
    press("t")
    assert page.evaluate("document.activeElement.closest('table').id") == "table"


def test_flames_have_their_root_at_the_bottom(open_page: OpenPage) -> None:
    page = open_page(shop(), "#shape=flames")
    assert point_of(page, "main")[1] > point_of(page, "search")[1]
    page.mouse.click(*point_of(page, "search"))
    settle(page)
    assert path(page).endswith("search")
    page.keyboard.press("ArrowUp")
    assert page.locator("#spoken").inner_text().startswith("Index.query.")


def test_the_address_keeps_the_state(open_page: OpenPage) -> None:
    page = open_page(shop())
    page.locator("input[value=leaf-first]").check(force=True)
    page.locator("#search").fill("/walk & more|thumb/ #%")
    page.select_option("#order", "weight")
    page.keyboard.press("Escape")
    page.locator("#legend button[data-kind=kernel]").click()
    page.mouse.click(*point_of(page, "resample_lanczos"))
    settle(page)
    before = (page.url, visible(page), path(page), page.locator("#search").input_value())
    page.reload()
    wait_for(page, "window.dtraceProfiler?.firstDraw > 0")
    settle(page)
    assert (page.url, visible(page), path(page), page.locator("#search").input_value()) == before
    assert "zoom=" in page.url
    assert "order=weight" in page.url
    assert page.locator("#legend button[data-kind=kernel]").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize(
    "address",
    [
        "#zoom=999999",
        "#zoom=-1",
        "#zoom=3.1",
        "#view=leaf-first&zoom=3.99",
        "#view=leaf-first&zoom=3",
        "#zoom=x&hide=y",
        "#threads=7",
        "#threads=x",
        "#search=%",
        "#search=/(/",
        "#%E0%A4%A",
        "#by=address&order=none&table=no",
    ],
)
def test_an_address_of_nonsense_is_no_error(open_page: OpenPage, address: str) -> None:
    page = open_page(shop(), address)
    settle(page)
    assert page.locator("#title").inner_text().startswith("python -m shop")


def test_an_address_can_be_changed_by_hand(open_page: OpenPage) -> None:
    page = open_page(shop())
    page.evaluate("location.hash = 'view=leaf-first&search=walk'")
    wait_for(page, "document.getElementById('search').value === 'walk'")
    assert page.locator("input[value=leaf-first]").is_checked()


# What it stands.


def test_hostile_names_are_text(open_page: OpenPage) -> None:
    page = open_page(hostile())
    assert page.evaluate("window.hacked") is None
    names = page.locator("#table .fn").all_inner_texts()
    for name in HOSTILE:
        label = re.sub(r"\s+", " ", shown(name)).strip()
        assert label in names, name
    assert page.locator("#notes li").count() == len(HOSTILE)
    page.mouse.move(*point_of(page, HOSTILE[0]))
    assert page.locator("#tip .tip-name").inner_text() == HOSTILE[0]
    page.locator("#threads summary").click()
    assert page.locator("#thread-list img, #thread-list script").count() == 0
    for name in HOSTILE[:8]:
        page.mouse.click(*point_of(page, name))
        settle(page)
        page.keyboard.press("Escape")
        settle(page)
    assert page.evaluate("window.hacked") is None


def test_names_are_shown_as_python_shows_them(open_page: OpenPage) -> None:
    page = open_page(hostile())
    labels = page.evaluate("window.dtraceProfiler.page.functions.list.map((fn) => fn.label)")
    assert labels == ["start", *map(shown, HOSTILE)]


def test_a_stack_of_100_000_frames(open_page: OpenPage) -> None:
    builder = ProfileBuilder()
    frames = [StackFrame(f"f{i % 3}", kind=FrameKind.PYTHON) for i in range(100_000)]
    builder.add_sample(0, builder.add_thread(1, 1), builder.add_stack(frames), 5)
    profile = builder.snapshot(Meta())
    page = open_page(profile)
    assert page.evaluate("window.dtraceProfiler.page.tree.length") == 100_001
    page.locator("#graph").focus()
    for _ in range(60):
        page.keyboard.press("ArrowDown")
    assert page.locator("#spoken").inner_text().endswith("Depth 60.")
    assert page.evaluate("document.getElementById('graph').scrollTop") > 100
    page.keyboard.press("Enter")
    settle(page)
    page.keyboard.press("i")
    settle(page)
    assert page.locator("#table tbody tr").count() == 3


@pytest.mark.parametrize("width", [400, 1000, 3840])
def test_fits_any_width(open_page: OpenPage, width: int) -> None:
    page = open_page(shop(), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    canvas = page.locator("#graph canvas").bounding_box()
    assert canvas is not None
    assert canvas["width"] > 0.6 * width
    assert canvas["height"] > 300
    page.set_viewport_size({"width": 700, "height": 500})
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert point_of(page, "worker")[0] < 700


def test_a_touch_tells_and_a_second_one_zooms(open_page: OpenPage) -> None:
    page = open_page(shop(), has_touch=True, viewport={"width": 400, "height": 800})
    at = point_of(page, "worker")
    page.touchscreen.tap(*at)
    assert page.locator("#tip .tip-name").inner_text() == "worker"
    assert path(page) == "all"
    page.touchscreen.tap(*at)
    settle(page)
    assert path(page) == "all Thread._bootstrap Thread.run worker"


def test_motion_ends_where_it_should(open_page: OpenPage) -> None:
    page = open_page(shop(), reduced_motion="no-preference")
    page.mouse.click(*point_of(page, "worker"))
    wait_for(page, "window.dtraceProfiler.page.graph.motion === null")
    settle(page)
    assert visible(page)[:5] == ["all", "Thread._bootstrap", "Thread.run", "worker", "pack"]


def test_deltas_give_the_tree_of_the_whole(open_page: OpenPage) -> None:
    """What a running profiler will send: new strings, frames and nodes, and what was added to the values."""
    page = open_page(shop())
    result = page.evaluate(
        """() => { const { store, page } = window.dtraceProfiler;
        const frame = store.strings.length;
        const delta = { seq: 1, strings: ["late"], frames: { name: [frame], module: [0], file: [0], line: [1],
          first_line: [1], kind: [0], glue: [0] }, nodes: { parent: [0], frame: [store.frameCount] },
          values: { thread: [0, 0], node: [store.nodeCount, store.values.node.data[0]], value: [7, 3] } };
        const node = store.values.node.data[0];
        const before = page.tree.self[page.tree.ofNode.data[node]];
        const taken = [store.apply(delta), store.apply(delta), store.apply({ seq: 0, strings: ["old"] })];
        page.functions.extend(); page.tree.update();
        const fresh = new page.tree.constructor(store, page.functions, page.tree.shape, page.tree.counts);
        const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);
        return { taken, added: page.tree.self[page.tree.ofNode.data[node]] - before, total: page.tree.total[0],
          same: same([...fresh.total], [...page.tree.total]) && same([...fresh.children], [...page.tree.children]) };
        }"""
    )
    assert result == {"taken": [True, False, False], "added": 3, "total": shop().total + 10, "same": True}


def test_what_is_asked_between_a_delta_and_its_picture(open_page: OpenPage) -> None:
    """A key or a click may come at any time: new functions must not be taken for others."""
    page = open_page(shop())
    result = page.evaluate(
        """() => { const { store, page } = window.dtraceProfiler;
        const name = store.strings.length;
        page.grow({ seq: 1, strings: ["late"], frames: { name: [name], module: [0], file: [0], line: [1],
          first_line: [1], kind: [0], glue: [0] }, nodes: { parent: [-1], frame: [store.frameCount] },
          values: { thread: [0], node: [store.nodeCount], value: [7] } });
        const { now } = page.view.sums();
        const { tree, functions } = page.view;
        const late = functions.list.findIndex((fn) => fn.name === "late");
        return [now.total[late], tree.fn.data[tree.ofNode.data[store.nodeCount - 1]] === late]; }"""
    )
    assert result == [7, True]
