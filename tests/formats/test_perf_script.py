"""The files `perf-*.perf` are real, of perf 6.1; what perf was not seen to write here is made by hand below."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from held_profiles import damaged, read_or_refused, stacks_by_thread
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import detect, perf_script, read_profile
from dtrace_profiler.formats.perf_lines import frame, head
from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.tree import CallTree

DATA = Path(__file__).parents[1] / "data" / "profilers"
REAL = sorted(DATA.glob("perf-*.perf"))


def read(text: str) -> Profile:
    return perf_script.read(io.BytesIO(text.encode()))


def shown(profile: Profile) -> list[str]:
    lines = [f"{profile.meta.unit}, {profile.meta.target!r}, {profile.meta.system!r}, {profile.meta.losses}"]
    lines += profile.meta.notes
    for (process, thread, name, stack), value in stacks_by_thread(profile).items():
        names = [
            f"{f.module_name}`{f.function_name}{f' {f.file}:{f.line}' if f.file else ''} {f.kind}" for f in stack
        ]  # type: ignore[attr-defined]
        lines.append(f"{process}/{thread} {name}: {'; '.join(names)} {value}")
    return lines


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_files(path: Path, golden: Callable[[Path, bytes], None]) -> None:
    assert detect(path.read_bytes(), "x.txt").name == "perf"
    profile = read_profile(path)
    golden(path.with_suffix(".perf.read"), "".join(f"{line}\n" for line in shown(profile)).encode())
    with_line_ends = path.read_bytes().replace(b"\n", b"\r\n")
    assert shown(perf_script.read(io.BytesIO(with_line_ends))) == shown(profile)


def test_there_are_real_files() -> None:
    assert len(REAL) == 6


def test_several_events_are_not_added_up() -> None:
    path = DATA / "perf-two-events.perf"
    periods = [int(line.split()[-2]) for line in path.read_text().splitlines() if line.endswith(" cpu-clock: ")]
    profile = read_profile(path)
    assert len(periods) == 7
    assert profile.total == sum(periods)
    assert profile.meta.unit == "nanoseconds"
    assert profile.timestamp_ns[0] == 73171_636724_000
    assert "Left out: 7 samples of other events (task-clock)." in profile.meta.notes


STACK = "\t    55d0 f (/a)\n\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 1 2.000001: 7 cycles: ", ("a", 0, 1, 2_000_001_000, 7, "cycles")),
        (
            "hot prog 1 20154 7.636724:    2004008  cpu-clock: ",
            ("hot prog 1", 0, 20154, 7636724000, 2004008, "cpu-clock"),
        ),
        ("a b 3 17 [001] 2.5: cycles:u:", ("a b 3", 0, 17, 2_500_000_000, 0, "cycles:u")),
        (
            "java 12688/12690 [001] 6544038.708352: 235 cpu-clock: ",
            ("java", 12688, 12690, 6544038708352000, 235, "cpu-clock"),
        ),
        ("          :-1    -1 [000]  1.000000: 1 cpu-clock:ppp: ", (":-1", 0, 0, 10**9, 1, "cpu-clock:ppp")),
        (
            "a 1 [000] d..1. 2.000000: sched:sched_switch: prev_comm=a",
            ("a", 0, 1, 2 * 10**9, 0, "sched:sched_switch"),
        ),
        ("a 1/2 cpu_core/cycles/P: ", ("a", 1, 2, 0, 0, "cpu_core/cycles/P")),
    ],
)
def test_first_lines(line: str, expected: tuple[object, ...]) -> None:
    found = head(line)
    assert found is not None
    assert found[:-1] == expected
    assert found.frame is None
    profile = read(line + "\n" + STACK)
    assert [thread.name for thread in profile.threads] == [expected[0]]


@pytest.mark.parametrize(
    ("line", "name", "module", "kind"),
    [
        ("ffffffff81000130 do_x+0x76 ([kernel.kallsyms])", "do_x", "vmlinux", "kernel"),
        ("ffffffffc0000130 f ([nf_tables])", "f", "nf_tables", "kernel"),
        ("7f00 [unknown] (/lib/libz.so.1)", "0x7f00", "libz.so.1", "native"),
        ("7f00 [unknown] ([unknown])", "0x7f00", "", "unknown"),
        ("ffffffff81000130 [unknown] ([unknown])", "0xffffffff81000130", "", "kernel"),
        ("7f00 inner (inlined)", "inner", "", "inlined"),
        (
            "7f00 a::f(int (*)(char)) const+0x1f (/opt/my prog (x)/a b)",
            "a::f(int (*)(char)) const+0x1f (/opt/my prog",
            None,
            "native",
        ),
        ("7f00 a::f(int (*)(char)) const+0x1f (/opt/a b)", "a::f(int (*)(char)) const", "a b", "native"),
        ("7f00 f+0x1 (/memfd:x (deleted))", "f", "memfd:x", "native"),
        ("7f00 f (/tmp/perf-12.map)", "f", "perf-12.map", "native"),
        ("7f00 operator+0x10 (/a)", "operator", "a", "native"),
        ("7f00 py::C.f:/srv/app.py+0xb (/tmp/perf-12.map)", "C.f", "", "python"),
        ("7f00 f", "f", "", "native"),
        ("7f00 __vdso_clock_gettime+0x1 ([vdso])", "__vdso_clock_gettime", "[vdso]", "native"),
    ],
)
def test_frames(line: str, name: str, module: str | None, kind: str) -> None:
    found = frame("\t    " + line)
    assert found is not None
    assert (found.function_name, found.kind) == (name, FrameKind(kind))
    assert module is None or found.module_name == module


def test_python_frames_have_their_file() -> None:
    found = frame(" 7f00 py::f:/srv/app.py (/tmp/perf-1.map)")
    assert found is not None
    assert found.file == "/srv/app.py"


def test_names_are_demangled_and_tidied_and_then_the_same() -> None:
    text = "a 1 1.0: 1 cycles: \n\t 10 _ZN1a1fEv (/x)\n\n" + "a 1 1.1: 1 cycles: \n\t 10 a::f() (/x)\n\n"
    profile = perf_script.read(
        io.BytesIO(text.encode()), demangle=lambda names: ["a::f()" if name[:1] == "_" else name for name in names]
    )
    assert [item.function_name for item in profile.frames] == ["a::f"]
    assert list(profile.node) == [0, 0]


def test_what_was_lost_is_counted() -> None:
    text = (
        "a 1 1.0: PERF_RECORD_LOST lost 5\n"
        "a     1 [000] 1.1: 1 cycles: \n" + STACK + "a 1 1.2: PERF_RECORD_LOST_SAMPLES lost 2\n"
        "a 1 1.3: PERF_RECORD_LOST id:12 lost:3\n"
    )
    assert read(text).meta.losses == {"drops": 10}


def test_samples_without_a_stack_count() -> None:
    profile = read("a 1 1.0: 1 cycles: \n\na 1 1.1: 1 cycles: \n" + STACK + "a 1 1.2: 1 cycles: ")
    assert profile.total == 3
    assert [item.function_name for item in profile.frames] == ["<unknown>", "f"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no samples"),
        ("# cmdline : perf record\n", "no samples"),
        ("a 1 1.0: 1 cycles: \n" + STACK + "words\n", "line 4 is no sample"),
        ("a 1 1.0: 1 cycles: \n\twords of no frame\n", "line 2 is neither a frame nor a sample"),
        ("a 9999999999999999999 1.0: 1 cycles: \n", "line 1 has a number that is too large"),
        (f"a 1 1.0: {'9' * 19} cpu-clock: \n\n" * 2, "sum of its periods is too large"),
        ("a 1 1.0: 99999999999999999999999 cycles: \n", "line 1 is no sample"),
    ],
)
def test_what_is_no_such_text_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(text)


SMALL = (
    b"# cmdline : x\na b 1/2 [0] 1.5: 4 cpu-clock: \n\tffff800000000001 f+0x1 ([k])\n\t10 g (inlined)\n  a.c:3\n\n"
)


@given(st.one_of(st.binary(max_size=80), damaged(SMALL), damaged(SMALL + b"a 1 2.0: 1 c:  12 f (/x)\n")))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(perf_script, data)
    assert perf_script.sniff(data) in (True, False, None)


@pytest.mark.parametrize(
    "line", [" " * 200_000, "1 " * 100_000, "a 1 1.0: " * 30_000, "# a" + " " * 200_000, "(" * 200_000]
)
@pytest.mark.parametrize("before", ["", "a 1 1.0: 1 c: \n\t1 f (x)\n", "a 1 1.0: 1 c: \n\t1 "])
def test_long_lines_take_no_long_time(before: str, line: str) -> None:
    """The test's own limit of time would end it."""
    data = (before + line).encode()
    perf_script.sniff(data[: 1 << 16])
    read_or_refused(perf_script, data)


def test_a_stack_of_100_000_frames() -> None:
    text = "a 1 1.0: 1 cycles: \n" + "\t 10 f (/x)\n\t 20 g (/x)\n" * 50_000
    assert CallTree.from_profile(read(text)).max_depth == 100_000


def test_other_texts_are_not_taken_for_perfs() -> None:
    for text in (b"main;f 3\n", b"a 1 b:\n", b"  0   1234   foo:bar \n   a`f+0x1\n", b'{"a 1 1.0: 1 c:": 2}', b"\0"):
        assert perf_script.sniff(text) is False
