"""What the page shows, asked of the page; and what it should show, by plain ways over whole stacks."""

from __future__ import annotations

import collections
import json
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Profile

if TYPE_CHECKING:
    from playwright.sync_api import Page

Names = tuple[str, ...]

_TREE = """() => {
  const { tree, functions } = window.dtraceProfiler.page;
  const rows = [];
  const { parent, fn, self, total } = tree;
  for (let n = 0; n < tree.length; n++) {
    rows.push([parent.data[n], n ? functions.list[fn.data[n]].name : "", self[n], total[n]]);
  }
  return JSON.stringify(rows);
}"""


def shown_tree(page: Page) -> dict[Names, tuple[int, int]]:
    """Names from the tree's root on → self and total."""
    paths: list[Names] = []
    out = {}
    for parent, name, own, total in json.loads(page.evaluate(_TREE)):
        path = (*paths[parent], name) if parent >= 0 else ()
        paths.append(path)
        if total:
            out[path] = (own, total)
    return out


def expected_tree(
    profile: Profile, shape: Callable[[list[StackFrame]], list[StackFrame] | None] = list
) -> dict[Names, tuple[int, int]]:
    """`shape`: what is left of a stack, None where it is left out."""
    own: collections.Counter[Names] = collections.Counter()
    total: collections.Counter[Names] = collections.Counter()
    for node, value in profile.stack_values().items():
        stack = shape(list(profile.stack(node)))
        if stack is None:
            continue
        names = tuple(frame.function_name for frame in stack)
        own[names] += value
        for depth in range(len(names) + 1):
            total[names[:depth]] += value
    return {path: (own[path], value) for path, value in total.items()}


def between(profile: Profile, from_s: float, to_s: float) -> Profile:
    """Only the samples of these seconds of the timeline, by slots of 20 ms as the page has them."""
    base = profile.meta.start_ns - profile.meta.start_ns % 1_000_000_000
    slots = [(time - base) // 20_000_000 for time in profile.timestamp_ns]
    rows = [row for row, slot in enumerate(slots) if round(from_s * 50) <= slot < round(to_s * 50)]
    columns = {
        name: array(getattr(profile, name).typecode, [getattr(profile, name)[row] for row in rows])
        for name in ("timestamp_ns", "thread", "node", "value")
    }
    return replace(profile, **columns)


def settle(page: Page) -> None:
    """Until the next picture is drawn and the table filled."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => setTimeout(done))))")
