"""Is the code object at an address still the one that was sampled? Two counts of the interpreter can tell.

Between a sample and the reading of its code objects lie up to 50 ms, in which code is freed and its place taken by
other code. So the D program reads a count together with each stack:

- `versions`: `PyInterpreterState.func_state.next_version` (3.13 and later), `_Py_next_func_version` (3.12). Each code
  object that is made takes it as its `co_version` and adds 1. What lies at the address now with a smaller version
  was there when the sample was taken. No structure says where 3.13's count is: known places are here, others are
  looked for. 3.12's is a local symbol.
- `freed` (3.14 and later, where the first is not found): `_code_object_generation` grows with each code object that
  is freed. Where it did not change until after the reading, no address has come to mean something else.

CPython 3.11 has neither, nor has a stripped 3.12.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from dtrace_profiler.cpython.memory import Memory, MemoryReadError

CounterKind = Literal["", "versions", "freed"]


class Counter(NamedTuple):
    """`address`: of a 64-bit word in the process, 0 for none. `mask`: the bits of it that are the count."""

    kind: CounterKind
    address: int = 0
    mask: int = 0


NO_COUNTER = Counter("")
_VERSION_MASK = 0xFFFFFFFF

# (minor version, size of PyInterpreterState) → place of func_state.next_version. 3.13.0 by its headers (GIL and
# free-threaded), 3.14.8 and 3.15.0 by making code objects and seeing which word counts them.
_KNOWN_PLACES: Mapping[tuple[int, int], int] = {
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


def has_versions(minor: int, version_count: int) -> bool:
    """Whether such a process may have a count of versions. `version_count`: see `find_counter`."""
    return minor > 12 or bool(minor == 12 and version_count)


def find_counter(
    memory: Memory,
    interpreter: int,
    offsets: Mapping[str, int],
    minor: int,
    codes: Sequence[int],
    version_count: int = 0,
) -> Counter:
    """The best count that this process has.

    `interpreter`: the main one. `codes`: code objects that are on its stacks now; may be empty. `version_count`: the
    address of 3.12's, where its symbol was found.
    """
    freed = offsets.get("is.code_object_generation", 0)
    fallback = Counter("freed", interpreter + freed, (1 << 64) - 1) if freed else NO_COUNTER
    if minor < 12:
        return NO_COUNTER
    versions = _versions(memory, offsets, codes)
    if minor == 12:
        address = version_count
    elif place := _KNOWN_PLACES.get((minor, offsets["is.size"]), 0):
        address = interpreter + place
    else:
        address = _search(memory, interpreter, offsets, minor, versions)
    if address and _is_plausible(_count_at(memory, address), versions):
        return Counter("versions", address, _VERSION_MASK)
    return fallback


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
    """The address of a count near a known place, followed by a cache in which code objects that we know have places.

    0 where there is none.
    """
    places = [place for (known, _), place in _KNOWN_PLACES.items() if known == minor]
    if not versions or not places or offsets["free_threaded"]:
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
                return interpreter + low + at
    return 0
