"""Recordings on disk: written and read back, cut, damaged, put out of order, not ours at all."""

from __future__ import annotations

import io
import random
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recorded_profiles import essence, profiles

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import recording
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.record import parse
from dtrace_profiler.record.parse import ProcessEvent, SampleRecord
from dtrace_profiler.record.recording import FIRST_LINE, RecordingWriter

MAIN = StackFrame("main", "app", 0x401000, "app.c", 7, 3, FrameKind.NATIVE)
WORK = StackFrame("work", "app", 0x402000, "app.c", 20, 18, FrameKind.NATIVE)
LOAD = StackFrame("load", "other", 0x401000, kind=FrameKind.NATIVE)


def read(data: bytes) -> Profile:
    return recording.read(io.BytesIO(data))


def written(profile: Profile) -> bytes:
    file = io.BytesIO()
    recording.write(profile, file)
    return file.getvalue()


def sample(time: int, *, pid: int = 7, tid: int = 7, native: int = 0, python: int = 0, pc: int = 0) -> SampleRecord:
    return SampleRecord(time, pid, tid, tid, native, 0, python, pc)


def session(*, end: bool = True) -> bytes:
    """A recording as a session writes it: two stacks, three samples, one of them by the interrupted address."""
    file = io.BytesIO()
    writer = RecordingWriter(file, {"frequency_hz": 99, "target": "app --fast", "pid": 7, "start_ns": 1000})
    writer.fact("program", "BEGIN {}")
    writer.record(ProcessEvent("begin", 1500))
    writer.stack((7, 0x51, 0, 0, 0), (MAIN, WORK))
    writer.fact("thread", [7, 7, "app"])
    writer.record(sample(2000, native=0x51, pc=0x402000))
    writer.record(sample(3000, native=0x51, pc=0x402010))
    writer.stack((7, 0, 0, 0, 0x401000), (MAIN,))
    writer.record(sample(4000, pc=0x401000))
    if end:
        writer.end({"engine": "dtrace", "unit": "samples", "duration_ns": 5000, "losses": {"drops": 2}, "notes": []})
    writer.flush()
    return file.getvalue()


@given(profiles())
def test_what_is_written_is_read_back(profile: Profile) -> None:
    assert essence(read(written(profile))) == essence(profile)


@given(profiles())
def test_a_second_copy_is_the_same_file(profile: Profile) -> None:
    once = written(profile)
    again = written(read(once))
    assert again == written(read(again))


def test_a_session_is_read() -> None:
    profile = read(session())
    assert [profile.stack(node) for node in profile.node] == [(MAIN, WORK), (MAIN, WORK), (MAIN,)]
    assert list(profile.timestamp_ns) == [2000, 3000, 4000]
    assert list(profile.value) == [1, 1, 1]
    assert [(thread.process_id, thread.thread_id, thread.name) for thread in profile.threads] == [(7, 7, "app")]
    meta = profile.meta
    assert (meta.engine, meta.unit, meta.frequency_hz, meta.target) == ("dtrace", "samples", 99, "app --fast")
    assert (meta.start_ns, meta.duration_ns, dict(meta.losses), meta.notes) == (1000, 5000, {"drops": 2}, [])


def test_one_without_its_end_says_so_and_keeps_its_samples() -> None:
    profile = read(session(end=False))
    assert len(profile) == 3
    assert profile.meta.duration_ns == 3000
    (note,) = profile.meta.notes
    assert "no end" in note


def test_the_embedded_samplers_values_are_times_even_without_an_end() -> None:
    file = io.BytesIO()
    writer = RecordingWriter(file, {"frequency_hz": 99})
    writer.stack([0, 0, 0, 3, 0], (MAIN,))
    writer.fact("sample", [5000, 7, 8, 3, 10_100_000])
    writer.flush()
    profile = read(file.getvalue())
    assert (profile.meta.engine, profile.meta.unit, profile.total) == ("sampler", "nanoseconds", 10_100_000)
    (only,) = profile.samples()
    assert (only.thread_id, only.process_id, only.cpu_time_ns, only.stack_frames) == (8, 7, 10_100_000, (MAIN,))


@given(cut=st.integers(len(FIRST_LINE) + 1, len(session())))
def test_one_that_was_cut_gives_the_samples_before_the_cut(cut: int) -> None:
    text = session()[:cut]
    profile = read(text)
    whole_lines = text[: text.rfind(b"\n") + 1].split(b"\n")
    assert len(profile) == sum(line.startswith(b"S ") for line in whole_lines)
    assert all(profile.stack(node)[0] == MAIN for node in profile.node)
    assert "unreadable_lines" not in profile.meta.losses
    assert "undefined_stacks" not in profile.meta.losses


@given(order=st.permutations(session().splitlines()[1:]))
def test_the_order_of_lines_does_not_matter(order: list[bytes]) -> None:
    profile = read(b"\n".join([FIRST_LINE, *order, b""]))
    found = sorted(zip(profile.timestamp_ns, map(profile.stack, profile.node), strict=True))
    assert found == [(2000, (MAIN, WORK)), (3000, (MAIN, WORK)), (4000, (MAIN,))]
    assert dict(profile.meta.losses) == {"drops": 2}


def test_a_stack_means_something_else_after_an_exec() -> None:
    """Equal addresses, but another program: samples keep what their stack meant when they were taken."""
    file = io.BytesIO()
    writer = RecordingWriter(file, {})
    writer.stack((7, 0x51, 0, 0, 0), (MAIN,))
    writer.record(sample(1, native=0x51))
    writer.record(ProcessEvent("exec", 2, 7))
    writer.stack((7, 0x51, 0, 0, 0), (LOAD,))
    writer.record(sample(3, native=0x51))
    writer.end({})
    profile = read(file.getvalue())
    assert [profile.stack(node) for node in profile.node] == [(MAIN,), (LOAD,)]


def test_what_cannot_be_used_is_counted() -> None:
    lines = session().splitlines()
    lines += [
        b"S 5000 7 7 7 99 0 0 0",  # a stack that is nowhere
        b"S 5000 7 7 7 zz 0 0 0",
        b"S 99999999999999999999 7 7 7 0 0 0 401000",
        b"S -1 7 7 7 51 0 0 0",
        b"S 5000 7 -7 7 51 0 0 0",
        b"what is this",
        b"# no json",
        b'# {"frame": [1, 2]}',
        b'# {"frame": [9, "f", "m", "a", -1, 0, "native", 0]}',
        b'# {"frame": [9, "f", "m", "a", 99999999999999999999, 0, "native", 0]}',
        b'# {"frame": [9, 5, "m", "a", 1, 0, "native", 0]}',
        b'# {"stack": [[7, 1, 0, 0, 0], [99999999999999999999]]}',
        b'# {"thread": [7, "x", ""]}',
        b'# {"sample": [1, 2, 3, 4, -5]}',
        b'# {"stack": 1, "frame": 2}',
        b"# " + b"[" * 100_000,
        b'# {"a later version\'s fact": 1}',  # not damage
        b"",
    ]
    profile = read(b"\n".join(lines))
    assert dict(profile.meta.losses) == {"drops": 2, "undefined_stacks": 1, "unreadable_lines": 15}
    assert len(profile) == 4
    assert profile.stack(profile.node[3])[0].kind is FrameKind.UNKNOWN


def test_a_frame_that_is_lost_leaves_the_others() -> None:
    lines = [line for line in session().splitlines() if b'"main"' not in line]
    profile = read(b"\n".join([*lines, b""]))
    assert [frame.function_name for frame in profile.stack(profile.node[0])] == ["<unknown>", "work"]
    assert profile.meta.losses["undefined_frames"] == 2


@given(position=st.integers(len(FIRST_LINE) + 1, len(session()) - 1), byte=st.integers(0, 255))
@example(position=len(FIRST_LINE) + 1, byte=10)
def test_any_damaged_byte_does_no_harm(position: int, byte: int) -> None:
    data = bytearray(session())
    data[position] = byte
    assert 1 <= len(read(bytes(data))) <= 3  # a lost line end spoils two lines


@given(st.binary(max_size=2000))
def test_any_bytes_below_the_first_line_are_a_profile(data: bytes) -> None:
    profile = read(FIRST_LINE + b"\n" + data)
    assert all(profile.stack(node) for node in profile.node)


@given(st.lists(st.sampled_from([b"S ", b"# {", b'"frame"', b"[", b"]", b"}", b"1", b" ", b",", b":", b"\n", b"7 "])))
def test_any_order_of_pieces_is_a_profile(pieces: list[bytes]) -> None:
    read(FIRST_LINE + b"\n" + b"".join(pieces))


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"main;work 3\n", FIRST_LINE[:-3], b"x" + FIRST_LINE, b"\xef\xbb\xbf" + FIRST_LINE]
)
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="not a recording"):
        read(data)


def test_a_later_version_is_refused_by_its_number() -> None:
    with pytest.raises(InputError, match="version '2'") as caught:
        read(b"# dtrace-profiler recording 2\n")
    assert "newer" in caught.value.remedy


def test_line_ends_of_windows_are_understood() -> None:
    assert essence(read(session().replace(b"\n", b"\r\n"))) == essence(read(session()))


def test_the_first_line_tells_what_a_file_is() -> None:
    assert recording.sniff(session()) is True
    assert recording.sniff(b"# dtrace-profiler recording 2\n") is True  # ours, and read says what is wrong with it
    assert recording.sniff(b"") is None
    assert recording.sniff(FIRST_LINE[:10]) is None
    assert recording.sniff(b"# something else\n") is False
    assert recording.sniff(b"main;work 3\n") is False


def test_memory_is_bounded_by_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long recording of few stacks: the samples as columns, nothing else of a size that grows with the file."""
    samples = 50_000
    lines = [session(end=False), *(b"S %d 7 7 7 51 0 0 402000\n" % (5000 + row) for row in range(samples))]
    file = io.BytesIO(b"".join(lines))
    del lines
    monkeypatch.setattr(recording, "_CHUNK_BYTES", 1 << 14)
    tracemalloc.start()
    try:
        profile = recording.read(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(profile) == samples + 3
    # Two times 28 bytes each (the columns, their snapshot), with room to grow, and the little that is being parsed.
    assert peak < samples * 28 * 3 + 3_000_000


class Endless(io.RawIOBase):
    """A good beginning, a stack that never ends, and so many pieces of noise."""

    def __init__(self, noise: bytes, pieces: int) -> None:
        self.noise, self.left = noise * (1 << 13), pieces
        self.head = io.BytesIO(session(end=False) + b"N 77\n")

    def readline(self, size: int | None = -1) -> bytes:
        return self.head.readline(-1 if size is None else size)

    def read(self, size: int = -1) -> bytes:
        if data := self.head.read(size):
            return data
        self.left -= 1
        return self.noise if self.left >= 0 else b""


@pytest.mark.parametrize("noise", [b"x", b"N 1\n", b"# ", b"0x401000\n"])
def test_endless_damage_takes_no_memory(noise: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "MAX_LINE_BYTES", 1 << 14)

    def peak(pieces: int) -> int:
        tracemalloc.start()
        try:
            profile = recording.read(Endless(noise, pieces))  # type: ignore[arg-type]
            assert len(profile) == 3
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(5)
    assert peak(20) < 1.5 * peak(5)


def test_a_large_profile_is_written_in_pieces() -> None:
    class Counting(io.RawIOBase):
        largest = 0

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            length = len(data)  # type: ignore[arg-type]
            self.largest = max(self.largest, length)
            return length

    text = session(end=False) + b"".join(
        b"S %d 7 7 7 51 0 0 402000\n" % random.Random(row).getrandbits(60) for row in range(20_000)
    )
    file = Counting()
    recording.write(read(text), file)  # type: ignore[arg-type]
    assert 0 < file.largest < 1_000_000


def test_losses_that_are_no_counts_are_none() -> None:
    losses = b'{"drops":-3,"yes":true,"much":99999999999999999999,"half":0.5,"one":1}'
    profile = read(FIRST_LINE + b'\n# {"end":{"losses":' + losses + b"}}\n")
    assert dict(profile.meta.losses) == {"one": 1}
