"""The plain text that dtrace prints for people's own one-liners, on every system, parsed to stacks with values.

In: bytes in any chunks. Out: `StackBlock`s, in the order of the text, the same whatever the chunks are. What opens,
continues and ends a stack is said in `text_lines`, line by line; this module makes it fast. Text comes as blocks
between empty lines, most of them indented frames and a number, and most of them seen before: such a block is looked
up whole. Where blocks don't repeat, the memo is left alone for a while, and a block costs a few passes over it;
whatever isn't of that simple form goes through the lines. Figures: benchmarks/bench_parse.py.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dtrace_profiler.record.text_lines import LineParser, StackBlock, StackPart, count_in, has_sign, is_beside, is_key

MEMO_BYTES = 64 << 20
"""Of text kept; a part costs about as much again."""
_TRIAL = 4_000
"""Look-ups half of which have to find something, else the memo is left alone: for twice as many blocks each time."""
_LONGEST_PAUSE = 32 * _TRIAL
_LONG_RUN = 1 << 16
"""Bytes without an empty line from which text is taken apart at its numbers."""
_LONGEST_LINE = 1 << 20
_WORTH_SPLITTING = 200

_ALL_BUT_SIGNS = bytes(set(range(256)) - set(b"`\n"))
_COUNT_LINE = re.compile(rb"\n[ |]*+(\d{1,18}+) *+\n")


class _Simple(NamedTuple):
    """A block that is nothing but, maybe, a line of keys and the frames of one stack."""

    key: bytes
    part: StackPart


class TextParser:
    """Feed bytes, get stacks; `lines` knows what else there was (`LineParser`'s counters)."""

    def __init__(self, *, memo_bytes: int = MEMO_BYTES) -> None:
        self.lines = LineParser()
        self._tail = b""
        self._memo: dict[bytes, _Simple | None] = {}
        self._memo_bytes = 0
        self._max_memo_bytes = memo_bytes
        self._lookups = 0
        self._misses = 0
        self._skip = 0
        """Blocks to go before the memo is tried again."""
        self._pause = _TRIAL

    def feed(self, data: bytes) -> list[StackBlock]:
        data = self._tail + data
        self._tail = b""
        if b"\r" in data:
            held = b"\r" if data.endswith(b"\r") else b""
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n")
            self._tail = held
        end = data.rfind(b"\n\n")
        if end >= 0:
            # Back to the first of several newlines: a piece never ends in one, only begins with one.
            while end and data[end - 1] == 10:
                end -= 1
            self._pieces(data[:end])
            data = data[end + 2 :]
        if len(data) > _LONG_RUN:
            end = data.rfind(b"\n")
            if end >= 0:
                self._run(data[: end + 1], ended=False)
                data = data[end + 1 :]
            elif len(data) > _LONGEST_LINE:
                self.lines.unknown_lines += 1
                data = data[:0]
        self._tail = data + self._tail
        return self.lines.take()

    def close(self) -> list[StackBlock]:
        """The text has ended."""
        if self._tail:
            self._pieces(self._tail.removesuffix(b"\r").removesuffix(b"\n"))
            self._tail = b""
        self.lines.close()
        return self.lines.take()

    def _pieces(self, text: bytes) -> None:
        """What is between empty lines; a piece that begins with a newline has a second empty line before it."""
        lines = self.lines
        for piece in text.split(b"\n\n"):
            if lines.in_run:
                self._run(piece, ended=True)
                continue
            body, _, last = piece.rpartition(b"\n")
            if len(piece) > _LONG_RUN:
                pass
            elif b"`" in last or b"0x" in last:
                # A part of a stack of two, or a stack without a number.
                simple = self._look_up(piece)
                if simple is not None and lines.uncounted(simple.key, simple.part, piece[0] == 10):
                    continue
            elif body and (value := count_in(last)) is not None:
                simple = self._look_up(body)
                second = body[0] == 10
                if simple is not None and lines.counted(simple.key, simple.part, value, second, in_run=False):
                    continue
            self._run(piece, ended=True)

    def _look_up(self, body: bytes) -> _Simple | None:
        if self._skip:
            self._skip -= 1
            return _simple(body)
        self._lookups += 1
        try:
            return self._memo[body]
        except KeyError:
            pass
        self._misses += 1
        if self._lookups >= _TRIAL:
            if self._misses * 2 > self._lookups:
                self._skip = self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            else:
                self._pause = _TRIAL
            self._lookups = self._misses = 0
        if self._memo_bytes > self._max_memo_bytes:
            self._memo.clear()
            self._memo_bytes = 0
        found = self._memo[body] = _simple(body)
        self._memo_bytes += len(body)
        return found

    def _run(self, text: bytes, *, ended: bool) -> None:
        """Lines without an empty one between them, all or (not `ended`) some of them."""
        lines = self.lines
        if text[:1] == b"\n":
            if lines.in_run:
                lines.empty_line()
            lines.empty_line()
            text = text[1:]
        if len(text) > _WORTH_SPLITTING:
            pieces = _COUNT_LINE.split(text)
            text = pieces[-1]
            for index in range(0, len(pieces) - 1, 2):
                body, count = pieces[index], pieces[index + 1]
                if not lines.between_stacks or not body or len(body) > _LONG_RUN:
                    simple = None
                else:
                    simple = self._look_up(body)
                if simple is None or not lines.counted(simple.key, simple.part, int(count), False, in_run=True):
                    for line in body.split(b"\n"):
                        lines.line(line)
                    lines.line(b" " + count)
        for line in text.split(b"\n"):
            if line:
                lines.line(line)
        if ended:
            lines.empty_line()


def _simple(body: bytes) -> _Simple | None:
    """None unless the lines would say the same: a stack all of whose frames have one indentation and a sign."""
    if body[0] == 10:
        body = body[1:]
    part = _simple_part(body)
    if part is not None:
        return _Simple(b"", part)
    key, _, rest = body.partition(b"\n")
    if rest and is_key(key):
        part = _simple_part(rest)
        if part is not None:
            return _Simple(key, part)
    return None


def _simple_part(body: bytes) -> StackPart | None:
    text = body.lstrip(b" ")
    frames = text.split(b"\n" + body[: len(body) - len(text)])
    # Newlines and backticks alone: one backtick a line is what nearly every stack has.
    signs = body.translate(None, _ALL_BUT_SIGNS)
    if signs != (b"`\n" * len(frames))[:-1]:
        if signs.count(b"\n") + 1 != len(frames):
            return None
        if not all(map(has_sign, frames)):
            return None
    if min(frames) < b"!" or b"\t" in body:  # indented deeper than the first
        return None
    return None if is_beside(frames[0]) else StackPart(tuple(frames))
