"""What is searched for: text, a /regular expression/, or one "name" in quotes; as in the page (search.js)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import compress

from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.terminal.nodes import CallNodes

_EXPRESSION = re.compile(r"/(.+?)(?:/([a-z]*))?", re.DOTALL)
_QUOTED = re.compile(r'"(.+)"', re.DOTALL)
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}

Test = Callable[[StackFrame], bool]


def parse_query(text: str) -> Test | None:
    """None for an empty search. Raises ValueError, with the reason, for what can't be understood."""
    query = text.strip()
    if not query:
        return None
    if expression := _EXPRESSION.fullmatch(query):
        flags = 0
        for letter in expression[2] or "":
            flags |= _FLAGS.get(letter, 0)
        try:
            search = re.compile(expression[1], flags).search
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(str(error)) from error
        return lambda frame: bool(search(frame.function_name) or search(frame.module_name) or search(frame.file))
    if quoted := _QUOTED.fullmatch(query):
        name = quoted[1]
        return lambda frame: name in (frame.function_name, shown(frame.function_name))
    wanted = query.lower()
    # The module and the name together, so that `json.dumps` is found.
    return lambda frame: wanted in f"{frame.module_name}.{frame.function_name}\n{frame.file}".lower()


class Search:
    """Follows a tree that grows: which functions match, and the value of the stacks that have one of them."""

    def __init__(self, test: Test) -> None:
        self._test = test
        self.matches = bytearray()
        """Function → 1 where it matches."""
        self._covered = bytearray()

    def follow(self, nodes: CallNodes, functions: Sequence[StackFrame]) -> int:
        """Takes in new functions and nodes (root first). The matched value, in the profile's unit."""
        matches, covered = self.matches, self._covered
        for index in range(len(matches), len(functions)):
            matches.append(self._test(functions[index]))
        for node in range(len(covered), len(nodes)):
            covered.append(node > 0 and (covered[nodes.parent[node]] or matches[nodes.function[node]]))
        return sum(compress(nodes.self_value, covered))
