"""Stacks of running threads, read in one go: nothing of them is torn, and nothing in them ends meanwhile.

While frames of other threads are read, those threads must not run. They can't while we hold the GIL, and we hold it
until a call of C code returns: so everything from the list of threads to the last frame's instruction is one chain of
iterators, all of them C, that one call consumes.

Up to Python 3.11 the garbage collector can come in between, when a frame object is made: it runs the program's
finalizers, which give the GIL away, and the frame that was to be made an object of is gone. What CPython then hands
out is no frame but whatever lies there, and the program crashes (of 3.11.7: `tests/sampler/test_look.py`). So the
collector is off meanwhile, as it is within CPython's own `sys._current_frames` since; also in that one call, so that
no `gc.disable()` of the program's own falls in between.
"""

from __future__ import annotations

import _thread
import gc
import sys
import time
from itertools import accumulate, chain, islice, repeat, starmap, takewhile, tee
from operator import attrgetter, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType
    from typing import Any

    Place = tuple[CodeType, int, dict[str, Any]]
    """A frame: its code, the instruction (`f_lasti`), the globals."""

_ONCE = ((),)
_COLLECTOR_COMES_ANY_TIME = sys.version_info < (3, 12)  # later only between two instructions
_place = attrgetter("f_code", "f_lasti", "f_globals")


def identifiers() -> Iterator[int]:
    """Of the threads that have a Python frame, ours too. To be consumed by one call of C code."""
    return _without_collector(chain.from_iterable(starmap(sys._current_frames, _ONCE)))


def other_threads() -> list[int]:
    """Identifiers of the threads that have a Python frame, but ours."""
    found = list(identifiers())
    found.remove(_thread.get_ident())
    return found


def look(threads: Sequence[int], depth: int) -> tuple[int, list[list[Place]]]:
    """When that was (UNIX ns), and each thread's frames at that moment, leaf first; none of one that has ended.

    At most `depth` frames of a thread.
    """
    # Nothing here has a name but the result: an iterator that outlives the call keeps frames, and so the program's
    # objects, alive.
    stacks: list[Any] = list(
        _without_collector(chain(_places(threads, depth), starmap(time.time_ns, _ONCE))),
    )
    return stacks.pop(), stacks


def _places(threads: Sequence[int], depth: int) -> Iterator[list[Place]]:
    frames_of_all = chain.from_iterable(map(repeat, starmap(sys._current_frames, _ONCE)))
    innermost = map(dict.get, frames_of_all, threads)  # None of a thread that has no frame
    callers = map(accumulate, map(chain, zip(innermost), repeat(repeat("f_back"))), repeat(getattr))
    frames = map(takewhile, repeat(truth), callers)  # None is above the root
    return map(list, map(map, repeat(_place), map(islice, frames, repeat(depth))))


def _without_collector(iterator: Iterator[Any]) -> Iterator[Any]:
    """The same, with the garbage collector off from the first item to the end, where it could come in between."""
    if not _COLLECTOR_COMES_ANY_TIME:
        return iterator
    was_on, to_be_on = tee(chain.from_iterable(map(repeat, _ONCE, starmap(gc.isenabled, _ONCE))))
    return chain(
        filter(None, starmap(gc.disable, was_on)),  # None is what they return: no items
        iterator,
        filter(None, starmap(gc.enable, to_be_on)),
    )
