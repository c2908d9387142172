"""What a fuzz target is, and what every reader promises of any bytes."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtrace_profiler.errors import DTraceProfilerError

DATA = Path(__file__).parents[1] / "tests" / "data"
MAX_SEED_BYTES = 1 << 15
ROOM_BYTES = 16 << 20
"""Of memory that any input may take, however short: what is made on first use, buffers of a fixed size."""


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    check: Callable[[bytes], None]
    """Raises where a promise is broken, and returns otherwise."""
    seeds: Callable[[], Sequence[bytes]]
    """Inputs to begin with: valid ones."""
    memory_a_byte: int = 0
    """Bytes of memory that reading may take for each byte of input, as docs/formats.md promises; 0: not measured."""


def guarded(target: Target, data: bytes) -> None:
    """The target's check, and that it took no more memory than it may."""
    if not target.memory_a_byte or not tracemalloc.is_tracing():
        target.check(data)
        return
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    target.check(data)
    taken = tracemalloc.get_traced_memory()[1] - before
    allowed = ROOM_BYTES + target.memory_a_byte * len(data)
    assert taken <= allowed, f"{taken} bytes of memory for {len(data)} bytes of input"


def assert_one_sentence(error: DTraceProfilerError) -> None:
    text = str(error)
    assert text.endswith((".", "…")), text
    assert "\n" not in text, text
    assert "Traceback" not in text, text


def chunks(data: bytes) -> Iterator[bytes]:
    """The same bytes in pieces of a size that depends on them."""
    size = 1 + zlib.crc32(data) % 61
    for at in range(0, len(data), size):
        yield data[at : at + size]


def files(*patterns: str) -> list[bytes]:
    """Those of the tests' files that are short enough to be changed in interesting places."""
    found = [path.read_bytes() for pattern in patterns for path in sorted(DATA.glob(pattern))]
    return [data for data in found if len(data) <= MAX_SEED_BYTES]
