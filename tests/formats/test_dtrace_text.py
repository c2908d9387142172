from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import dtrace_text, folded, read_profile
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Profile

DATA = Path(__file__).parents[1] / "data" / "dtrace"

# Ours → theirs: docs/formats.md says why.
ON_PURPOSE = {
    "inferno-stack-and-ustack-rust": (
        ("tokio::runtime::task::harness::Harness<T,S>::poll", "tokio::runtime::task::harness::Harness"),
        ("tokio::runtime::task::core::Core<T,S>::poll", "tokio::runtime::task::core::Core"),
        ("tokio::runtime::context::scoped::Scoped<T>::set", "tokio::runtime::context::scoped::Scoped"),
        (
            "<tokio::future::poll_fn::PollFn<F> as core::future::future::Future>::poll",
            "<tokio::future::poll_fn::PollFn",
        ),
        (
            "<tokio_util::codec::framed_impl::FramedImpl<T,U,R> as futures_core::stream::Stream>::poll_next",
            "<tokio_util::codec::framed_impl::FramedImpl",
        ),
        ("recv_task::{{closure}}", "recv_task::_{{closure}}"),
        ("Downstairs::run::{{closure}}", "Downstairs::run::_{{closure}}"),
    ),
    "inferno-rust-legacy-mangled": (("::{{closure}}", "::_{{closure}}"),),
}


def profile_of(text: str | bytes) -> Profile:
    return dtrace_text.read(io.BytesIO(text.encode() if isinstance(text, str) else text), demangle=list)


def folded_of(profile: Profile) -> str:
    file = io.BytesIO()
    folded.write(profile, file)
    return file.getvalue().decode()


@pytest.mark.parametrize("path", sorted(DATA.glob("*.txt")), ids=lambda path: path.stem)
def test_texts_of_our_own_runs_give_what_is_expected(path: Path, golden: Callable[[Path, bytes], None]) -> None:
    with path.open("rb") as file:
        profile = dtrace_text.read(file, demangle=list)
    golden(path.with_suffix(".folded"), folded_of(profile).encode())


@pytest.mark.corpus
def test_every_file_of_the_corpus_can_be_read(corpus: Path) -> None:
    paths = [path for path in corpus.glob("*/**/*") if path.is_file()]
    assert len(paths) > 80
    for path in paths:
        profile = read_profile(path)
        assert len(profile) or profile.meta.notes, f"{path.name} is read as nothing, and nothing is said"


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("illumos/flamegraph-example-dtrace-stacks", ".folded"),
        ("illumos/inferno-flamegraph-bug-no-offset-leaf", ".folded-with-offsets"),
        ("illumos/inferno-stack-and-ustack-rust", ".folded"),
        ("illumos/inferno-synthetic-arrow-inline", ".folded"),
        ("macos/inferno-hex-addresses", ".folded"),
        ("macos/inferno-rust-legacy-mangled", ".folded"),
        ("macos/inferno-rust-mangled-_ZN", ".demangled.folded"),
        ("macos/inferno-scope-no-arglist", ".folded"),
    ],
)
def test_stacks_and_counts_are_those_of_inferno(corpus: Path, name: str, suffix: str) -> None:
    platform, stem = name.split("/")
    expected = (corpus / platform / "results" / f"{stem}{suffix}").read_text()
    expected = re.sub(r"\+0x[0-9a-f]+(?=[; ])", "", expected)
    if "mangled-_ZN" in name:
        pytest.importorskip("multi_demangle")
    found = folded_of(read_profile(corpus / platform / f"{stem}.txt"))
    for ours, theirs in ON_PURPOSE.get(stem, ()):
        assert ours in found, "still different"
        found = found.replace(ours, theirs)
    assert sorted(found.splitlines()) == sorted(expected.splitlines())


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_give_a_profile_or_one_sentence(data: bytes) -> None:
    complaint = "."
    try:
        profile_of(data)
    except InputError as error:
        complaint = str(error)
    assert complaint.endswith(".")


def test_values_of_batches_add_up_and_cleared_ones_are_none() -> None:
    batch = "\n      a.out`f+0x1\n      a.out`main\n       {}\n"
    assert folded_of(profile_of(batch.format(3) + "== 12345\n" + batch.format(4))) == "a.out`main;a.out`f 7\n"
    assert folded_of(profile_of(batch.format(0))) == ""


def test_addresses_of_one_function_are_one_frame() -> None:
    profile = profile_of("\n      a.out`f+0x1\n       3\n\n      a.out`f+0x23\n       4\n")
    assert list(profile.frames) == [StackFrame("f", "a.out", kind=FrameKind.NATIVE)]


def test_kinds_of_frames() -> None:
    text = (
        "\n      zfs`zil_commit+0x4b\n      0xfffffffffb800c91\n      genunix`open+0x1\n\n"
        "      libc.so.1`0x7f00\n      0x123\n      spin:0xde8\n      420b0\n      Func.a()V\n       1\n"
    )
    stack = [
        (frame.function_name, frame.module_name, frame.address, frame.kind.value) for frame in profile_of(text).frames
    ]
    assert sorted(stack) == [
        ("+0xde8", "spin", 0, "native"),
        ("0x123", "", 0x123, "unknown"),
        ("0x420b0", "", 0x420B0, "unknown"),
        ("0x7f00", "libc.so.1", 0x7F00, "native"),
        ("0xfffffffffb800c91", "", 0xFFFFFFFFFB800C91, "kernel"),
        ("Func.a()V", "", 0, "native"),
        ("open", "genunix", 0, "kernel"),
        ("zil_commit", "zfs", 0, "kernel"),
    ]


def test_annotation_is_the_frame_that_the_interpreter_ran() -> None:
    text = (
        "\n      libpython`PyEval_EvalFrame+0x266\n        [ ./slow.py:3 (func_c) ]\n"
        "      libpython`call_function+0xda\n"
        "      libpython`PyEval_EvalFrame+0xbdf\n        [ ./slow.py:26 (?) ]\n       11\n"
    )
    assert folded_of(profile_of(text)) == (
        "libpython`PyEval_EvalFrame;<module> (./slow.py:0);libpython`call_function;"
        "libpython`PyEval_EvalFrame;func_c (./slow.py:0) 11\n"
    )
    assert {frame.line for frame in profile_of(text).frames if frame.kind is FrameKind.PYTHON} == {3, 26}


def test_keys_name_threads_and_too_many_do_not() -> None:
    record = "  bash        {}\n      a.out`f\n        2\n"
    profile = profile_of("\n" + record.format(7) + record.format(8) + record.format(7))
    assert [(thread.name) for thread in profile.threads] == ["bash 7", "bash 8"]
    assert dict(zip(profile.thread, profile.value, strict=True)) == {0: 4, 1: 2}
    profile = profile_of("\n" + "".join(record.format(number) for number in range(3_000)))
    assert len(profile.threads) == dtrace_text.MAX_KEYS + 1
    assert profile.total == 6_000


def test_what_is_missing_is_counted_by_name() -> None:
    text = (
        "\n             1012\n\n      a.out`f\n        3\ndtrace: 7 drops on CPU 1\ndtrace: 2 drops on CPU 0\n"
        "dtrace: error on enabled probe ID 1 (ID 34: profile:::profile-997): invalid address (0x1) in action #2\n"
        "\n      a.out`cut"
    )
    losses = profile_of(text).meta.losses
    assert losses == {"empty_stacks": 1012, "unfinished_stacks": 1, "drops": 9, "probe_errors": 1}


def test_functions_that_are_counted_stand_alone_where_there_are_no_stacks() -> None:
    profile = profile_of("\n  vmlinux`read_zero                    248\n  a.out`main                      5\n")
    assert folded_of(profile) == "a.out`main 5\nvmlinux`read_zero 248\n"
    assert "no stacks" in profile.meta.notes[0]


def test_invalid_utf_8_is_replaced() -> None:
    assert folded_of(profile_of(b"\n      a.out`caf\xe9+0x1\n        3\n")) == "a.out`caf\ufffd 3\n"


def test_numbers_too_large_are_refused_in_a_sentence() -> None:
    record = "\n      a.out`f\n    999999999999999999\n"
    with pytest.raises(InputError, match="too large"):
        profile_of(record * 20)


@pytest.mark.parametrize("text", ["", "It was a dark and stormy night.\n", "a,b,c\n1,2,3\n"])
def test_what_dtrace_never_prints_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        profile_of(text)


@pytest.mark.parametrize("text", ["\n\n", "CPU     ID                    FUNCTION:NAME\n", "  bash         12\n"])
def test_dtrace_text_without_stacks_is_an_empty_profile(text: str) -> None:
    profile = profile_of(text)
    assert (len(profile), profile.meta.notes) == (0, ("The text has no stacks.",))


def test_names_are_demangled_by_what_is_given() -> None:
    def demangle(names: object) -> list[str]:
        return [name.replace("_Z1fi", "f(int)") for name in names]  # type: ignore[attr-defined]

    profile = dtrace_text.read(io.BytesIO(b"\n      a.out`_Z1fi+0x1\n        3\n"), demangle=demangle)
    assert folded_of(profile) == "a.out`f(int) 3\n"
