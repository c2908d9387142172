"""What the classic program prints → records: every entry counted once, whatever the chunks and the noise."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.record.classic_parse import MAX_VALUE, ClassicParser
from dtrace_profiler.record.parse import NativeStack, Notice, ProcessEvent, PythonStack, Record, SampleRecord

FRAME = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"),
    max_size=40,
).map(lambda name: f"lib.so`{name}+0x1f".encode())
STACK = st.lists(FRAME, max_size=5)
ENTRY = st.tuples(
    st.integers(1, 1 << 22), st.integers(1, 1 << 63), st.integers(0, (1 << 64) - 1), STACK, STACK, st.integers(0, 50)
)
BATCH = st.lists(ENTRY, max_size=6)
NOISE = st.sampled_from([b"", b"\n", b"   \n", b"dtrace: something\n", b"H 2a 42 0 0 1:2\n"])


def written(entry: tuple[int, int, int, list[bytes], list[bytes], int]) -> bytes:
    pid, tid, python, user, kernel, value = entry
    lines = [b"A %d %d %x" % (pid, tid, python), b"=U", *user, b"=K", *kernel, b"=V %d" % value]
    return b"\n".join(lines) + b"\n"


def text_of(batches: list[list[tuple[int, int, int, list[bytes], list[bytes], int]]], noise: bytes) -> bytes:
    out = b"B 1000000000\n"
    for number, batch in enumerate(batches):
        out += b"\nT %d\n" % (2_000_000_000 + number * 200_000_000)
        for entry in batch:
            out += written(entry) + noise
    return out + b"Z 9000000000\n"


def parsed(data: bytes, cuts: list[int] | None = None) -> list[Record]:
    parser = ClassicParser()
    out: list[Record] = []
    places = sorted({cut % (len(data) + 1) for cut in cuts or []})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        out += parser.feed(data[start:end])
    return [*out, *parser.close()]


@given(st.lists(BATCH, max_size=4), NOISE, st.lists(st.integers(0, 10_000), max_size=8))
def test_every_value_is_that_many_samples(
    batches: list[list[tuple[int, int, int, list[bytes], list[bytes], int]]], noise: bytes, cuts: list[int]
) -> None:
    data = text_of(batches, noise)
    records = parsed(data, cuts)
    assert records == parsed(data)
    stacks = {record.number: record for record in records if isinstance(record, NativeStack)}
    found: Counter[object] = Counter()
    for record in records:
        if isinstance(record, SampleRecord):
            user = stacks[record.native].frames if record.native else ()
            kernel = stacks[record.kernel].frames if record.kernel else ()
            assert record.native == 0 or not stacks[record.native].kernel
            assert record.kernel == 0 or stacks[record.kernel].kernel
            found[record.process_id, record.thread_id, record.python, user, kernel] += 1
    expected: Counter[object] = Counter()
    for pid, tid, python, user, kernel, value in (entry for batch in batches for entry in batch):
        strip = [tuple(line.strip() for line in part) for part in (user, kernel)]
        expected[pid, tid, python, *strip] += value
    assert +found == +expected
    assert [record.what for record in records if isinstance(record, ProcessEvent)] == ["begin", "end"]


@given(st.lists(BATCH, min_size=1, max_size=4))
def test_times_are_within_the_batch_in_order(
    batches: list[list[tuple[int, int, int, list[bytes], list[bytes], int]]],
) -> None:
    samples = [record for record in parsed(text_of(batches, b"")) if isinstance(record, SampleRecord)]
    begin = 1_000_000_000
    at = 0
    for number, batch in enumerate(batches):
        until = 2_000_000_000 + number * 200_000_000
        for *_, value in batch:
            times = [sample.timestamp_ns for sample in samples[at : at + value]]
            assert times == sorted(times)
            assert all(begin <= time <= until for time in times)
            at += value
        begin = until
    assert at == len(samples)


@given(st.binary(max_size=400), st.lists(BATCH, max_size=2))
def test_damage_costs_no_whole_batch(
    damage: bytes, batches: list[list[tuple[int, int, int, list[bytes], list[bytes], int]]]
) -> None:
    """Whatever stands before: from the next time on all is read. Never an error."""
    records = parsed(damage + b"\n" + b"T 5\nA 1 2 0\n=U\nmain\n=V 3\n" + text_of(batches, b""))
    samples = [record for record in records if isinstance(record, SampleRecord)]
    assert len(samples) >= 3 + sum(entry[-1] for batch in batches for entry in batch)


def test_what_is_no_entry_is_a_notice() -> None:
    lines = [b"A 1 2\n", b"A x 2 0\n", b"T now\n", b"A 1 2 0\n=U\nmain\n=V %d\n" % (MAX_VALUE + 1)]
    for text in lines:
        assert [type(record) for record in parsed(text)] == [Notice]


def test_an_entry_that_was_cut_short_is_left_out() -> None:
    assert not [r for r in parsed(b"T 1\nA 1 2 0\n=U\nmain\n=V 3") if isinstance(r, SampleRecord)]
    cut = parsed(b"T 1\nA 1 2 0\n=U\nmain\nA 1 2 0\n=U\nmain\n=V 3\n")
    assert len([r for r in cut if isinstance(r, SampleRecord)]) == 3


def test_lines_of_windows() -> None:
    records = parsed(b"T 1\r\nA 1 2 0\r\n=U\r\nntdll`RtlFree+0x4\r\n=V 1\r\n")
    assert records[0] == NativeStack(1, (b"ntdll`RtlFree+0x4",), False)


def test_python_stacks_pass_through() -> None:
    assert parsed(b"H 2a 42 0 0 10:20\n") == [PythonStack(42, 42, 0, 0, ((16, 32),))]


def test_what_was_taken_and_not_printed_is_lost() -> None:
    parser = ClassicParser()
    list(parser.feed(b"T 1\nA 1 2 0\n=U\nmain\n=V 3\nC 8\n"))
    assert parser.lost == 0, "the rest may come"
    list(parser.feed(b"T 2\nA 1 2 0\n=U\nmain\n=V 2\nC 12\n"))
    assert parser.lost == 3
    list(parser.feed(b"T 3\nA 1 2 0\n=U\nmain\n=V 1\nC 12\n"))
    list(parser.close())
    assert parser.lost == 6
