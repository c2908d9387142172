"""Stacks printed in every form that the corpus has, of any content: the reader gives the same stacks and numbers.

The printer below is written after the corpus, not after the reader: indentation, `%k`, numbers under the stack or
beside a key, keys before and after, parts of kernel and user, one stack a sample, annotations, notices in between.
"""

from __future__ import annotations

import io
import re
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from dtrace_profiler.formats import dtrace_text
from dtrace_profiler.record.text import TextParser

Frames = tuple[bytes, ...]


class Printed(NamedTuple):
    """One stack of an aggregation, or one sample."""

    parts: tuple[Frames, ...]
    """Leaf first; the kernel's part before the user's."""
    value: int
    key: bytes = b""


# Letters, what C++, Rust, Objective-C, Go and Java put into names, and bytes that are no UTF-8.
NAME_CHARACTERS = st.sampled_from(
    b"a Z _ 9 :: < > ( ) , const& $u7b$ ` -[NSX ~ { } * @ . +0x operator() [abi:cxx11] | %".split()
) | st.sampled_from([b", ", b" y:]", b" const*", b"\xc3\xa9", b"\xe9", b"\xff"])
NAMES = st.lists(NAME_CHARACTERS, min_size=1, max_size=6).map(b"".join).map(lambda name: b"f" + name.rstrip(b" %"))
MODULES = st.sampled_from(
    b"a.out libc.so.6 libstdc++.so.6.0.30 zfs.ko memfd:jit-code FLTMGR.SYS test-dad15ed382b075cf".split()
) | st.sampled_from([b"My Program", b"\xe9t\xe9"])
OFFSETS = st.sampled_from([b"", b"+0x0", b"+0x1f", b"+0xdeadbeef"])
ADDRESSES = st.integers(0, (1 << 64) - 1)

USER_FRAMES = (
    st.builds(lambda module, name, offset: module + b"`" + name + offset, MODULES, NAMES, OFFSETS)
    | st.builds(lambda module, address: b"%s`0x%x" % (module, address), MODULES, ADDRESSES)
    | st.builds(lambda address: b"0x%x" % address, ADDRESSES)
    | st.builds(lambda offset: b"spincpp:0x%x" % offset, ADDRESSES)
)
# Old Solaris prints addresses without 0x; helpers print what they like. Neither can open a stack for sure.
BARE_FRAMES = st.sampled_from([b"420b0", b"7fffdeadb", b"Func_loop.func_c()V", b"StubRoutines (1)", b"main (loop)"])
ANNOTATIONS = st.sampled_from([b"  [ ./slow.py:3 (f) ]", b"  [ /srv/a b.py:26 (?) ]"])
KERNEL_FRAMES = st.builds(lambda name, offset: b"vmlinux`" + name + offset, NAMES, OFFSETS)

NUMBERS = st.integers(1, 10**9)
USER_PARTS = st.lists(USER_FRAMES, min_size=1, max_size=6).map(tuple)
KERNEL_PARTS = st.lists(KERNEL_FRAMES, min_size=1, max_size=4).map(tuple)
ONE_PART = st.builds(lambda part, value: Printed((part,), value), USER_PARTS | KERNEL_PARTS, NUMBERS)
TWO_PARTS = st.builds(lambda kernel, user, value: Printed((kernel, user), value), KERNEL_PARTS, USER_PARTS, NUMBERS)
RECORDS = st.lists(ONE_PART, min_size=1, max_size=5)
INDENTS = st.sampled_from([2, 6, 8, 14, 16])

PAIRS = st.tuples(st.sampled_from([b"bash", b"kworker/0:1"]), st.integers(0, 10**6)).map(
    lambda two: b"%s        %d" % two
)
STRING_KEYS = st.sampled_from([b"bash", b"name with space", b"swapper/0", b"kworker/1:2-events", b"dotnet,x"])
INTEGER_KEYS = st.integers(0, 10**6).map(lambda number: b"%d" % number)


def printed_frames(part: Frames, indent: int) -> list[bytes]:
    return [b" " * indent + frame for frame in part]


def number_below(value: int) -> bytes:
    return b"%*d" % (17, value)


@st.composite
def plain(draw: Any) -> tuple[list[bytes], list[Printed]]:
    """`@[ustack()] = count()`, `@[stack(), ustack()]`: an empty line before each stack and between its parts."""
    indent = draw(INDENTS)
    records = draw(st.lists(ONE_PART | TWO_PARTS, min_size=1, max_size=5))
    lines: list[bytes] = [b""]
    for record in records:
        for part in record.parts:
            lines += [b"", *printed_frames(part, indent)]
        lines.append(number_below(record.value))
    return lines, records


@st.composite
def helped(draw: Any) -> tuple[list[bytes], list[Printed]]:
    """With frames of helpers among the others, and annotations under frames."""
    lines, records = [b""], []
    for record in draw(RECORDS):
        frames: list[bytes] = []
        for frame in record.parts[0]:
            frames.append(frame)
            frames += draw(st.lists(BARE_FRAMES, max_size=2))
            frames += draw(st.lists(ANNOTATIONS, max_size=1))
        lines += [b"", *printed_frames(tuple(frames), 14), number_below(record.value)]
        records.append(Printed((tuple(frame.strip() for frame in frames),), record.value))
    return lines, records


@st.composite
def keyed_before(draw: Any) -> tuple[list[bytes], list[Printed]]:
    """`@[execname, pid, ustack()]`: a line of keys, then the stack, no empty line between records."""
    lines, records = [b""], []
    for record in draw(RECORDS):
        key = draw(STRING_KEYS | INTEGER_KEYS | PAIRS)
        lines += [b"  " + key + b"   ", *printed_frames(record.parts[0], 14), number_below(record.value)]
        records.append(record._replace(key=key))
    return lines, records


@st.composite
def keyed_after(draw: Any) -> tuple[list[bytes], list[Printed]]:
    """`@[ustack(), size]`: an integer key stands on the line of the number, unnamed; a text before it."""
    lines, records = [b""], []
    for record in draw(RECORDS):
        if draw(st.booleans()):
            last = b"%9d %16d" % (draw(st.integers(0, 9999)), record.value)
        else:
            key = draw(STRING_KEYS)
            last = b"  %-50s %15d" % (key, record.value)
            record = record._replace(key=key)
        lines += [b"", *printed_frames(record.parts[0], 14), last]
        records.append(record)
    return lines, records


@st.composite
def by_printa(draw: Any) -> tuple[list[bytes], list[Printed]]:
    r"""`printa("S|%d|%s|%k|%k|%@d\n", @)`: no indentation, `|` before what follows a stack."""
    lines, records = [], []
    for record in draw(st.lists(ONE_PART | TWO_PARTS, min_size=1, max_size=5)):
        key = b"S|%d|%s" % (draw(st.integers(0, 9999)), draw(STRING_KEYS))
        lines.append(key + b"|")
        user_first = record.parts[::-1]
        lines += printed_frames(user_first[0], 0)
        for part in user_first[1:]:
            lines += [b"|", *printed_frames(part, 0)]
        lines.append(b"|%d" % record.value)
        records.append(record._replace(key=key))
    return lines, records


@st.composite
def per_sample(draw: Any) -> tuple[list[bytes], list[Printed]]:
    """One `printf` and one `ustack()` a sample: no numbers at all."""
    lines, records = [], []
    headings = (
        b"2268886315208 1795412882823749812 17755 spincpp",
        b"iojs 86454 1810: profile-1ms:",
        b"  6 119674                     fsync:return ",
    )
    heading = draw(st.sampled_from(headings))
    gap = draw(st.booleans())
    for record in draw(RECORDS):
        lines += [heading, *([b""] if gap else []), *printed_frames(record.parts[0], 14), b""]
        records.append(record._replace(value=1))
    return lines, records


HEADERS = st.sampled_from([
    [], [b"CPU     ID                    FUNCTION:NAME", b"  1   3974                         :tick-2s ", b""],
    [b"dtrace: description 'profile-97 ' matched 1 probe", b""], [b"", b""], [b"^C", b""],
])  # fmt: skip
NOTICES = st.sampled_from([
    b"dtrace: 12 drops on CPU 0",
    b"dtrace: 3 aggregation drops on CPU 1",
    b"dtrace: error on enabled probe ID 1 (ID 34: profile:::profile-997): invalid address (0x7ffee) in action #2",
])  # fmt: skip
FORMS = st.one_of(plain(), helped(), keyed_before(), keyed_after(), by_printa(), per_sample())


def read(text: bytes, size: int) -> tuple[list[Printed], TextParser]:
    parser = TextParser()
    blocks = []
    for at in range(0, len(text), size):
        blocks += parser.feed(text[at : at + size])
    blocks += parser.close()
    return [Printed(tuple(part.frames for part in block.parts), block.value, block.key) for block in blocks], parser


@given(FORMS, HEADERS, st.data(), st.sampled_from([b"\n", b"\r\n", b"\r\r\n"]), st.integers(1, 300))
@settings(max_examples=300)
def test_what_was_printed_is_read(
    form: tuple[list[bytes], list[Printed]], header: list[bytes], data: st.DataObject, end: bytes, size: int
) -> None:
    lines, records = form
    lines = list(lines)
    notices = data.draw(st.lists(st.tuples(st.integers(0, len(lines)), NOTICES), max_size=3))
    for place, notice in sorted(notices, reverse=True):
        lines.insert(place, notice)
    text = end.join([*header, *lines, b""])
    found, parser = read(text, size)
    assert found == records
    assert sorted(notice for notice in parser.lines.notices if b"matched" not in notice) == sorted(
        notice for _, notice in notices
    )
    assert (parser.lines.unfinished_stacks, parser.lines.empty_stacks, parser.lines.histograms) == (0, 0, 0)
    profile = dtrace_text.read(io.BytesIO(text), demangle=list)
    assert profile.total == sum(record.value for record in records)
    drops = sum(int(notice.split()[1]) for _, notice in notices if b" drops " in notice)
    assert sum(count for name, count in profile.meta.losses.items() if "drops" in name) == drops
    assert profile.meta.losses.get("probe_errors", 0) == sum(b"error on" in notice for _, notice in notices)


@given(RECORDS, st.lists(st.integers(1, 10**6), min_size=1, max_size=4), st.integers(1, 100))
def test_empty_stacks_are_counted_wherever_they_stand(records: list[Printed], empty: list[int], size: int) -> None:
    """`@[ustack()]` of samples without any frame: a number below nothing."""
    pieces = [[b"", *printed_frames(record.parts[0], 14), number_below(record.value)] for record in records]
    for place, value in enumerate(empty):
        pieces.insert(2 * place, [b"", b"", number_below(value)])
    found, parser = read(b"\n".join(line for piece in pieces for line in piece) + b"\n", size)
    assert found == records
    assert parser.lines.empty_stacks == sum(empty)


@given(st.lists(NAME_CHARACTERS, max_size=9).map(b"".join), st.integers(1, 9), st.integers(1, 40))
def test_runs_of_carriage_returns_are_one_wherever_they_are_cut(name: bytes, returns: int, size: int) -> None:
    frame = b"a.out`f" + name.replace(b"%", b"").rstrip()
    text = b"\n%s\n  7\n\n%s\n  8\n" % (frame, frame)
    assert read(text.replace(b"\n", b"\r" * returns + b"\n"), size)[0] == read(text, size)[0]
    inside = re.sub(rb"f", b"f" + b"\r" * returns, text)
    assert read(inside, size)[0] == read(re.sub(rb"f", b"f\r", text), 1 << 16)[0]
