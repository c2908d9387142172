"""What our D program prints, bytes in any chunks → records. Pure: no I/O, knows no operating system.

The forms are those of `record.program`. Anything else on a line of its own is a `Notice`: never an error, since
dtrace may add a line of its own, and a recording may have been cut short or damaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class SampleRecord(NamedTuple):
    timestamp_ns: int
    process_id: int
    thread_id: int
    """As the thread itself sees it."""
    host_thread_id: int
    native: int
    kernel: int
    python: int
    """0: no Python frame; 1: the walk met an unreadable address; else a `PythonStack`."""
    pc: int


class NativeStack(NamedTuple):
    """`frames` leaf first, as dtrace wrote them: `0xADDRESS` in user space, module`symbol+0xOFFSET in the kernel."""

    number: int
    frames: tuple[bytes, ...]
    kernel: bool


class PythonStack(NamedTuple):
    """`frames` leaf first: (code object, instruction)."""

    number: int
    process_id: int
    generation: int
    next_frame: int
    """Not 0: the stack goes on, deeper than the walk."""
    frames: tuple[tuple[int, int], ...]


class CodeName(NamedTuple):
    """What the code object of one frame is, of the Python stack that comes next; read as the sample was taken."""

    number: int
    """The stack's."""
    frame: int
    """0: the leaf."""
    first_line: int
    qualname_state: int
    """Of the str: how its characters are stored, as bits."""
    filename_state: int
    qualname: bytes
    filename: bytes


class ProcessEvent(NamedTuple):
    """`what`: exec, fork (child is set) or exit; begin and end of the sampling itself have process_id 0."""

    what: str
    timestamp_ns: int
    process_id: int = 0
    child: int = 0


class Fact(NamedTuple):
    """A `#` line of a recording, without the `#`."""

    text: bytes


class Notice(NamedTuple):
    """A line that is none of ours."""

    text: bytes


Record = SampleRecord | NativeStack | PythonStack | CodeName | ProcessEvent | Fact | Notice

MAX_LINE_BYTES = 1 << 24
"""A longer line is none of ours. dtrace's longest, an H record of 200 frames, has 7 kB; a recording's longest is the
stack fact of a deep stack."""
MAX_STACK_LINES = 4096
"""More lines are no stack, but damage: the kernel gives 127 frames."""
_NOTICE_BYTES = 1000


@dataclass(slots=True)
class Parser:
    """Feed it bytes as they come; `close` ends the last record.

    A record is yielded as soon as its line has ended; a stack, when the line after its last frame begins.
    """

    _rest: list[bytes] = field(default_factory=list)
    """Pieces of the line that has not ended yet."""
    _rest_bytes: int = 0
    _stack: tuple[int, bool] | None = None
    _frames: list[bytes] | None = None

    def feed(self, data: bytes) -> Iterator[Record]:
        first, newline, others = data.partition(b"\n")
        self._keep(first)
        if not newline:
            return
        line, too_long = b"".join(self._rest), self._rest_bytes > MAX_LINE_BYTES
        lines = others.split(b"\n")
        self._rest.clear()
        self._rest_bytes = 0
        self._keep(lines.pop())
        if too_long:
            yield from self._end_stack()
            yield Notice(line)
        else:
            yield from self._line(line)
        for line in lines:
            yield from self._line(line)

    def _keep(self, piece: bytes) -> None:
        """Of a line that is too long nothing is kept but its beginning: what is shown of it."""
        self._rest_bytes += len(piece)
        if self._rest_bytes > MAX_LINE_BYTES:
            self._rest[:] = [b"".join((*self._rest, piece))[:_NOTICE_BYTES]]
        elif piece:
            self._rest.append(piece)

    def close(self) -> Iterator[Record]:
        """Only whole lines count: a last line without its newline may be half a number."""
        self._rest.clear()
        self._rest_bytes = 0
        yield from self._end_stack()

    def _end_stack(self) -> Iterator[Record]:
        if self._stack is not None and self._frames is not None:
            yield NativeStack(self._stack[0], tuple(self._frames), self._stack[1])
        self._stack = self._frames = None

    def _line(self, line: bytes) -> Iterator[Record]:
        kind = line[:2]
        if kind == b"S ":
            if self._stack is not None:
                yield from self._end_stack()
            record = _sample(line)
            yield record if record is not None else Notice(line.rstrip(b"\r "))
            return
        line = line.rstrip(b"\r ")
        if not line:
            # An empty line ends a stack. An empty stack is one, too: dtrace could not walk it.
            yield from self._end_stack()
            return
        if self._frames is not None and len(self._frames) < MAX_STACK_LINES and not _is_record(line):
            self._frames.append(line.lstrip())
            return
        yield from self._end_stack()
        if kind in (b"N ", b"K "):
            number = _hexadecimal(line[2:])
            if number is not None:
                self._stack, self._frames = (number, kind == b"K "), []
                return
        elif kind == b"H ":
            stack = _python_stack(line)
            if stack is not None:
                yield stack
                return
        elif kind == b"L ":
            name = _code_name(line)
            if name is not None:
                yield name
                return
        elif kind == b"# " or line == b"#":
            yield Fact(line[2:])
            return
        elif kind in _EVENTS:
            event = _event(kind, line)
            if event is not None:
                yield event
                return
        yield Notice(line)


_EVENTS = {b"B ": "begin", b"X ": "exec", b"F ": "fork", b"E ": "exit", b"Z ": "end"}
_FIELDS = {"begin": 1, "end": 1, "exec": 2, "exit": 2, "fork": 3}


def _is_record(line: bytes) -> bool:
    return line[1:2] == b" " and line[:1] in b"SNKHLXFEBZ#"


def _hexadecimal(text: bytes) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _sample(line: bytes) -> SampleRecord | None:
    words = line.split()
    if len(words) != 9:
        return None
    try:
        return SampleRecord(
            int(words[1]),
            int(words[2]),
            int(words[3]),
            int(words[4]),
            int(words[5], 16),
            int(words[6], 16),
            int(words[7], 16),
            int(words[8], 16),
        )
    except ValueError:
        return None


def _python_stack(line: bytes) -> PythonStack | None:
    words = line.split()
    if len(words) < 5:
        return None
    try:
        number, process_id = int(words[1], 16), int(words[2])
        generation, next_frame = int(words[3], 16), int(words[4], 16)
        frames = []
        for word in words[5:]:
            code, _, instruction = word.partition(b":")
            address = int(code, 16)
            if not address:
                break  # what follows is left over from an earlier sample
            frames.append((address, int(instruction, 16)))
    except ValueError:
        return None
    return PythonStack(number, process_id, generation, next_frame, tuple(frames))


def _code_name(line: bytes) -> CodeName | None:
    head, tab, filename = line.partition(b"\t")
    words = head.split(b" ", 6)
    if not tab or len(words) != 7:
        return None
    try:
        states = int(words[4], 16), int(words[5], 16)
        return CodeName(int(words[1], 16), int(words[2]), int(words[3]), *states, words[6], filename)
    except ValueError:
        return None


def _event(kind: bytes, line: bytes) -> ProcessEvent | None:
    what = _EVENTS[kind]
    try:
        numbers = [int(word) for word in line.split()[1:]]
    except ValueError:
        return None
    if len(numbers) != _FIELDS[what]:
        return None
    return ProcessEvent(what, *numbers)


def text_of(record: Record) -> bytes:
    """A record as our D program prints it: what `Parser` makes the same record of."""
    if isinstance(record, SampleRecord):
        return b"S %d %d %d %d %x %x %x %x\n" % record
    if isinstance(record, NativeStack):
        frames = b"".join(frame + b"\n" for frame in record.frames)
        return b"%c %x \n%s\n" % (b"K" if record.kernel else b"N", record.number, frames)
    if isinstance(record, PythonStack):
        frames = b"".join(b" %x:%x" % frame for frame in record.frames)
        head = b"H %x %d %x %x" % (record.number, record.process_id, record.generation, record.next_frame)
        return head + frames + b"\n"
    if isinstance(record, CodeName):
        return b"L %x %d %d %x %x %s\t%s\n" % record
    if isinstance(record, ProcessEvent):
        letter = next(key for key, what in _EVENTS.items() if what == record.what)
        numbers = (record.timestamp_ns, record.process_id, record.child)[: _FIELDS[record.what]]
        return letter + b" ".join(b"%d" % number for number in numbers) + b"\n"
    if isinstance(record, Fact):
        return b"# " + record.text + b"\n"
    return record.text + b"\n"
