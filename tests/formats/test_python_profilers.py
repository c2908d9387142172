"""What py-spy, CPython's profiling.sampling and Austin write as lines of stacks."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from held_profiles import damaged, read_or_refused, stacks_by_thread, written
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import austin, detect, folded, read_profile
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.tree import CallTree

DATA = Path(__file__).parents[1] / "data" / "profilers"


def python(function: str, file: str, line: int) -> StackFrame:
    return StackFrame(function, file=file, line=line, first_line=line, kind=FrameKind.PYTHON)


def read(text: str) -> Profile:
    return folded.read(io.BytesIO(text.encode()))


@pytest.mark.parametrize(
    ("name", "format_name", "threads"),
    [
        ("pyspy.folded", "folded", {(0, 3216, "worker"), (0, 3217, "packer")}),
        ("tachyon.collapsed", "folded", {(0, 3344, ""), (0, 3349, ""), (0, 3350, "")}),
        ("austin.austin", "austin", {(17041, 17041, ""), (17041, 17049, ""), (17041, 17051, "")}),
        ("austin-cpu.austin", "austin", {(17215, 17215, ""), (17215, 17224, ""), (17215, 17226, "")}),
    ],
)
def test_real_files_have_their_threads_files_and_lines(
    name: str, format_name: str, threads: set[tuple[int, int, str]], golden: Callable[[Path, bytes], None]
) -> None:
    data = (DATA / name).read_bytes()
    assert detect(data).name == format_name
    profile = read_profile(DATA / name)
    values = [int(line.rpartition(b" ")[2]) for line in data.splitlines() if line.strip() and line[:1] != b"#"]
    assert profile.total == sum(values) * (1000 if format_name == "austin" else 1)
    assert {(who.process_id, who.thread_id, who.name) for who in profile.threads} == threads
    assert {frame.kind for frame in profile.frames} <= {FrameKind.PYTHON, FrameKind.UNKNOWN}
    golden(DATA / f"{name}.read", b"".join(sorted(lines_of(profile))))


def lines_of(profile: Profile) -> list[bytes]:
    """All that was read, as text."""
    return [
        f"{thread} {name}: {'; '.join(f'{f.function_name} {f.file}:{f.line}' for f in stack)} {value}\n".encode()  # type: ignore[attr-defined]
        for (_, thread, name, stack), value in stacks_by_thread(profile).items()
    ]


def test_austins_idle_samples_are_left_out() -> None:
    lines = (DATA / "austin-full.austin").read_text().splitlines()
    samples = [line.rpartition(" ")[2].split(",") for line in lines if line.startswith("P")]
    idle = [sample for sample in samples if sample[1] == "1"]
    profile = read_profile(DATA / "austin-full.austin")
    assert idle
    assert profile.total == 1000 * sum(int(sample[0]) for sample in samples if sample[1] == "0")
    assert profile.meta.notes[-1] == f"{len(idle)} samples of idle threads were left out."
    assert profile.meta.frequency_hz == 100
    assert profile.meta.versions == {"austin": "3.7.0"}


def test_austins_bytes_are_called_bytes() -> None:
    profile = read_profile(DATA / "austin-mem.austin")
    assert profile.meta.unit == "samples"
    assert profile.meta.notes[0] == "The values are bytes, not samples."


def test_austins_threads_may_have_names_and_no_interpreter() -> None:
    text = b"P7;T0:MainThread;a b.py:f:3 2\nP7;T72;c:\\x.py:g:4 1\nP7;T0:MainThread 4\n"
    profile = austin.read(io.BytesIO(text))
    assert stacks_by_thread(profile) == {
        (7, 0, "MainThread", (python("f", "a b.py", 3),)): 2000,
        (7, 72, "", (python("g", "c:\\x.py", 4),)): 1000,
        (7, 0, "MainThread", (StackFrame("<unknown>"),)): 4000,
    }


def test_py_spys_processes_and_threads() -> None:
    profile = read(
        'process 7:"python app.py";thread (72): worker;f (a.py:3) 2\n'
        'process 7:"python app.py";f (a.py:3) 1\nthread (0x7F00): x 5\nmain;f 3\n'
    )
    assert stacks_by_thread(profile) == {
        (7, 72, "worker", (python("f", "a.py", 3),)): 2,
        (7, 0, "", (python("f", "a.py", 3),)): 1,
        (0, 0x7F00, "x", (StackFrame("<unknown>"),)): 5,
        (0, 0, "", (StackFrame("main", kind=FrameKind.NATIVE), StackFrame("f", kind=FrameKind.NATIVE))): 3,
    }


def test_cpythons_frames() -> None:
    profile = read("tid:1;<frozen runpy>:run:3;<GC> 2\ntid:2 1\nx.py:f:3 4\n")
    assert stacks_by_thread(profile) == {
        (0, 1, "", (python("run", "<frozen runpy>", 3), StackFrame("<GC>", kind=FrameKind.NATIVE))): 2,
        (0, 2, "", (StackFrame("<unknown>"),)): 1,
        (0, 0, "", (StackFrame("x.py:f:3", kind=FrameKind.NATIVE),)): 4,
    }


MARKS = st.sampled_from(
    ["tid:1", "thread (2): a", "thread (2): b b", 'process 3:"x"', "tid:", "thread (x)", "process"]
)
NAMES = st.sampled_from(["f", "x.py:f:3", "g (x.py:4)", "tid:9", ":::", "a:b:99999999999"])


@given(
    st.lists(st.tuples(st.lists(MARKS, max_size=2), st.lists(NAMES, min_size=1, max_size=4), st.integers(1, 9))),
    st.randoms(use_true_random=False),
)
def test_totals_are_kept_whatever_marks_there_are(
    rows: list[tuple[list[str], list[str], int]], random: object
) -> None:
    text = "".join(f"{';'.join([*marks, *names])} {value}\n" for marks, names, value in rows)
    if not rows:
        return
    profile = read(text)
    assert profile.total == sum(value for _, _, value in rows)
    again = read(written(folded, profile).decode())
    assert again.total == profile.total


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"# austin: 3.7.0\n\n", "no samples"),
        (b"", "is empty"),
        (b"P1;T0:1;a.py:f:1 5\nP1;T0:1;a.py:f:1 x\n", "line 2 is no sample"),
        (b"P1;T0:1;a.py:f:1 " + b"9" * 19 + b"\n", "too large at line 1"),
        (b"P1;T0:1;a.py:f:1 " + b"9" * 30 + b"\n", "line 1 is no sample"),
        (b"main;f 1\n", "line 1 is no sample"),
    ],
)
def test_what_is_not_austins_is_refused_with_its_line(text: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        austin.read(io.BytesIO(text))


AUSTIN = (DATA / "austin-full.austin").read_bytes()[:600] + b" 1,0,2\nP1;T0:1;x:y:2 3,0,-4\n"


@given(st.one_of(st.binary(max_size=80), damaged(AUSTIN)))
def test_any_bytes_are_read_as_austins_or_refused(data: bytes) -> None:
    read_or_refused(austin, data)


@given(damaged((DATA / "tachyon.collapsed").read_bytes()))
def test_damaged_folded_files_are_read_or_refused(data: bytes) -> None:
    read_or_refused(folded, data)


def test_stacks_of_100_000_frames() -> None:
    for text in (f"tid:1;{';'.join(['a.py:f:1', 'a.py:g:2'] * 50_000)} 2\n", f"P1;T0:1{';a:f:1;b:f:2' * 50_000} 2\n"):
        profile = read_profile(io.BytesIO(text.encode()))
        assert CallTree.from_profile(profile).max_depth == 100_000


@pytest.mark.parametrize(
    "line",
    ["P1;T0:1;" * 30_000, " " * 200_000, "P1;T" + " 1" * 100_000, "P1;T;" + ";:" * 100_000 + " 1,0,", "#" * 200_000],
)
def test_long_lines_take_no_long_time(line: str) -> None:
    """The test's own limit of time would end it."""
    for data in (line.encode(), b"P1;T0:1;a:b:1 2\n" + line.encode()):
        austin.sniff(data[: 1 << 16])
        read_or_refused(austin, data)
        read_or_refused(folded, data)


def test_functions_that_only_look_like_threads_stay_functions() -> None:
    text = "main;thread (4) 3\nmain;tid:4;thread (4): x 2\n"
    assert written(folded, read(text)).decode() == text
    assert re.match("thread", read("threads;a 1\n").frames[0].function_name)
