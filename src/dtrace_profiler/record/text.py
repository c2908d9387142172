"""The plain text that dtrace prints for people's own one-liners, on every system, parsed to stacks with values.

In: bytes in any chunks. Out: `StackBlock`s, in the order of the text, the same whatever the chunks are (but for
lines longer than a megabyte, which are dropped if they come in several). What opens,
continues and ends a stack is said in `text_lines`, line by line; this module makes it fast. Text comes as blocks
between empty lines, most of them indented frames and a number, and most of them seen before: such a block is looked
up whole. Where blocks don't repeat, the memo is left alone for a while, and a block costs a few passes over it;
whatever isn't of that simple form goes through the lines. Figures: benchmarks/bench_parse.py.
"""

from __future__ import annotations

import re

from dtrace_profiler.record.text_lines import (
    LineParser,
    StackBlock,
    StackPart,
    count_in,
    has_sign,
    is_beside,
    is_key,
    leaf_first,
)

MEMO_BYTES = 64 << 20
"""Of text kept; a part costs about as much again."""
_TRIAL = 4_000
"""Look-ups an eighth of which has to find something (break-even), else the memo rests, twice as long each time."""
_LONGEST_PAUSE = 32 * _TRIAL
_LONG_RUN = 1 << 16
"""Bytes without an empty line from which text is taken apart at its numbers."""
_LONGEST_LINE = 1 << 20
_WORTH_SPLITTING = 200

_ALL_BUT_SIGNS = bytes(set(range(256)) - set(b"`\n"))
_RETURNS = re.compile(rb"\r{2,}")
_COUNT_LINE = re.compile(rb"\n( *+\|?+ *+\d{1,18}+ *+)\n")


_Simple = tuple[bytes, StackPart, bool]
"""A run that is nothing but frames: the line of keys above (or nothing), the frames, a second empty line before."""


class TextParser:
    """Feed bytes, get stacks; `lines` knows what else there was (`LineParser`'s counters)."""

    def __init__(self, *, memo_bytes: int = MEMO_BYTES) -> None:
        self.lines = LineParser()
        self._tail = b""
        self._continues = False
        """The tail begins with the newline of a line that was given to `lines` already."""
        self._memo: dict[bytes, StackPart | _Simple | None] = {}
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
            # Two of them before a newline: text of Windows that was written as text once more.
            data = _RETURNS.sub(b"\r", data)
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
            # Up to the last newline, which stays: whether an empty line follows isn't known yet.
            end = data.rfind(b"\n")
            if end > 0:
                self._run(data[:end], ended=False)
                self._continues = True
                data = data[end:]
            elif len(data) > _LONGEST_LINE:
                self.lines.unknown_lines += 1
                data = data[: end + 1]
        self._tail = data + self._tail
        return self.lines.take()

    def close(self) -> list[StackBlock]:
        """The text has ended."""
        rest, self._tail = self._tail, b""
        text = rest.removesuffix(b"\n")
        if self._continues:
            self._run(text, ended=False)
        elif rest == b"\n":
            self.lines.empty_line()
        elif text:
            self._piece(text, ended=False)
        self.lines.close()
        return self.lines.take()

    def _pieces(self, text: bytes) -> None:
        """What is between empty lines; a piece that begins with a newline has a second empty line before it."""
        pieces = text.split(b"\n\n")
        lines = self.lines
        if self._continues:
            self._run(pieces.pop(0), ended=True)
        # The short way of `_piece` for what was seen before; each step of it costs some 3 % of the speed.
        memo, pending, append = self._memo, lines.pending, lines.blocks.append
        trying = not self._skip
        hits = 0
        for piece in pieces:
            if trying and not lines.key:
                body, _, last = piece.rpartition(b"\n")
                digits = last.strip(b" ")
                if digits.isdigit():
                    part = memo.get(body)
                    if part.__class__ is StackPart and len(digits) <= 18:
                        if not pending:
                            append(StackBlock((part,), int(digits), b""))
                            lines.counted_any = True
                            hits += 1
                            continue
                        if len(pending) == 1 and not lines.pending_key:
                            append(StackBlock(leaf_first((pending.pop(), part)), int(digits), b""))
                            lines.counted_any = True
                            hits += 1
                            continue
                elif not pending:
                    part = memo.get(piece)
                    if part.__class__ is StackPart:
                        pending.append(part)
                        lines.pending_key = b""
                        hits += 1
                        continue
            self._lookups += hits
            hits = 0
            self._piece(piece)
            trying = not self._skip
        self._lookups += hits

    def _piece(self, piece: bytes, *, ended: bool = True) -> None:
        """A whole run of lines; `ended` by an empty one, not by the end of the text."""
        lines = self.lines
        look_up = self._look_up
        if self._skip:
            self._skip -= 1
            look_up = _simple
        if len(piece) <= _LONG_RUN:
            body, _, last = piece.rpartition(b"\n")
            value = count_in(last)
            if value is None:
                # A part of a stack of two, or a stack without a number.
                found = look_up(piece) if b"`" in last or b"0x" in last else None
                if found is not None and lines.uncounted(*found):
                    return
            elif body:
                found = look_up(body)
                if found is not None and lines.counted(*found, value):
                    return
        self._run(piece, ended=ended)

    def _look_up(self, body: bytes) -> _Simple | None:
        self._lookups += 1
        found = self._memo.get(body, self)
        if found is self:
            self._misses += 1
            self._limit_memo()
            found = _simple(body)
            self._memo[body] = found[1] if found is not None and not (found[0] or found[2]) else found
            self._memo_bytes += len(body)
            return found
        return (b"", found, False) if found.__class__ is StackPart else found  # type: ignore[return-value]

    def _limit_memo(self) -> None:
        if self._lookups >= _TRIAL:
            if self._misses * 8 > self._lookups * 7:
                self._skip = self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            else:
                self._pause = _TRIAL
            self._lookups = self._misses = 0
        if self._memo_bytes > self._max_memo_bytes:
            self._memo.clear()
            self._memo_bytes = 0

    def _run(self, text: bytes, *, ended: bool) -> None:
        """Lines without an empty one between them, all or (not `ended`) some of them."""
        lines = self.lines
        if text[:1] == b"\n":
            if not self._continues:
                lines.empty_line()
            text = text[1:]
        self._continues = False
        if len(text) > _WORTH_SPLITTING:
            pieces = _COUNT_LINE.split(text)
            text = pieces[-1]
            for index in range(0, len(pieces) - 1, 2):
                body, count = pieces[index], pieces[index + 1]
                found = None
                if lines.between_stacks and 0 < len(body) <= _LONG_RUN:
                    if self._skip:
                        self._skip -= 1
                        found = _simple(body)
                    else:
                        found = self._look_up(body)
                if found is None or not lines.counted(*found, int(count.strip(b" |"))):
                    for line in body.split(b"\n"):
                        lines.line(line)
                    lines.line(count)
                lines.in_run = True
        for line in text.split(b"\n"):
            if line:
                lines.line(line)
        if ended:
            lines.empty_line()


def _simple(body: bytes) -> _Simple | None:
    """None unless the lines would say the same: a stack all of whose frames have one indentation and a sign."""
    second_empty_line = body[0] == 10
    if second_empty_line:
        body = body[1:]
    key = b""
    end = body.find(b"\n")
    if end >= 0 and body.find(b"`", 0, end) < 0 and is_key(body[:end]) and not body[:end].rstrip().endswith(b"%"):
        key = body[:end]
        body = body[end + 1 :]
    text = body.lstrip(b" ")
    indent = body[: len(body) - len(text)]
    if not indent and b"dtrace: " in body:
        return None
    frames = text.split(b"\n" + indent)
    # Newlines and backticks alone: one backtick a line is what nearly every stack has.
    signs = body.translate(None, _ALL_BUT_SIGNS)
    if signs != b"`\n" * (len(frames) - 1) + b"`" and (
        signs.count(b"\n") + 1 != len(frames) or not all(map(has_sign, frames))
    ):
        return None
    if min(frames) < b"!" or b"\t" in body:  # indented deeper than the first
        return None
    if (b"  " in frames[0] or frames[0][-1:] == b"%") and is_beside(frames[0]):
        return None
    return key, StackPart(tuple(frames)), second_empty_line
