"""Folded stacks of Python profilers, whose first frames say the thread: these become the profile's threads.

py-spy (`-f raw`): `process 7:"python app.py";thread (72): worker;run (app.py:12) 3`. `profiling.sampling` of CPython
(`--collapsed`): `tid:72;app.py:run:12 3`, frames as `file:function:line`.
"""

from __future__ import annotations

from typing import NamedTuple

from dtrace_profiler.formats.frame_labels import LARGEST_LINE, NO_NAME
from dtrace_profiler.formats.thread_rows import labelled_process, labelled_thread
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Profile


class _Place(NamedTuple):
    node: int
    """In the new profile; -1 above its roots."""
    process: int = 0
    thread: tuple[int, str] | None = None
    by_cpython: bool = False


_UNMARKED = _Place(-1)


def python_place(text: str) -> StackFrame | None:
    """The frame of `file:function:line`, None where the text is none."""
    rest, _, digits = text.rpartition(":")
    file, _, function = rest.rpartition(":")
    if not (file and function and digits.isascii() and digits.isdigit() and len(digits) < 11):
        return None
    line = int(digits) if int(digits) <= LARGEST_LINE else 0
    return StackFrame(function, file=file, line=line, first_line=line, kind=FrameKind.PYTHON)


def with_threads(profile: Profile) -> Profile:
    """The same profile where no stack's first frame names a thread or a process."""
    names = [frame.function_name for frame in profile.frames]
    roots = {profile.frame[node] for node, parent in enumerate(profile.parent) if parent < 0}
    if not any(_mark(names[frame], _UNMARKED) for frame in roots):
        return profile
    builder = ProfileBuilder(max_samples=1 << 62)
    frames: dict[tuple[int, bool], int] = {}
    places: list[_Place] = []
    for parent, frame in zip(profile.parent, profile.frame, strict=True):
        above = places[parent] if parent >= 0 else _UNMARKED
        mark = _mark(names[frame], above) if above.node < 0 else None
        if mark is not None:
            places.append(mark)
            continue
        index = frames.get((frame, above.by_cpython))
        if index is None:
            found = python_place(names[frame]) if above.by_cpython else None
            index = frames[frame, above.by_cpython] = builder.add_frame(found or profile.frames[frame])
        places.append(above._replace(node=builder.add_node(above.node, index)))
    for node, value in zip(profile.node, profile.value, strict=True):
        place = places[node]
        number, name = place.thread or (0, "")
        leaf = place.node if place.node >= 0 else builder.add_stack((StackFrame(NO_NAME),))
        builder.add_sample(0, builder.add_thread(place.process, number, name), leaf, value)
    return builder.snapshot(profile.meta)


def _mark(name: str, above: _Place) -> _Place | None:
    """Where a frame that names a process or a thread leads to; None for one that is a function."""
    if above.thread is not None:
        return None
    if name.startswith("tid:") and (digits := name[4:]).isascii() and digits.isdigit() and len(digits) < 19:
        return above._replace(thread=(int(digits), ""), by_cpython=True)
    if name.startswith("thread (") and (found := labelled_thread(name)) is not None:
        return above._replace(thread=(found[1], found[2]))
    if name.startswith("process ") and not above.process and (process := labelled_process(name)) is not None:
        return above._replace(process=process)
    return None
