"""Code objects of a process that can't be read any more, by what was known of its parent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from dtrace_profiler.cpython.code_object import CodeObject, Entry, Found, Shim, is_from_string
from dtrace_profiler.record.parse import CodeName


class InheritedCode:
    """Reads for a forked process that ended before its memory could be opened: from what was known of its parent.

    A frame keeps its code alive, so what both had at the fork is what it has run since, if not code that it has
    imported, which is young and has its name from the D program. Code that was made from strings may have been
    thrown away and is not believed.
    """

    def __init__(
        self, known: Mapping[int, CodeObject | Entry | Shim], tag: int, named: Callable[[CodeName | None], Found]
    ) -> None:
        self._known = known
        self._tag = tag
        self._named = named

    def read(
        self,
        frames: Sequence[tuple[int, int]],
        generation: int,
        *,
        whole: bool = False,
        names: Mapping[int, CodeName] = MappingProxyType({}),
    ) -> list[Found]:
        """See `CodeReader.read`."""
        return [
            self._find(word & ~self._tag, instruction, self._named(names.get(index)))
            for index, (word, instruction) in enumerate(frames)
        ]

    def inherited(self) -> InheritedCode:
        """Its own child's."""
        return self

    def _find(self, address: int, instruction: int, name: Found) -> Found:
        found = self._known.get(address)
        if not isinstance(found, CodeObject):
            return name or found
        if isinstance(name, CodeObject):
            return found if found.is_same(name) and found.contains(instruction) else name
        return found if found.contains(instruction) and not is_from_string(found) else None
