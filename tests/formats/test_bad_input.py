"""Every reader and what may be wrong with its files, in one table: one sentence with the place, and no more memory
than was promised.

The rows are by hand, valid but for one thing; `fuzz/` tries the rest. What is tested of one format alone is in that
format's own tests.
"""

from __future__ import annotations

import gzip
import io
import tracemalloc
from pathlib import Path

import pytest
from any_profiles import small_profile

from dtrace_profiler import formats
from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import FORMATS, files, read_profile, write_profile
from dtrace_profiler.formats.protobuf import block, number, packed
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from fuzz.format_targets import MEMORY_A_BYTE, USUAL_MEMORY_A_BYTE
from fuzz.target import ROOM_BYTES

READ = [item.name for item in FORMATS if item.reads]
HUGE = b"9" * 30
LONG = b"1" * 5000
"""More digits than Python makes a number of."""
RECORDING = b"# dtrace-profiler recording 1\n"


def speedscope(weight: str = "1", sample: str = "0", unit: str = "none", schema: str = "") -> bytes:
    one = '{"type":"sampled","name":"p","unit":"%s","startValue":0,"endValue":9,"samples":[[%s]],"weights":[%s]}'
    known = schema or "https://www.speedscope.app/file-format-schema.json"
    head = f'{{"$schema":"{known}","shared":{{"frames":[{{"name":"f"}}]}},"profiles":['
    return (head + one % (unit, sample, weight) + "]}").encode()


def trace(ts: str = "1", dur: str = "1") -> bytes:
    return f'{{"traceEvents":[{{"ph":"X","pid":1,"tid":1,"ts":{ts},"dur":{dur},"name":"f"}}]}}'.encode()


def tachyon(version: str = "0", more: str = "") -> bytes:
    return (
        f'{{"type":"meta","v":{version},"run_id":"a","sample_interval_usec":2000,"mode":"wall"}}\n{more}\n'.encode()
    )


def freebsd(value: str, frames: int = 1) -> bytes:
    symbols = ",".join(f'{{"symbol":"a.out`f{place % 7}+0x1"}}' for place in range(frames))
    data = f'[{{"keys":[{{"ustack-frames":[{symbols}]}}],"count":{value}}}]'
    return f'{{"dtrace":{{"probes":[{{"output":[{{"aggregation-data":{data}}}]}}]}}}}'.encode()


def pprof(*values: int, location: int = 1) -> bytes:
    kinds = block(1, number(1, 1) + number(2, 2))
    tables = block(5, number(1, 1) + number(2, 1)) + block(4, number(1, 1) + block(4, number(1, 1)))
    sample = block(2, packed(1, [location]) + packed(2, values))
    return kinds + sample + tables + b"".join(block(6, text) for text in (b"", b"samples", b"count"))


BAD = [
    ("dtrace", b"# dtrace-profiler recording 2\n", r"version '2', and only version 1 is known"),
    ("dtrace", b"# dtrace-profiler recording " + LONG + b"\n", "version '1+', and only version 1"),
    ("folded", b"a;b 1\na;b -1\n", "line 2 is no folded stack"),
    ("folded", b"a;b 1\na;b " + HUGE + b"\n", "line 2 has a value that is too large"),
    ("folded", b"a;b 1\na;b " + LONG + b"\n", "line 2 has a value that is too large"),
    ("folded", b"a 9223372036854775807\nb 1\n", "sum of its values is too large"),
    ("austin", b"P1;T0:1;/a.py:f:1 " + HUGE + b"\n", "line 1 is no sample of Austin's"),
    ("austin", b"P1;T0:1;/a.py:f:1 -x\n", "line 1 is no sample of Austin's"),
    ("perf", b"p 1 1.0: " + HUGE + b" c: \n\t1 f (m)\n\n", "line 1 is no sample of perf's"),
    ("tachyon-jsonl", tachyon("1"), "line 1.*version"),
    ("tachyon-jsonl", tachyon("null"), "line 1"),
    ("tachyon-jsonl", tachyon(more='{"type":"string_table","v":0,"run_id":"a","strings":[{"str_id":-1}]}'), "line 2"),
    ("speedscope", speedscope(schema="https://example.org/other.json"), r"\$schema"),
    ("speedscope", speedscope("-1"), r"profiles\[0\]\.weights\[0\] is negative"),
    ("speedscope", speedscope("1e300"), r"profiles\[0\]\.weights\[0\] is too large"),
    ("speedscope", speedscope(HUGE.decode(), unit="seconds"), r"profiles\[0\]\.weights\[0\] is too large"),
    ("speedscope", speedscope(LONG.decode()), "more digits than can be read"),
    ("speedscope", speedscope("NaN"), "NaN, which is no number"),
    ("speedscope", speedscope(sample="1"), r"profiles\[0\]\.samples\[0\]"),
    ("speedscope", speedscope(sample="-1"), r"profiles\[0\]\.samples\[0\]"),
    ("speedscope", b'{"$schema":' + b"[" * 100_000, "nested too deeply"),
    ("trace", trace(dur="-1"), r"traceEvents\[0\]\.dur is negative"),
    ("trace", trace(dur="1e300"), r"traceEvents\[0\]\.dur is too large"),
    ("trace", trace(ts="1e300"), r"traceEvents\[0\]\.ts is too large"),
    ("trace", trace(ts='"x"'), r"traceEvents\[0\]\.ts is not a number"),
    ("trace", b"[" * 100_000, "nested too deeply"),
    ("dtrace-json", freebsd("-1"), r"probes\[0\]\.output\[0\]\.aggregation-data\[0\]\.count is negative"),
    ("dtrace-json", freebsd(HUGE.decode()), r"aggregation-data\[0\]\.count is too large"),
    ("dtrace-json", b'{"dtrace":' + b"[" * 100_000, "nested too deeply"),
    ("pprof", pprof(-1), "sample at offset 8 has a value that is negative"),
    ("pprof", pprof(1, 1), "has 2 values, and there are 1 types"),
    ("pprof", pprof(1, location=7), "sample at offset 8 names location 7"),
    ("pprof", pprof(1)[:-3], "at offset .* is longer than"),
    ("otlp", b"\x12\xff\xff\xff\xff\x0f", "can't be taken apart"),
    ("otlp", b"", "no profile in it|is empty"),
    ("parquet", b"PAR1" + b"\0" * 40 + b"PAR1", "can't be read"),
]


@pytest.mark.parametrize(("name", "data", "message"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_is_said_in_one_sentence_with_its_place(name: str, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_profile(io.BytesIO(data), name)
    text = str(caught.value)
    assert text.endswith(".")
    assert text.count("\n") == 0
    assert len(text) < 300


def test_each_reader_is_in_the_table() -> None:
    """dtrace's plain text has no rules that a line could break: what is no stack is passed over, and counted."""
    assert {name for name, _, _ in BAD} == set(READ) - {"dtrace-text"}


@pytest.mark.parametrize(
    ("head", "what", "remedy"),
    [
        (b"PERFILE2\x68\0\0\0", "perf's own data", "perf script"),
        (b"MOJ\0\3", "Austin's binary form", "mojo2austin"),
        (gzip.compress(b"a;b 1\n", mtime=0), "packed twice", "gunzip"),
        (b"PK\x03\x04\x14\0", "a zip archive", "unzip"),
        ("a;b 1\n".encode("utf-16"), "UTF-16", "iconv"),
        (b"<!DOCTYPE html>\n<html>", "a page for a browser", "recording"),
        (
            b'{"meta":{"interval":1,"preprocessedProfileVersion":47}}',
            "for the Firefox Profiler",
            "profiler.firefox.com",
        ),
    ],
)
def test_files_that_people_have_and_that_are_not_read_are_called_by_their_name(
    head: bytes, what: str, remedy: str
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        formats.detect(head)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("name", ["html", "svg", "firefox", "json"])
def test_what_we_write_and_do_not_read_is_known(name: str) -> None:
    file = io.BytesIO()
    write_profile(small_profile(), file, name)
    with pytest.raises(InputError, match="which can't be read"):
        formats.detect(file.getvalue()[: files.HEAD_BYTES])


def bomb(name: str, size: int) -> bytes:
    """A valid beginning, then so many bytes that pack a thousandfold."""
    beginning = {
        "dtrace": RECORDING,
        "folded": b"a;b 1\n",
        "austin": b"P1;T0:1;/a.py:f:1 1\n",
        "perf": b"p 1 1.0: 1 c: \n\t1 f (m)\n\n",
        "dtrace-text": b"\n a`f\n 1\n",
        "tachyon-jsonl": tachyon(),
    }.get(name, b"")
    if name in ("speedscope", "trace", "dtrace-json"):
        return b'{"a":[' + b"[]," * (size // 3)
    return beginning * (size // len(beginning)) if beginning else bytes(size)


@pytest.mark.parametrize("name", READ)
def test_a_packed_bomb_takes_no_more_memory_than_is_promised(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "UNPACKED_ALWAYS", 1 << 16)
    monkeypatch.setattr(files, "UNPACKED_TIMES", 20)
    size = 1 << 20
    data = gzip.compress(bomb(name, size), mtime=0)
    assert files.UNPACKED_ALWAYS + len(data) * files.UNPACKED_TIMES < size / 2
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="unpack to more than 20 times as many"):
            read_profile(io.BytesIO(data), name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    unpacked = files.UNPACKED_ALWAYS + files.UNPACKED_TIMES * len(data)
    assert peak < ROOM_BYTES + MEMORY_A_BYTE.get(name, USUAL_MEMORY_A_BYTE) * unpacked


def test_what_packs_well_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.folded.gz"
    path.write_bytes(gzip.compress(b"main;f 3\n" * 100_000, mtime=0))
    assert read_profile(path).total == 300_000


def deep_profile() -> Profile:
    builder = ProfileBuilder()
    stack = [StackFrame("f", "m"), StackFrame("g", "m")] * 50_000
    builder.add_sample(1_700_000_000_000_000_000, builder.add_thread(1, 1), builder.add_stack(stack), 2)
    return builder.snapshot(Meta(engine="dtrace", frequency_hz=99))


DEEP = deep_profile()
DEEP_TEXTS = {
    "perf": b"p 1 1.0: 1 c: \n" + b"".join(b"\t%x f%d (m)\n" % (at + 1, at % 7) for at in range(100_000)) + b"\n",
    "austin": b"P1;T0:1" + b";/a.py:f:1" * 100_000 + b" 100\n",
    "dtrace-text": b"\n" + b"".join(b" a.out`f%d+0x1\n" % (at % 7) for at in range(100_000)) + b" 3\n",
    "dtrace-json": freebsd("3", 100_000),
}


@pytest.mark.parametrize("name", [item.name for item in FORMATS if item.writes])
def test_a_stack_of_100_000_frames_is_written_and_read(name: str) -> None:
    file = io.BytesIO()
    write_profile(DEEP, file, name)
    if name in READ:
        again = read_profile(io.BytesIO(file.getvalue()), name)
        assert len(again.stack(again.node[0])) == 100_000
        assert again.total == DEEP.total


@pytest.mark.parametrize("name", DEEP_TEXTS)
def test_a_text_of_100_000_frames_is_read(name: str) -> None:
    profile = read_profile(io.BytesIO(DEEP_TEXTS[name]), name)
    assert len(profile.stack(profile.node[0])) == 100_000


def test_no_reader_is_without_a_deep_stack() -> None:
    """CPython's JSON lines hold no stacks."""
    written = {item.name for item in FORMATS if item.writes}
    assert set(READ) - written - {"tachyon-jsonl"} == set(DEEP_TEXTS)


COUNT = 30_000
WORST = {
    "folded": b"a" + b";" * COUNT + b"b 1\n",
    "speedscope": b'{"$schema":"https://www.speedscope.app/file-format-schema.json","a":[' + b"{}," * COUNT + b"0]}",
    "pprof": block(1, number(1, 1) + number(2, 2))
    + block(2, packed(1, [1] * (COUNT // 10)) + packed(2, [1]))
    + block(5, number(1, 1) + number(2, 1))
    + block(4, number(1, 1) + block(4, number(1, 1)) * 10)
    + b"".join(block(6, text) for text in (b"", b"samples", b"count")),
}
"""As few bytes as possible for what takes most memory: a new frame, a new node of the tree, an empty object."""


@pytest.mark.parametrize("name", WORST)
def test_the_worst_text_takes_no_more_than_the_multiple_that_the_documents_say(name: str) -> None:
    formats.read_profile(io.BytesIO(b"a 1\n"), "folded")  # what is made on first use
    tracemalloc.start()
    try:
        read_profile(io.BytesIO(WORST[name]), name)
    except InputError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak / len(WORST[name]) < MEMORY_A_BYTE.get(name, USUAL_MEMORY_A_BYTE)
