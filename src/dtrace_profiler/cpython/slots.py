"""Where a thread keeps the pointer to its own PyThreadState, relative to its thread pointer. Searched, never assumed.

The lasting place holds it for as long as the thread has one: a pthread key up to 3.14, a thread-local variable in
3.15. The current one (`_Py_tss_tstate`, from 3.12 on) is 0 while the thread is detached. A thread's id is its thread
pointer with glibc on x86-64 (`pthread_self`), so the memory around it can be looked at from outside.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from dtrace_profiler.cpython.memory import Memory, readable_part

_BELOW, _ABOVE = 0x4000, 0x900
"""Thread-local variables lie below the thread pointer, the first 32 pthread keys above."""
_FIRST_KEY = 0x310
"""Of `specific_1stblock` in glibc's struct pthread: 32 pairs of a sequence number and the key's value."""
_KEYS = 32


class ThreadState(NamedTuple):
    state: int
    """Address of the PyThreadState."""
    pointer: int
    """Its thread's thread pointer; 0 until it is bound to a thread."""


class Slots(NamedTuple):
    """Offsets from the thread pointer; 0: there is none."""

    lasting: int
    current: int


NO_SLOTS = Slots(0, 0)


def find_slots(memory: Memory, threads: Iterable[ThreadState]) -> Slots:
    """The places that fit every thread.

    A thread that is just being made or has just ended shows no place at all and says nothing. One thread may have
    several states, one for each interpreter it has run. Where a lone thread shows two places below its pointer,
    either can be the lasting one: a reader that prefers `current` where it is not 0 is right either way.
    """
    states: dict[int, set[int]] = {}
    for thread in threads:
        states.setdefault(thread.pointer, set()).add(thread.state)
    seen: list[tuple[set[int], _Block]] = []
    candidates: set[int] = set()
    for pointer, own in states.items():
        block = _read(memory, pointer)
        here = {place for state in own for place in block.places(state)}
        if here:
            seen.append((own, block))
            candidates |= here
    lasting, current = [], []
    for place in sorted(candidates, key=lambda place: (place < 0, abs(place))):
        if place > 0 and not all(block.is_key(place) for _, block in seen):
            continue
        words = [(block.word(place), own) for own, block in seen]
        if all(word in own for word, own in words):
            lasting.append(place)
        elif all(word == 0 or word in own for word, own in words):
            current.append(place)
    if not lasting:
        # A pthread key beyond the first 32, or another C library's: detached threads can't be told.
        return Slots(current[0], 0) if current and current[0] < 0 else NO_SLOTS
    # Keys first; then what is nearest, since further down a thread's stack begins, full of copies.
    below = [place for place in (*lasting[1:], *current) if place < 0]
    return Slots(lasting[0], min(below, key=abs, default=0) if _has_current(lasting[0], below) else 0)


def _has_current(lasting: int, below: list[int]) -> bool:
    """Thread-local variables of one file lie together; a copy elsewhere on a thread's stack is none."""
    return bool(below) and abs(min(below, key=abs) - min(lasting, 0)) < 0x400


class _Block:
    """The readable bytes around a thread pointer."""

    def __init__(self, pointer: int, start: int, data: bytes) -> None:
        self._pointer = pointer
        self._start = start
        self._data = data

    def places(self, wanted: int) -> set[int]:
        """The aligned places at which a word is."""
        found, pattern = set(), struct.pack("<Q", wanted)
        at = self._data.find(pattern)
        while at >= 0:
            if (self._start + at) % 8 == 0:
                found.add(self._start + at - self._pointer)
            at = self._data.find(pattern, at + 1)
        return found

    def word(self, place: int) -> int:
        """-1 outside of what could be read."""
        at = self._pointer + place - self._start
        if not 0 <= at <= len(self._data) - 8:
            return -1
        return int(struct.unpack_from("<Q", self._data, at)[0])

    def is_key(self, place: int) -> bool:
        """Whether a pthread key's value is there: in its place, behind a sequence number that is odd when in use."""
        index, rest = divmod(place - 8 - _FIRST_KEY, 16)
        sequence = self.word(place - 8)
        return rest == 0 and 0 <= index < _KEYS and 0 < sequence < 1 << 32 and sequence % 2 == 1


def _read(memory: Memory, pointer: int) -> _Block:
    if pointer % 8 or not _BELOW < pointer < 1 << 47:
        return _Block(pointer, pointer, b"")
    return _Block(pointer, *readable_part(memory, pointer - _BELOW, pointer + _ABOVE))
