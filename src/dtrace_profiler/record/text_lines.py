r"""What a line of dtrace's plain text is, and the stacks that lines make: the obvious way, which says what is right.

A stack opens at a line with the sign of a frame (``module`function+0x1f``, `0x7f..`, `file:0x1f`), or at any text
that is indented by eight or more, as frames of helpers are. While it is open,

- a line with a sign, or indented like the first one, is another frame, whatever blanks, commas, parentheses it has;
- a line of numbers only, perhaps after `|`, ends it, and the last number is the value: what stands before are keys;
- so does a line of other indentation that ends in two blanks and a number (keys after the stack);
- `[ file:line (function) ]` is an annotation and stays under its frame;
- `dtrace: ...` is a notice that got in between;
- a histogram takes the place of a number: the stack is dropped;
- an empty line, or one of `|` and the like, ends a part: what follows is the other part of the same stack
  (kernel and user), or its number, or else the stack had no number (a `ustack()` action) and stands for one sample;
- other text ends the stack likewise.

A line of text directly before a stack holds its keys, also with one empty line between if it begins with two
blanks, as dtrace's own do (the stack's first part is empty then).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

KERNEL_MODULES = frozenset(
    (b"vmlinux", b"genunix", b"unix", b"nt", b"ntoskrnl", b"ntoskrnl.exe", b"kernel", b"mach_kernel")
)
"""Modules one of which every kernel stack of Linux, illumos, Windows, FreeBSD and macOS goes through."""

_KERNEL_FRAME = (*(name + b"`" for name in sorted(KERNEL_MODULES)), b"kernel.")

MAX_NOTICES = 1_000
MAX_BESIDE = 200_000

_HELPER_INDENT = 8
_BLANKS = b" \t"
_NUMBERS = re.compile(rb"[ \t]*[|,;:=]?[ \t]*(?:\d+[ \t|,;]+)*(\d{1,18})[ \t|]*")
_BESIDE = re.compile(rb"[ \t]*(\S.*?)(?:[ \t]{2,}(\d{1,18})|[ \t]+(\d{1,18})[ \t]+\d+(?:\.\d+)?%)[ \t]*", re.DOTALL)
_ANNOTATION = re.compile(rb"\[ .* \]", re.DOTALL)
_HISTOGRAM = re.compile(rb"\s*(?:key|value)\s+(?:min )?\.?-+ Distribution -+\s+count\s*")
# The header, the line of a probe that fired (`  0  64091      :tick-60s`), a heading. Not `kworker/1:2-events`.
_NO_KEY = re.compile(rb"\s*CPU\s+(?:ID\s+)?FUNCTION|.*:\s*$|\s*\d+(?:\s+\d+)?\s+(?:\|\s*)?[^\s/]*:[A-Za-z][\w-]*\s*$")
_NO_SEPARATOR = re.compile(rb"[\w\x80-\xff]")
_BARE_HEX = re.compile(rb"\d+[a-f][0-9a-f]*")
"""An address as old Solaris prints it, without 0x. Only digits may as well be a key."""


class StackPart:
    """The frames of one `stack()` or `ustack()`, leaf first, annotations among them; not indented, but unstripped.

    Equal text may give the same object again, so what a reader makes of it can be kept in `resolved`.
    """

    __slots__ = ("_kernel", "frames", "resolved")

    def __init__(self, frames: tuple[bytes, ...], kernel: bool | None = None) -> None:
        """`kernel`: where it is known from something else than the frames."""
        self.frames = frames
        self.resolved: Any = None
        """The reader's; None at first."""
        self._kernel = kernel

    @property
    def kernel(self) -> bool:
        """Has a frame that can only be the kernel's. Looked for from the root on, where such are."""
        if self._kernel is None:
            self._kernel = any(frame.startswith(_KERNEL_FRAME) for frame in reversed(self.frames))
        return self._kernel


class StackBlock(NamedTuple):
    """One stack as it was printed, once."""

    parts: tuple[StackPart, ...]
    """Leaf's part first: where there are two, the kernel's and then the user's."""
    value: int
    """0 where an aggregation had been cleared; 1 where no number was printed."""
    key: bytes
    """The line of keys of an aggregation, stripped; empty where there is none or no number."""


def has_sign(text: bytes) -> bool:
    """Surely a frame. `text` has no indentation."""
    return b"`" in text or text[:2] == b"0x" or b":0x" in text


def count_in(line: bytes) -> int | None:
    """The value, where the line consists of numbers. More than 18 digits are none."""
    digits = line.strip(b" ")
    if digits.isdigit() and len(digits) <= 18:
        return int(digits)
    if b"`" in digits or digits[:2] == b"0x":
        return None
    match = _NUMBERS.fullmatch(line)
    return int(match[1]) if match else None


def is_beside(line: bytes) -> bool:
    """A key and, after two blanks or more, a number; or, as hotkernel prints, a number and a percentage."""
    text = line.strip(_BLANKS)
    return (b"  " in text or b"\t" in text or text.endswith(b"%")) and _BESIDE.fullmatch(line) is not None


def is_key(line: bytes) -> bool:
    """Text that can't open a stack and means nothing by itself."""
    text = line.strip(_BLANKS)
    if not text or has_sign(text) or line.startswith(b"dtrace: ") or not _NO_SEPARATOR.search(text):
        return False
    if len(line) - len(line.lstrip(_BLANKS)) >= _HELPER_INDENT and (
        not text[:1].isdigit() or _BARE_HEX.fullmatch(text)
    ):
        return False
    return not _HISTOGRAM.fullmatch(line) and not _ANNOTATION.fullmatch(text)


class LineParser:
    """Stacks from lines. The counters say what else there was."""

    def __init__(self) -> None:
        self.in_run = False
        """There was a line since the last empty one."""
        self.empty_stacks = 0
        """Sum of the numbers that stood below no frames."""
        self.histograms = 0
        self.unfinished_stacks = 0
        """Stacks without their number at the end of a text that has numbers."""
        self.unknown_lines = 0
        """Lines of other text, keys of stacks among them, and lines too long to be any."""
        self.notices: list[bytes] = []
        """Lines that begin with `dtrace: `, as many as `MAX_NOTICES`."""
        self.beside: dict[bytes, int] = {}
        """Frames of aggregations that have no stack but one address or function: `  module`function    12`."""
        self.blocks: list[StackBlock] = []
        self._open: list[bytes] = []
        self._indent = 0
        self.key = b""
        self._key_above = False
        """The key is the line directly above."""
        self.pending: list[StackPart] = []
        self.pending_key = b""
        self._histogram = False
        self.counted_any = False

    @property
    def between_stacks(self) -> bool:
        """The next line is the first one of a stack or its keys."""
        return not (self._open or self._histogram or self.pending or self.key)

    def take(self) -> list[StackBlock]:
        blocks = self.blocks
        self.blocks = []
        return blocks

    def counted(self, key: bytes, part: StackPart, second_empty_line: bool, value: int) -> bool:
        """A whole stack and its number at the start of a run, or `between_stacks`.

        False, and nothing done, where it has to be given line by line.
        """
        if second_empty_line:
            self.empty_line()
        if key:
            if self.pending:
                return False
            self.unknown_lines += 1
            self.key = key
        if self.key or (self.pending and (self.pending_key or len(self.pending) > 1)):
            self._emit(part, value)
        elif self.pending:
            self.counted_any = True
            self.blocks.append(StackBlock(leaf_first((self.pending.pop(), part)), value, b""))
        else:
            self.counted_any = True
            self.blocks.append(StackBlock((part,), value, b""))
        return True

    def uncounted(self, key: bytes, part: StackPart, second_empty_line: bool) -> bool:
        """The same for frames with no number below."""
        if second_empty_line:
            self.empty_line()
        if key:
            if self.pending:
                return False
            self.unknown_lines += 1
            self.key = key
        if self.pending or self.key:
            self._part_ends(part)
        else:
            self.pending.append(part)
            self.pending_key = b""
        return True

    def empty_line(self) -> None:
        if not self.in_run:
            self._flush()
            self.key = b""
            return
        self.in_run = False
        self._histogram = False
        self._key_above = False
        if self._open:
            self._part_ends(self._opened())
        elif not self.key.startswith(b"  "):
            self.key = b""
        elif self.key.startswith(b" " * _HELPER_INDENT):
            number = self.key.strip(_BLANKS)
            if number.isdigit() and len(number) <= 18:
                self.empty_stacks += int(number)
                self.key = b""

    def close(self) -> None:
        if self.in_run:
            self.empty_line()
        if self.pending and self.counted_any:
            self.unfinished_stacks += 1
            self.pending.clear()
        self._flush()

    def line(self, line: bytes) -> None:
        """Not empty, without its newline."""
        text = line.strip(_BLANKS)
        if not text:
            self.empty_line()
            return
        self.in_run = True
        if line.startswith(b"dtrace: "):
            if len(self.notices) < MAX_NOTICES:
                self.notices.append(text)
        elif self._open:
            self._line_in_stack(line, text)
        else:
            self._line_between(line, text)

    def _line_in_stack(self, line: bytes, text: bytes) -> None:
        indent = len(line) - len(line.lstrip(_BLANKS))
        same = indent == self._indent
        if has_sign(text) and (same or not is_beside(line)):
            self._open.append(line.lstrip(_BLANKS))
            return
        value = count_in(line)
        if value is None and not same and (match := _BESIDE.fullmatch(line)) and not has_sign(text):
            value = int(match[2] or match[3])
            self.key = self.key or match[1]
        if value is not None:
            self._emit(self._opened(), value)
        elif _ANNOTATION.fullmatch(text):
            self._open.append(line.lstrip(_BLANKS))
        elif _HISTOGRAM.fullmatch(line):
            self._open.clear()
            self._line_between(line, text)
        elif not _NO_SEPARATOR.search(text):
            self._part_ends(self._opened())
        elif same and indent:
            self._open.append(line.lstrip(_BLANKS))
        else:
            self._part_ends(self._opened())
            self._line_between(line, text)

    def _line_between(self, line: bytes, text: bytes) -> None:
        if self._histogram:
            return
        if _HISTOGRAM.fullmatch(line):
            self._histogram = True
            self.histograms += 1
            self.pending.clear()
            self.key = b""
            return
        # hotkernel -m: where addresses have a number and a percentage, so have modules, without any sign.
        if has_sign(text) or (self.beside and text.endswith(b"%") and is_beside(line)):
            match = _BESIDE.fullmatch(line) if is_beside(line) else None
            if match is None:
                self._opens(line, text)
            else:
                self._flush()
                self.key = b""
                if match[1] in self.beside or len(self.beside) < MAX_BESIDE:
                    self.beside[match[1]] = self.beside.get(match[1], 0) + int(match[2] or match[3])
            return
        value = count_in(line)
        if value is not None and self.pending:
            self._emit(None, value)
            return
        if value is not None and self._is_of_no_frames(line, text):
            self.empty_stacks += value
            self.key = b""
            return
        if not _NO_SEPARATOR.search(text):
            return
        if value is None and not is_key(line):
            self._opens(line, text)
            return
        self._flush()
        self.unknown_lines += 1
        self.key = line
        self._key_above = True

    def _is_of_no_frames(self, line: bytes, text: bytes) -> bool:
        """A number directly below dtrace's own line of keys: `@[execname, ustack()]` of a sample without frames."""
        return (
            self._key_above
            and self.key.startswith(b"  ")
            and _NO_KEY.match(self.key) is None
            and line.startswith(b" " * _HELPER_INDENT)
            and text.isdigit()
        )

    def _opens(self, line: bytes, text: bytes) -> None:
        self._open.append(line.lstrip(_BLANKS))
        self._indent = len(line) - len(line.lstrip(_BLANKS))

    def _opened(self) -> StackPart:
        part = StackPart(tuple(self._open))
        self._open.clear()
        return part

    def _part_ends(self, part: StackPart) -> None:
        """Frames without a number so far."""
        pending = self.pending
        if len(pending) == 1 and pending[0].kernel != part.kernel and not self.key:
            pending.append(part)
            return
        self._flush()
        self.pending.append(part)
        self.pending_key, self.key = self.key, b""

    def _emit(self, part: StackPart | None, value: int) -> None:
        """A number: of the frames before it, together with those waiting for one."""
        if part is not None and self.pending and (len(self.pending) == 2 or self.key):
            self._flush()
        parts = (*self.pending, part) if part is not None else tuple(self.pending)
        key = self.key if not self.pending else self.pending_key
        self.pending.clear()
        self.key = b""
        self.counted_any = True
        if key and _NO_KEY.match(key):
            key = b""
        self.blocks.append(StackBlock(leaf_first(parts), value, key.strip(b" \t|")))

    def _flush(self) -> None:
        """What waits for a number gets none: one sample, if it surely is a stack."""
        if self.pending:
            parts = tuple(self.pending)
            self.pending.clear()
            if any(has_sign(frame) for part in parts for frame in part.frames):
                self.blocks.append(StackBlock(leaf_first(parts), 1, b""))
            else:
                self.unknown_lines += sum(len(part.frames) for part in parts)


def leaf_first(parts: tuple[StackPart, ...]) -> tuple[StackPart, ...]:
    if len(parts) == 1 or parts[0].kernel or not parts[1].kernel:
        return parts
    return parts[1], parts[0]
