"""Is the code object at an address still the one that was sampled? Two counts of the interpreter can tell.

Between a sample and the reading of its code objects lie up to 50 ms, in which code is freed and its place taken by
other code. So the D program reads a count together with each stack:

- `versions` (3.12 and later): `PyInterpreterState.func_state.next_version`. Each code object that is made takes it
  as its `co_version` and adds 1. What lies at the address now with a smaller version was there when the sample was
  taken. No structure of CPython says where the count is: known places are here, others are looked for.
- `freed` (3.14 and later, where the first is not found): `_code_object_generation` grows with each code object that
  is freed. Where it did not change until after the reading, no address has come to mean something else.

CPython 3.11 has neither.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from dtrace_profiler.cpython.memory import Memory, MemoryReadError

CounterKind = Literal["", "versions", "freed"]


class Counter(NamedTuple):
    """`offset`: of the count in PyInterpreterState, 0 for none. `mask`: those bits of a 64-bit word that are it."""

    kind: CounterKind
    offset: int = 0
    mask: int = 0


NO_COUNTER = Counter("")
_VERSION_MASK = 0xFFFFFFFF

# (minor version, size of PyInterpreterState) → place of func_state.next_version. 3.12.1 and 3.13.0 by their headers
# (GIL and free-threaded), 3.14.8 and 3.15.0 by making code objects and seeing which word counts them.
_KNOWN_PLACES: Mapping[tuple[int, int], int] = {
    (12, 0): 269816,
    (13, 194968): 17000,
    (13, 215616): 20092,
    (14, 225864): 14256,
    (15, 226240): 14264,
}
_SEARCH_BYTES = 2048
"""How far from a known place a patch release may have moved it."""
_CACHE_ENTRIES = 4096
"""func_version_cache follows next_version from 3.13 on: the newest (function, code) for each version modulo this."""
_MOST_UNSEEN = 1 << 22
"""The count is not this far ahead of the versions that are seen on a stack."""


def find_counter(
    memory: Memory, interpreter: int, offsets: Mapping[str, int], minor: int, codes: Sequence[int]
) -> Counter:
    """The best count that this process has. `codes`: code objects that are on its stacks now; may be empty."""
    freed = offsets.get("is.code_object_generation", 0)
    fallback = Counter("freed", freed, (1 << 64) - 1) if freed else NO_COUNTER
    if minor < 12:
        return NO_COUNTER
    versions = _versions(memory, offsets, codes)
    size = offsets.get("is.size", 0)
    place = _KNOWN_PLACES.get((minor, size))
    if place is not None:
        plausible = _is_plausible(_count_at(memory, interpreter + place), versions)
        return Counter("versions", place, _VERSION_MASK) if plausible else fallback
    found = _search(memory, interpreter, offsets, minor, versions)
    return Counter("versions", found, _VERSION_MASK) if found else fallback


def _versions(memory: Memory, offsets: Mapping[str, int], codes: Sequence[int]) -> dict[int, int]:
    """co_version → code object."""
    out = {}
    for code in codes:
        try:
            (version,) = struct.unpack("<I", memory.read(code + offsets["co.version"], 4))
        except MemoryReadError:
            continue
        if version:
            out[version] = code
    return out


def _count_at(memory: Memory, address: int) -> int:
    try:
        return int(struct.unpack("<I", memory.read(address, 4))[0])
    except MemoryReadError:
        return 0


def _is_plausible(count: int, versions: Mapping[int, int]) -> bool:
    highest = max(versions, default=0)
    return highest < count < 1 << 31 and (not highest or count - highest < _MOST_UNSEEN)


def _search(
    memory: Memory, interpreter: int, offsets: Mapping[str, int], minor: int, versions: Mapping[int, int]
) -> int:
    """A count near a known place that is followed by a cache in which the code objects we know have their places."""
    places = [place for (known, _), place in _KNOWN_PLACES.items() if known == minor]
    if minor < 13 or not versions or not places or offsets["free_threaded"]:
        return 0
    low = max(0, min(places) - _SEARCH_BYTES) & ~7
    high = max(places) + _SEARCH_BYTES
    try:
        data = memory.read(interpreter + low, high - low + 16 * _CACHE_ENTRIES)
    except MemoryReadError:
        return 0
    for at in range(0, high - low, 8):
        if not _is_plausible(struct.unpack_from("<I", data, at)[0], versions):
            continue
        for version, code in versions.items():
            if struct.unpack_from("<Q", data, at + 8 + 16 * (version % _CACHE_ENTRIES) + 8)[0] == code:
                return low + at
    return 0
