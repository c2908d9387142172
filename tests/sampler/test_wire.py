"""What a sampled program writes is what the reader finds, in any chunks, with any names."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.sampling import reader as reading
from dtrace_profiler.sampling.reader import Reader, SamplerSample, Stream, unescape
from dtrace_profiler.sampling.stacks import TRUNCATED_FRAME, UNSEEN_FRAME
from dtrace_profiler.sampling.target import wire
from dtrace_profiler.sampling.target.walk import FIRST_FRAME, FIRST_STACK, NO_STACK, TRUNCATED
from dtrace_profiler.sampling.target.wire import FileOutput, escape

texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
unicode_texts = st.text(max_size=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@given(unicode_texts)
def test_escapes_come_back(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not set(escape(text)) & set("\t\n\r")


def frame(number: int, name: str = "f", line: int = 3) -> StackFrame:
    return StackFrame(f"{name}{number}", "m", file="/a b.py", line=line, first_line=1, kind=FrameKind.PYTHON)


def define(output: FileOutput, number: int, name: str = "f") -> None:
    output.frame(number, f"{name}{number}", "m", "/a b.py", 3, 1)


def test_samples_arrive_while_the_program_runs(folder: Path) -> None:
    output = FileOutput(str(folder))
    reader = Reader(folder)
    got: list[SamplerSample] = []
    reader._sink = got.extend
    define(output, FIRST_FRAME)
    define(output, FIRST_FRAME + 1)
    output.stack(FIRST_STACK, (FIRST_FRAME + 1, FIRST_FRAME, TRUNCATED))
    output.sample(1, 7, FIRST_STACK, 1000)
    output.flush(time.monotonic_ns(), True)
    assert reader.poll() == 1
    output.sample(2, 0, NO_STACK, 5)
    output.losses = {"missed_ticks": 3}
    output.note("two\nlines")
    output.close()
    assert reader.poll() == 1
    me = os.getpid()
    assert got == [
        (1, me, 7, (TRUNCATED_FRAME, frame(FIRST_FRAME), frame(FIRST_FRAME + 1)), 1000),
        (2, me, 0, (UNSEEN_FRAME,), 5),
    ]
    (process,) = reader.processes
    assert process.process_id == me
    assert process.ended
    assert process.samples == 2
    assert reader.losses == {"missed_ticks": 3}
    assert reader.notes == ["two\nlines"]


@given(name=texts, module=texts, file=texts, cuts=st.lists(st.integers(0, 400), max_size=5))
def test_any_name_in_any_chunks(name: str, module: str, file: str, cuts: list[int]) -> None:
    line = "F\t3\t10\t9\t" + "\t".join(map(escape, (name, module, file))) + "\nS\t2\t3\nT\t1\t2\t2\t4\n"
    data = line.encode("utf-8", "backslashreplace")
    stream = Stream()
    got: list[SamplerSample] = []
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in pairwise(places):
        got += stream.feed(data[begin:end])
    ((_, _, thread, (found,), cpu),) = got
    assert (thread, cpu, found.line, found.first_line) == (2, 4, 10, 9)
    if name.isprintable():
        assert found.function_name == name
    assert not stream.process.losses


@given(st.binary(max_size=200))
def test_junk_is_counted(data: bytes) -> None:
    stream = Stream()
    stream.feed(data + b"\n\xff\tjunk\n")
    assert stream.process.losses["damaged_lines"] >= 1


def test_numbers_without_definition_are_unknown() -> None:
    stream = Stream()
    ((_, _, _, frames, _),) = stream.feed(b"T\t1\t1\t99\t5\n")
    assert [found.kind for found in frames] == [FrameKind.UNKNOWN]
    stream.feed(b"S\t99\t50\n")
    ((_, _, _, frames, _),) = stream.feed(b"T\t1\t1\t99\t5\n")
    assert [found.function_name for found in frames] == ["<unknown>"]


def test_numbers_begin_anew(folder: Path) -> None:
    stream = Stream()
    stream.feed(b"F\t3\t1\t1\told\tm\t/f\nS\t2\t3\nX\nF\t3\t1\t1\tnew\tm\t/f\nS\t2\t3\n")
    ((_, _, _, (found,), _),) = stream.feed(b"T\t1\t1\t2\t5\n")
    assert found.function_name == "new"
    ((_, _, _, (found,), _),) = stream.feed(b"T\t1\t1\t1\t5\n")
    assert found == UNSEEN_FRAME


def test_segments_are_removed_once_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "SEGMENT_BYTES", 300)
    output = FileOutput(str(folder))
    reader = Reader(folder)
    got: list[SamplerSample] = []
    reader._sink = got.extend
    define(output, FIRST_FRAME)
    output.stack(FIRST_STACK, (FIRST_FRAME,))
    for number in range(100):
        output.sample(number, 1, FIRST_STACK, number)
        output.flush(number, True)
        if number % 10 == 0:
            reader.poll()
    output.close()
    reader.poll()
    assert [sample[4] for sample in got] == list(range(100))
    assert {sample[3] for sample in got} == {(frame(FIRST_FRAME),)}
    left = [path for path in folder.iterdir() if path.name.startswith(f"{os.getpid()}-")]
    assert len(left) == 1


def test_a_last_line_without_its_end_is_left_out(folder: Path) -> None:
    reader = Reader(folder)
    (folder / "12-34.0").write_bytes(
        b"P\t12\t1\t34\t3.14.0\t/p\nF\t3\t1\t1\tf\tm\t/f\nS\t2\t3\nT\t1\t1\t2\t5\nT\t2\t1\t2"
    )
    assert reader.poll() == 1
    assert reader.poll() == 0
    assert reader.losses == {}
    assert [process.ended for process in reader.processes] == [False]


def test_the_program_survives_when_its_files_are_closed(folder: Path) -> None:
    output = FileOutput(str(folder))
    reader = Reader(folder)
    output.sample(1, 1, NO_STACK, 1)
    output.flush(1, True)
    os.close(output._fd)
    with open(folder / "mine", "wb") as mine:
        os.dup2(mine.fileno(), output._fd)  # the program's own file now has that number
        stolen = output._fd
        output.sample(2, 1, NO_STACK, 1)
        assert output.flush(2, True)
        assert output._fd != stolen
        os.close(stolen)
    output.close()
    assert (folder / "mine").read_bytes() == b""
    assert reader.poll() == 2


def test_file_numbers_of_the_program_stay_low(folder: Path) -> None:
    with open(os.devnull) as before:
        expected = before.fileno()
    output = FileOutput(str(folder))
    with open(os.devnull) as after:
        assert after.fileno() == expected
    assert not os.get_inheritable(output._fd)
    output.close()
    os.close(output._fd)


def test_sampling_ends_where_nothing_can_be_written(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    output = FileOutput(str(inner))
    os.close(output._fd)
    for path in inner.iterdir():
        path.unlink()
    inner.rmdir()
    output.sample(1, 1, NO_STACK, 1)
    assert output.flush(1, True) is False


def test_sampling_ends_when_nobody_reads(folder: Path) -> None:
    (folder / wire.ALIVE).touch()
    output = FileOutput(str(folder))
    now = time.monotonic_ns()
    step = wire.HEARTBEAT_NS // 5

    def lives(after: int) -> bool:
        output.sample(1, 1, NO_STACK, 1)
        return output.flush(now + after, False)

    assert all(lives(step * number) for number in range(1, 6))
    os.utime(folder / wire.ALIVE, (1, 1))
    assert all(lives(step * number) for number in range(6, 11))
    assert not lives(step * 12)


def test_a_folder_nobody_wrote_to_is_explained(folder: Path) -> None:
    reader = Reader(folder)
    reader.poll()
    (note,) = reader.notes
    assert "nothing was sampled" in note
    (folder / "failed-77").write_text("it is too old.")
    reader.poll()
    assert reader.notes == ["process 77 could not be sampled: it is too old."]


def test_reader_threads_can_be_left_out_of_profiles(folder: Path) -> None:
    reader = Reader(folder)
    assert reader.thread_ids == set()
    reader.start(lambda samples: None)
    assert len(reader.thread_ids) == 1
    reader.finish()
    reader.finish()
    assert not folder.exists()
    assert reading.POLL_S <= 0.5
