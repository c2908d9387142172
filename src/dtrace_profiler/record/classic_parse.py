"""What the classic D program prints (`record.classic`), bytes in any chunks → the same records as from Linux.

A stack becomes a `NativeStack` when it is first seen; a value becomes as many samples, spread evenly over the time in
which they were taken. Pure. What is none of its forms is a `Notice`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dtrace_profiler.record.parse import (
    MAX_LINE_BYTES,
    MAX_STACK_LINES,
    NativeStack,
    Notice,
    Parser,
    ProcessEvent,
    Record,
    SampleRecord,
)

MAX_STACKS = 1 << 17
"""Remembered by what they are; the resolver forgets later."""
MAX_VALUE = 1 << 20
"""Samples of one stack in a tenth of a second: more is damage, not a value."""

_Stack = tuple[bytes, ...]


@dataclass(slots=True)
class _Block:
    """One entry of the aggregation, as far as it has come."""

    process_id: int
    thread_id: int
    python: int
    user: list[bytes] = field(default_factory=list)
    kernel: list[bytes] = field(default_factory=list)
    part: bytes = b""


class ClassicParser:
    """Feed it bytes as they come; `close` ends the last record."""

    def __init__(self) -> None:
        self._rest = b""
        self._others = Parser()
        """Reads what both kinds of program print."""
        self._block: _Block | None = None
        self.lost = 0
        """Samples that were taken, and are surely not among those that were printed."""
        self._printed = 0
        self._taken = 0
        """When a tick ago the samples were counted: all of these should have been printed by now."""
        self._from_ns = 0
        self._until_ns = 0
        self._numbers: dict[tuple[bytes, _Stack], int] = {}
        self._last_number = 0

    def feed(self, data: bytes) -> Iterator[Record]:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            yield Notice(self._rest[:1000])
            self._rest = b""
        for line in lines:
            yield from self._line(line.rstrip(b"\r"))

    def close(self) -> Iterator[Record]:
        """Only whole entries count: a value that is not there yet is no value."""
        self._rest = b""
        self._block = None
        self.lost = max(self.lost, self._taken - self._printed)
        yield from self._others.close()

    def _line(self, line: bytes) -> Iterator[Record]:
        kind = line[:2]
        if kind == b"A ":
            self._block = _entry(line)
            if self._block is None:
                yield Notice(line)
        elif kind == b"C ":
            self._count(line)
        elif kind == b"T ":
            self._block = None
            time_ns = _whole(line[2:])
            if time_ns is None:
                yield Notice(line)
            else:
                self._from_ns, self._until_ns = self._until_ns or time_ns, time_ns
        elif self._block is not None:
            yield from self._in_block(self._block, line)
        elif line.strip():
            for record in self._others.feed(line + b"\n"):
                if isinstance(record, ProcessEvent) and record.what == "begin":
                    self._until_ns = record.timestamp_ns
                yield record

    def _count(self, line: bytes) -> None:
        taken = _whole(line[2:])
        if taken is not None:
            self.lost = max(self.lost, self._taken - self._printed)
            self._taken = max(self._taken, taken)

    def _in_block(self, block: _Block, line: bytes) -> Iterator[Record]:
        if line in (b"=U", b"=K"):
            block.part = line
        elif line.startswith(b"=V "):
            self._block = None
            value = _whole(line[3:])
            if value is None or value > MAX_VALUE:
                yield Notice(line)
            elif value:
                self._printed += value
                yield from self._samples(block, value)
        elif not block.part:
            self._block = None  # it ended in its middle
            yield from self._line(line)
        elif text := line.strip():
            frames = block.user if block.part == b"=U" else block.kernel
            if len(frames) < MAX_STACK_LINES:
                frames.append(text)

    def _samples(self, block: _Block, value: int) -> Iterator[Record]:
        numbers = []
        for part, frames in ((b"=U", tuple(block.user)), (b"=K", tuple(block.kernel))):
            number = self._numbers.get((part, frames), 0) if frames else 0
            if frames and not number:
                if len(self._numbers) >= MAX_STACKS:
                    self._numbers.clear()
                self._last_number += 1
                number = self._numbers[part, frames] = self._last_number
                yield NativeStack(number, frames, part == b"=K")
            numbers.append(number)
        native, kernel = numbers
        length = max(0, self._until_ns - self._from_ns)
        for index in range(value):
            at_ns = self._from_ns + length * (2 * index + 1) // (2 * value)
            yield SampleRecord(
                at_ns, block.process_id, block.thread_id, block.thread_id, native, kernel, block.python, 0
            )


def _entry(line: bytes) -> _Block | None:
    words = line.split()
    if len(words) != 4:
        return None
    process_id, thread_id = _whole(words[1]), _whole(words[2])
    try:
        python = int(words[3], 16)
    except ValueError:
        return None
    if process_id is None or thread_id is None:
        return None
    return _Block(process_id, thread_id, python)


def _whole(text: bytes) -> int | None:
    return int(text) if text.strip().isdigit() and len(text) < 24 else None
