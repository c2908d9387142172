"""The parser of what our D program prints: every record, any chunks, any damage."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.record import parse
from dtrace_profiler.record.parse import (
    CodeName,
    Fact,
    NativeStack,
    Notice,
    Parser,
    ProcessEvent,
    PythonStack,
    Record,
    SampleRecord,
    text_of,
)

NUMBERS = st.integers(0, (1 << 64) - 1)
ADDRESSES = st.integers(1, (1 << 64) - 1)
FRAMES = st.one_of(
    ADDRESSES.map(lambda a: b"0x%x" % a), st.sampled_from([b"vmlinux`do_syscall_64+0x5c", b"ip_tables`f"])
)
NAMES = st.binary(max_size=20).filter(lambda name: not set(name) & set(b"\n\t") and name == name.rstrip(b"\r "))
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(SampleRecord, *[NUMBERS] * 8),
    st.builds(NativeStack, NUMBERS, st.lists(FRAMES, max_size=5).map(tuple), st.booleans()),
    st.builds(
        PythonStack,
        NUMBERS,
        NUMBERS,
        NUMBERS,
        NUMBERS,
        st.lists(st.tuples(ADDRESSES, NUMBERS), max_size=5).map(tuple),
    ),
    st.builds(CodeName, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NAMES, NAMES),
    st.builds(ProcessEvent, st.sampled_from(["begin", "end"]), NUMBERS, st.just(0), st.just(0)),
    st.builds(ProcessEvent, st.sampled_from(["exec", "exit"]), NUMBERS, NUMBERS, st.just(0)),
    st.builds(ProcessEvent, st.just("fork"), NUMBERS, NUMBERS, NUMBERS),
    st.builds(Fact, st.sampled_from([b"{}", b"dtrace-profiler recording 1", b'{"x": "N 1"}'])),
)


def records(*chunks: bytes) -> list[Record]:
    parser = Parser()
    out = [record for chunk in chunks for record in parser.feed(chunk)]
    return [*out, *parser.close()]


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (b"B 1700000000000000000", ProcessEvent("begin", 1_700_000_000_000_000_000)),
        (b"Z 5", ProcessEvent("end", 5)),
        (b"X 5 42", ProcessEvent("exec", 5, 42)),
        (b"E 5 42", ProcessEvent("exit", 5, 42)),
        (b"F 5 42 43", ProcessEvent("fork", 5, 42, 43)),
        (b"S 5 42 1 43 ffffffff81000000 0 1 401000", SampleRecord(5, 42, 1, 43, 0xFFFFFFFF81000000, 0, 1, 0x401000)),
        (b"N a1 \n  0x401000\n  0x402000\n", NativeStack(0xA1, (b"0x401000", b"0x402000"), kernel=False)),
        (b"N a1 \n\n", NativeStack(0xA1, (), kernel=False)),
        (b"K a1 \n  vmlinux`f+0x1\n", NativeStack(0xA1, (b"vmlinux`f+0x1",), kernel=True)),
        (b"H ab 42 3 0 10:20 30:40 0:50 60:70", PythonStack(0xAB, 42, 3, 0, ((0x10, 0x20), (0x30, 0x40)))),
        (b"H ab 42 0 7f00 10:20", PythonStack(0xAB, 42, 0, 0x7F00, ((0x10, 0x20),))),
        (b"H ab 42 0 0", PythonStack(0xAB, 42, 0, 0, ())),
        (
            b"L ab 1 17 e4 64 A.b.<locals>.c\t/a path/x y.py",
            CodeName(0xAB, 1, 17, 0xE4, 0x64, b"A.b.<locals>.c", b"/a path/x y.py"),
        ),
        (b"L ab 0 1 e4 e4 \t", CodeName(0xAB, 0, 1, 0xE4, 0xE4, b"", b"")),
        (b'# {"end": {}}', Fact(b'{"end": {}}')),
        (b"#", Fact(b"")),
        (b"dtrace: something new", Notice(b"dtrace: something new")),
        (b"S 5 42 1 43 0 0 0", Notice(b"S 5 42 1 43 0 0 0")),
        (b"S 5 42 1 43 0 0 0 x", Notice(b"S 5 42 1 43 0 0 0 x")),
        (b"N xyz", Notice(b"N xyz")),
        (b"H ab 42 0", Notice(b"H ab 42 0")),
        (b"L ab 0 1 e4 e4 name", Notice(b"L ab 0 1 e4 e4 name")),
        (b"L ab 0 1 e4 name\tfile", Notice(b"L ab 0 1 e4 name\tfile")),
        (b"H ab 42 0 0 10-20", Notice(b"H ab 42 0 0 10-20")),
        (b"F 5 42", Notice(b"F 5 42")),
        (b"E 5 42 43", Notice(b"E 5 42 43")),
        (b"B now", Notice(b"B now")),
        (b"\xff\xfe\x00", Notice(b"\xff\xfe\x00")),
    ],
)
def test_each_form(text: bytes, record: Record) -> None:
    assert records(text + b"\n") == [record]
    assert records(text.replace(b"\n", b"\r\n") + b"\r\n") == [record]


@given(st.lists(RECORDS, max_size=8))
def test_what_is_written_is_parsed(given_records: list[Record]) -> None:
    assert records(b"".join(map(text_of, given_records))) == given_records


@given(st.lists(RECORDS, max_size=6), st.lists(st.integers(0, 1 << 16), max_size=8), st.binary(max_size=40))
def test_chunks_make_no_difference(given_records: list[Record], cuts: list[int], garbage: bytes) -> None:
    data = b"".join(map(text_of, given_records))
    data = data[: len(data) // 2] + garbage + data[len(data) // 2 :]
    whole = records(data)
    assert records(*pieces(data, cuts)) == whole
    assert records(*(data[at : at + 1] for at in range(len(data)))) == whole


@given(st.binary(max_size=3000))
def test_any_bytes_are_records(data: bytes) -> None:
    for record in records(data):
        assert isinstance(record, Record.__args__)


@given(
    st.lists(st.sampled_from([b"S ", b"N ", b"H ", b"K ", b"F ", b"1", b"f:", b" ", b"\n", b"\r", b"-", b"_", b"0x"]))
)
def test_any_order_of_pieces_is_records(words: list[bytes]) -> None:
    records(b"".join(words))


def test_a_record_comes_as_soon_as_its_line_has_ended() -> None:
    parser = Parser()
    assert list(parser.feed(b"B 7")) == []
    assert list(parser.feed(b"\nS 5 42 1 43 0 0 0 0\nN 1 \n 0x1")) == [
        ProcessEvent("begin", 7),
        SampleRecord(5, 42, 1, 43, 0, 0, 0, 0),
    ]
    assert list(parser.feed(b"\n")) == []
    # The line after its last frame begins a record: the stack is whole.
    assert list(parser.feed(b"E 5 42\n")) == [NativeStack(1, (b"0x1",), kernel=False), ProcessEvent("exit", 5, 42)]


def test_a_line_without_its_end_is_not_believed() -> None:
    assert records(b"S 5 42 1 43 0 0 0 0\nS 5 42 1 43 0 0 0 123") == [SampleRecord(5, 42, 1, 43, 0, 0, 0, 0)]


def test_dtraces_own_line_in_the_middle_costs_itself_only() -> None:
    found = records(b"N 1 \n  0x1\n\ndtrace: 3 drops on CPU 0\nS 5 42 1 43 1 0 0 0\n")
    assert [type(record) for record in found] == [NativeStack, Notice, SampleRecord]


def test_a_line_that_is_too_long_costs_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "MAX_LINE_BYTES", 5000)
    good = b"S 5 42 1 43 0 0 0 0\n"
    long = b"H ab 42 0 0" + b" 10:20" * 1000
    data = good + long + b"\n" + good
    for size in (1, 7, 1000, 4096):
        found = records(*(data[at : at + size] for at in range(0, len(data), size)))
        assert found[0] == found[2] == records(good)[0]
        assert isinstance(found[1], Notice)
        assert 0 < len(found[1].text) <= 1000


def test_a_stack_has_an_end_even_without_an_empty_line() -> None:
    found = records(b"N 1 \n" + b"  0x1\n" * (parse.MAX_STACK_LINES + 2))
    assert isinstance(found[0], NativeStack)
    assert len(found[0].frames) == parse.MAX_STACK_LINES
    assert found[1:] == [Notice(b"  0x1")] * 2


def test_megabytes_of_noise_are_notices() -> None:
    noise = random.Random(5).randbytes(1 << 20)
    found = records(*pieces(noise, range(0, 1 << 20, 65536)))
    assert found
    assert sum(isinstance(record, Notice) for record in found) > 0.9 * len(found)
