"""The view, driven by keys and mouse, without a terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from growing_sources import Growing, server
from rich.cells import cell_len
from textual.pilot import Pilot

from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Meta
from dtrace_profiler.terminal.app import TerminalView
from dtrace_profiler.terminal.colours import FEW, MANY, NONE, TRUE_COLOUR, Look
from dtrace_profiler.terminal.growth import WholeProfile

Play = Callable[[TerminalView, Pilot[None]], Awaitable[None]]


def shown_lines(view: TerminalView) -> list[str]:
    """What is on the screen, a text a line."""
    width, height = view.size
    lines = view.screen._compositor.render_strips()
    assert len(lines) == height
    assert all(line.cell_length == width for line in lines)
    return [line.text for line in lines]


def screen(view: TerminalView) -> str:
    return "\n".join(shown_lines(view))


def play(
    source: object, script: Play, size: tuple[int, int] = (100, 30), colours: int = TRUE_COLOUR, **more: object
) -> None:
    async def run() -> None:
        view = TerminalView(source, look=Look(colours), **more)  # type: ignore[arg-type]
        async with view.run_test(size=size) as pilot:
            await pilot.pause()
            await script(view, pilot)

    # In a thread of its own: this one may have the event loop of the browser tests.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()


def tick(view: TerminalView) -> None:
    view.follow(everything=True)


@pytest.mark.parametrize("colours", [NONE, FEW, MANY, TRUE_COLOUR])
@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
def test_it_says_what_was_sampled(size: tuple[int, int], colours: int) -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        text = screen(view)
        for words in ("live", "./server", "DTrace 99 Hz", "12 s", "nothing lost", "100 samples", "all, root first"):
            assert words in text
        for name in ("main", "work", "parse", "wait"):
            assert name in text
        assert ("75.0%" in text) == (size[1] > 10)  # the table

    play(server(), script, size, colours)


def test_it_grows() -> None:
    source = Growing()

    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        assert "No sample yet." in screen(view)
        assert "idle, or waits" in screen(view)
        source.sample("main", "first", count=3)
        tick(view)
        await pilot.pause()
        assert "first" in screen(view)
        assert "No sample" not in screen(view)
        source.sample("main", "second", count=3)
        tick(view)
        await pilot.pause()
        assert "second" in screen(view)
        assert "6 samples" in screen(view)

    play(source, script)


def test_the_end_is_said() -> None:
    source = server()

    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        source.sample("main", "last")
        source.running = False
        tick(view)
        await pilot.pause()
        assert "ended" in screen(view)
        assert "101 samples" in screen(view)
        await pilot.press("q")
        await pilot.pause()
        assert not view.is_running

    play(source, script)


def test_an_empty_profile_is_explained() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        assert "This profile holds no sample." in screen(view)
        assert "never seen on a CPU" in screen(view)

    play(Growing(running=False), script)


def test_losses_are_seen_in_the_smallest_terminal() -> None:
    source = server()
    source.losses = {"drops": 7, "truncated_stacks": 2}

    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        assert "incomplete: records dropped" in screen(view)
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert "incomplete: records dropped by dtrace, its buffer was full (7) and 1 more" in screen(view)

    play(source, script, (40, 10))


def test_idleness_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        view._status._last_sample -= 60
        tick(view)
        await pilot.pause()
        assert re.search(r"live, idle for 6\d s", screen(view))

    play(server(), script)


def test_pause_holds_the_picture_and_loses_nothing() -> None:
    source = server()

    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        source.sample("later", count=50)
        tick(view)
        await pilot.pause()
        assert "paused" in screen(view)
        assert "later" not in screen(view)
        await pilot.press("space")
        await pilot.pause()
        assert "later" in screen(view)
        assert "150 samples" in screen(view)

    play(source, script)


def test_search() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"pars")
        await pilot.pause()
        assert "matched 50.0 %" in screen(view)  # while it is typed
        await pilot.press("enter", "n")
        await pilot.pause()
        assert "matched 50.0 %: pars" in screen(view)
        assert view.state.selected is not None
        assert view.state.function(view.state.selected).function_name == "parse"
        await pilot.press("escape")
        await pilot.pause()
        assert "matched" not in screen(view)
        await pilot.press("slash", *"/(/")
        await pilot.pause()
        assert "search: missing ), unterminated subpattern" in screen(view)
        await pilot.press("escape")
        assert view.state.query == ""

    play(server(), script)


def test_moving_and_zoom() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        def name() -> str:
            assert view.state.selected is not None
            return view.state.function(view.state.selected).function_name

        await pilot.press("down", "down")
        assert name() == "main"
        await pilot.press("left")
        assert name() == "helper"
        await pilot.press("right", "down")
        assert name() == "work"
        await pilot.press("enter")
        await pilot.pause()
        assert "75.0 % of all" in screen(view)
        assert "wait" not in shown_lines(view)[3]
        await pilot.press("backspace")
        assert view.state.function(view.state.zoom).function_name == "main"
        await pilot.press("escape")
        assert view.state.zoom == 0

    play(server(), script)


def test_mouse() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        x, y = next((line.index("work"), y) for y, line in enumerate(shown_lines(view)) if "work" in line)
        await pilot.hover(offset=(x, y))
        await pilot.pause()
        assert "75 samples, self 0.0 %" in screen(view)
        await pilot.click(offset=(x, y))
        await pilot.pause()
        assert view.state.function(view.state.zoom).function_name == "work"
        await pilot.click(offset=(x, view._graph.region.y))
        assert view.state.function(view.state.zoom).function_name == "main"
        table = view._table.region
        await pilot.click(offset=(12, table.y))
        await pilot.pause()
        assert view.state.order == "total"
        assert "main" in shown_lines(view)[table.y + 1]
        await pilot.click(offset=(30, table.y + 1))
        await pilot.pause()
        assert 'matched 95.0 %: "main"' in screen(view)

    play(server(), script)


def test_threads() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        await pilot.press("T")
        await pilot.pause()
        assert "[x]    95.0 %  thread 1 of process 1" in screen(view)
        await pilot.press("down", "enter", "escape")
        await pilot.pause()
        assert "1 of 2 threads" in screen(view)
        assert "helper" in screen(view)
        assert "parse" not in screen(view)
        await pilot.press("T", "a", "escape")
        await pilot.pause()
        assert "parse" in screen(view)
        await pilot.press("T", "space", "down", "space", "escape")
        await pilot.pause()
        assert "Nothing is left to show." in screen(view)

    play(server(), script)


def test_leaf_first() -> None:
    source = server()

    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        await pilot.press("i")
        await pilot.pause()
        lines = shown_lines(view)
        assert "leaf first" in lines[1]
        assert "parse" in lines[2]
        source.sample("main", "work", "new", count=100)
        tick(view)
        await pilot.pause()
        assert "new" in shown_lines(view)[2]
        await pilot.press("i")
        await pilot.pause()
        assert "main" in shown_lines(view)[2]

    play(source, script)


def test_a_small_terminal_shows_one_or_the_other() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        assert "function" not in screen(view)
        await pilot.press("t")
        await pilot.pause()
        assert "self▾" in screen(view)
        assert "root first" not in screen(view)
        await pilot.press("t")
        await pilot.pause()
        assert "root first" in screen(view)

    play(server(), script, (40, 10))


def test_the_keys_are_listed() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert "root first or leaf first" in screen(view)
        await pilot.press("escape")
        await pilot.pause()
        assert "all, root first" in screen(view)

    play(server(), script)


def test_what_the_program_prints_can_be_looked_at() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        await pilot.press("o")
        await pilot.pause()
        assert "round 1" in screen(view)
        assert "\\u{1b}[31mred" in screen(view)

    play(server(), script, tail=lambda: ["round 1", "\x1b[31mred"])


def test_ctrl_c_and_closing_are_the_callers() -> None:
    asked: list[str] = []

    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+c")
        assert asked == ["interrupt"]
        assert view.is_running
        asked.append("close")
        view._tick()
        await pilot.pause()
        assert not view.is_running

    play(server(), script, interrupt=lambda: asked.append("interrupt"), closing=lambda: "close" in asked)


HOSTILE = [
    "\x1b[2J\x1b[31mred\x07",
    "line\nbreak\tand\rreturn",
    "\u202egnp.exe\u200f",
    "漢字カナ" * 5,
    "x" * 10_240,
    "[bold red]markup[/]",
    "e\u0301" * 30,
    "",
    "   ",
    "\ud800half",
    "👩‍💻 code",
]


@pytest.mark.parametrize("size", [(40, 10), (81, 25)])
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_names_are_text(hostile: str, size: tuple[int, int]) -> None:
    source = Growing(target=hostile)
    source.losses = {hostile or "x": 3}
    source.sample("main", hostile, "漢" + hostile, count=9, kind=FrameKind.NATIVE)
    source.sample(hostile, hostile, count=3)

    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        for key in ("down", "down", "enter", "t", "down", "i", "?", "escape", "T", "escape", "/", "x", "enter", "n"):
            await pilot.press(key)
            await pilot.pause()
            for line in shown_lines(view):
                assert cell_len(line) == size[0]
                assert line.isprintable() or all(
                    character.isprintable() or character == "\u0301" for character in line
                )

    play(source, script, size)


def test_every_size() -> None:
    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        for size in ((40, 10), (200, 60), (20, 5), (1, 1), (80, 24), (40, 17), (60, 18)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert len(shown_lines(view)) == size[1]
        assert "./server" in screen(view)
        assert "work" in screen(view)

    play(server(), script)


def test_a_file(tmp_path: Path) -> None:
    from dtrace_profiler.formats import read_profile

    path = tmp_path / "a.folded"
    path.write_text("main;work 3\nmain;wait 1\n")

    async def script(view: TerminalView, pilot: Pilot[None]) -> None:
        assert "profile" in screen(view)
        assert "live" not in screen(view)
        assert "75.0%" in screen(view)

    play(WholeProfile(read_profile(path)), script)
    assert WholeProfile(read_profile(path)).meta() != Meta()
