"""What dtrace prints: our own programs' records in both dialects, its messages, people's one-liners."""

from __future__ import annotations

import io
import re
import zlib
from typing import get_args

from dtrace_profiler.errors import DTraceProfilerError, InputError
from dtrace_profiler.formats import dtrace_text, recording
from dtrace_profiler.platforms.base import System
from dtrace_profiler.record.classic_parse import ClassicParser
from dtrace_profiler.record.dialects import RecordParser
from dtrace_profiler.record.message_table import MESSAGES
from dtrace_profiler.record.messages import classify, drops, is_notice, run_time_error
from dtrace_profiler.record.parse import Notice, Parser, Record, SampleRecord
from dtrace_profiler.record.text import TextParser
from fuzz.target import Target, assert_one_sentence, chunks, files

OURS = b"""B 1700000000000000000
N 1
0x55d0c0de1000
0x7f6beca1224a

K 2
vmlinux`do_syscall_64+0x71
vmlinux`entry_SYSCALL_64_after_hwframe+0x76

L 3 0 12 e4 e4 App.run\t/srv/app.py
H 3 4711 9f 0 7f00a0:7f0120 7f00b0:7f0180 0:0
S 1700000000010000000 4711 4711 4711 1 2 3 55d0c0de1000
F 1700000000015000000 4711 4712
X 1700000000016000000 4712
S 1700000000020000000 4712 4712 4712 1 0 0 0
E 1700000000030000000 4712
dtrace: 3 drops on CPU 0
Z 1700000000040000000
"""
CLASSIC = b"""B 1700000000000000000

T 1700000000100000000
C 7
A 42 7 0
=U
lib.so`f+0x1f
a.out`main+0x3
=K
=V 3
A 42 8 2a
=U
0x7f6beca1224a
=K
genunix`open+0x1
=V 4
H 2a 42 0 0 1:2

T 1700000000300000000
Z 1700000000400000000
"""
RECORDING = (
    b'# dtrace-profiler recording 1\n# {"meta":{"engine":"dtrace","unit":"samples","frequency_hz":97,"start_ns":1}}\n'
    b'# {"frame":[0,"f","a.out","",0,0,"native",4096]}\n# {"frame":[1,"main","a.out","/x.c",3,1,"native",4160]}\n'
    b'# {"thread":[42,7,"main"]}\n# {"stack":[[42,1,0,0,0],[1,0]]}\n# {"stack":[[0,0,0,9,0],[1]]}\n'
    b'S 1700000000010000000 42 7 7 1 0 0 0\nS 1700000000020000000 42 7 7 1 0 0 0\n# {"sample":[19,42,7,9,1000]}\n'
    b'# {"lost":[20,3]}\n# {"end":{"duration_ns":5,"losses":{"drops":3},"notes":["x"]}}\n'
)


def _parsed(parser: RecordParser, data: bytes, *, whole: bool) -> list[Record]:
    out: list[Record] = []
    for chunk in [data] if whole else chunks(data):
        out += parser.feed(chunk)
    return [*out, *parser.close()]


def _between(text: bytes, beginning: bytes, data: bytes) -> bytes:
    """A valid text with other lines before one of its records: which, depends on them."""
    places = [match.start() for match in re.finditer(beginning, text, re.MULTILINE)]
    place = places[zlib.crc32(data) % len(places)]
    return text[:place] + data + b"\n" + text[place:]


def _check_program(data: bytes) -> None:
    """Any chunks give the same. Garbage between the records of a valid text takes none of them away."""
    assert _parsed(Parser(), data, whole=True) == _parsed(Parser(), data, whole=False)
    mixed = _between(OURS, rb"^[SNKHLFXEZ] ", data)
    found = _parsed(Parser(), mixed, whole=True)
    for record in _parsed(Parser(), OURS, whole=True):
        assert record in found, record


def _check_classic(data: bytes) -> None:
    assert _parsed(ClassicParser(), data, whole=True) == _parsed(ClassicParser(), data, whole=False)
    mixed = _between(CLASSIC, rb"^[ATHZ] ", data)

    def samples(records: list[Record]) -> int:
        return sum(isinstance(record, SampleRecord) for record in records)

    assert samples(_parsed(ClassicParser(), mixed, whole=True)) >= samples(
        _parsed(ClassicParser(), CLASSIC, whole=True)
    )


def _check_recording(data: bytes) -> None:
    """Lines between those of a valid recording take no sample away, and what isn't understood is counted."""
    profile = recording.read(io.BytesIO(_between(RECORDING, rb"^(?:S |# \{)", data)))
    assert len(profile) >= 3
    assert all(count >= 0 for count in profile.meta.losses.values()), profile.meta.losses
    notices = [record for record in _parsed(Parser(), data + b"\n", whole=True) if isinstance(record, Notice)]
    unread = sum(bool(record.text.strip()) for record in notices)
    assert profile.meta.losses.get("unreadable_lines", 0) >= unread


def _check_stderr(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for system in get_args(System):
        error = classify(text, 1, system)
        assert isinstance(error, DTraceProfilerError)
        assert str(error)
    for line in text.splitlines():
        lost = drops(line)
        assert lost is None or lost[1] >= 0
        is_notice(line)
        run_time_error(line)


def _stacks(data: bytes, *, whole: bool) -> tuple[object, ...]:
    parser = TextParser()
    blocks = []
    for chunk in [data] if whole else chunks(data):
        blocks += parser.feed(chunk)
    blocks += parser.close()
    lines = parser.lines
    return (
        [([part.frames for part in block.parts], block.value, block.key) for block in blocks],
        lines.beside,
        (lines.empty_stacks, lines.histograms, lines.unknown_lines, lines.unfinished_stacks, lines.notices),
    )


_STACK = b"\n\n              valid`stack+0x1f\n              valid`main\n                7\n\n"
_NO_WORDS = re.compile(rb"[^A-Za-z .,!?\n]|\n[ ]+|^[ ]+")


def _check_text(data: bytes) -> None:
    """Any chunks give the same, and prose between stacks takes none of them away."""
    assert _stacks(data, whole=True) == _stacks(data, whole=False)
    try:
        dtrace_text.read(io.BytesIO(data), demangle=list)
    except InputError as error:
        assert_one_sentence(error)
    prose = _NO_WORDS.sub(b"", data)
    profile = dtrace_text.read(io.BytesIO(_STACK + prose + _STACK), demangle=list)
    assert profile.total == 14


def _messages() -> list[bytes]:
    """What each row of the table looks for, as far as it is plain text, and a verifier's log before it."""
    texts = [re.sub(r"\\[nsdwS]\*?\+?|\(\?P<\w+>|[\\()\[\]?^$*+]", " ", row.pattern.pattern) for row in MESSAGES]
    return [
        *(b"dtrace: " + text.encode() + b"\n" for text in texts),
        b"dtrace: 19 drops on CPU 0\ndtrace: invalid probe specifier profile-97 { @[ustack()] = count(); }: bad\n",
        b"dtrace: error on enabled probe ID 1 (ID 34: profile:::profile-997): invalid address (0x7f) in action #2\n",
        b'dtrace: failed to compile script /tmp/x.d: "/usr/lib/dtrace/io.d", line 134: failed to resolve it\n',
    ]


TARGETS = (
    Target("program-output", _check_program, lambda: [OURS, OURS * 3]),
    Target("classic-output", _check_classic, lambda: [CLASSIC, CLASSIC * 3]),
    Target("recording-lines", _check_recording, lambda: [RECORDING.partition(b"\n")[2], OURS]),
    Target("stderr", _check_stderr, _messages),
    Target("dtrace-text", _check_text, lambda: files("dtrace/*.txt")),
)
