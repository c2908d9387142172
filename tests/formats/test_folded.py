from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import detect, folded
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.tree import CallTree


def read(text: str | bytes) -> Profile:
    return folded.read(io.BytesIO(text.encode() if isinstance(text, str) else text))


def written(profile: Profile) -> str:
    file = io.BytesIO()
    folded.write(profile, file)
    return file.getvalue().decode()


def profile_of(*rows: tuple[list[StackFrame], int]) -> Profile:
    builder = ProfileBuilder()
    builder.add_thread(1, 1)
    for stack, value in rows:
        builder.add_sample(0, 0, builder.add_stack(stack), value)
    return builder.snapshot(Meta())


NAMES = st.sampled_from(["main", "f", "g g", "a::b(int, char)", "vmlinux`x", "zfs`y", "libc`z", "0x12", "x_[i]"])
LINES = st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=8), st.integers(1, 9)), min_size=1, max_size=30)


@given(LINES, st.sampled_from([0, 100, 1 << 30]))
def test_text_read_and_written_is_the_text_sorted_and_added_up(rows: list[Any], memo_bytes: int) -> None:
    values: dict[str, int] = {}
    for names, value in rows:
        values[";".join(names)] = values.get(";".join(names), 0) + value
    text = "".join(f"{';'.join(names)} {value}\n" for names, value in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folded, "MEMO_BYTES", memo_bytes)
        profile = read(text)
    assert written(profile) == "".join(f"{stack} {values[stack]}\n" for stack in sorted(values))


FRAMES = st.one_of(
    st.builds(
        StackFrame,
        st.text(st.characters(exclude_characters=";\r\n"), max_size=8),
        st.sampled_from(["", "a.out", "zfs", "libc.so.6"]),
        kind=st.sampled_from([FrameKind.NATIVE, FrameKind.KERNEL, FrameKind.INLINED]),
    ),
    st.builds(
        StackFrame,
        st.sampled_from(["f", "C.method", "<lambda>", "f.<locals>.g (x)"]),
        file=st.sampled_from(["/a b/c.py", "<string>", "<frozen importlib._bootstrap>", "x.pyw"]),
        first_line=st.integers(0, 999),
        kind=st.just(FrameKind.PYTHON),
    ),
)


@given(st.lists(st.tuples(st.lists(FRAMES, min_size=1, max_size=6), st.integers(1, 9)), min_size=1, max_size=10))
def test_what_is_written_reads_as_the_same_text_again(rows: list[Any]) -> None:
    profile = profile_of(*rows)
    text = written(profile)
    again = read(text)
    assert again.total == profile.total
    assert written(again) == text


def test_kinds_survive() -> None:
    stack = [
        StackFrame("main", "a.out", kind=FrameKind.NATIVE),
        StackFrame(
            "JSONEncoder.encode", file="/lib/json/encoder.py", line=183, first_line=183, kind=FrameKind.PYTHON
        ),
        StackFrame("inner", "a.out", kind=FrameKind.INLINED),
        StackFrame("zil_commit", "zfs", kind=FrameKind.KERNEL),
        StackFrame("copy", "tmpfs", kind=FrameKind.KERNEL),
    ]
    text = written(profile_of((stack, 3)))
    assert text == (
        "a.out`main;JSONEncoder.encode (/lib/json/encoder.py:183);a.out`inner_[i];zfs`zil_commit_[k];tmpfs`copy 3\n"
    )
    assert read(text).stack(4) == tuple(stack)
    deep = [StackFrame("f" * 1000, kind=FrameKind.NATIVE)] * 40
    assert written(profile_of((deep + stack, 3))) == f"{';'.join(frame.function_name for frame in deep)};{text}"


def test_kernel_is_known_by_its_modules_and_by_what_called() -> None:
    kinds = [frame.kind.value for frame in read("a`main;unix`sys_syscall;zfs`zfs_write;0x12 1").stack(3)]
    assert kinds == ["native", "kernel", "kernel", "kernel"]


def test_semicolons_and_line_ends_in_names() -> None:
    stack = [StackFrame("<[u8; 4] as X>::y\r\n"), StackFrame("")]
    assert written(profile_of((stack, 2))) == "<[u8: 4] as X>::y;<unknown> 2\n"


@pytest.mark.parametrize("kind", [FrameKind.NATIVE, FrameKind.KERNEL, FrameKind.INLINED])
@pytest.mark.parametrize("name", ["_[j]", "_[k]", "f_[i]", "f_[k]"])
def test_names_that_end_like_marks_are_kept(name: str, kind: FrameKind) -> None:
    for module in ("", "a.out", "vmlinux"):
        stack = (StackFrame("main", "a.out", kind=FrameKind.NATIVE), StackFrame(name, module, kind=kind))
        if module != "vmlinux" or kind is FrameKind.KERNEL:
            assert read(written(profile_of((list(stack), 1)))).stack(1) == stack


def test_a_stack_that_begins_like_a_comment_is_none() -> None:
    text = written(profile_of(([StackFrame("#1", kind=FrameKind.NATIVE), StackFrame("#", kind=FrameKind.NATIVE)], 2)))
    assert text == " #1;# 2\n"
    assert written(read(text)) == text


def test_carriage_returns_comments_empty_lines_and_stray_semicolons() -> None:
    text = "# by hand\r\n\r\n;a;b 1\r\na;;b 2\r\na;b 3\n"
    assert written(read(text)) == "a;<unknown>;b 2\na;b 4\n"


def test_a_value_without_a_stack_is_py_spys_of_a_thread_that_has_ended() -> None:
    text = " 2\na;b 3\n 4\n"
    assert detect(text.encode()).name == "folded"
    assert written(read(text)) == "<unknown> 6\na;b 3\n"
    with pytest.raises(InputError, match="line 2 is no folded stack"):
        read("a;b 3\n2\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b 1\na;c\n", "line 2 "),
        ("a;b 1\nb;c 1.5\n", "line 2 "),
        ("7\n", "line 1 "),
        ("a;b 99999999999999999999\n", "line 1 "),
        ("# nothing\n", "no stacks"),
        (f"a;b {(1 << 63) - 1}\na;c 1\n", "sum of its values is too large"),
    ],
)
def test_what_is_no_folded_stack_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(text)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_profile_or_one_sentence(data: bytes) -> None:
    complaint = "."
    try:
        text = written(read(data))
        assert written(read(text)) == text
    except InputError as error:
        complaint = str(error)
    assert complaint.endswith(".")


def test_a_stack_of_100_000_frames() -> None:
    text = ";".join(["f", "g"] * 50_000) + " 2\n"
    profile = read(text)
    assert CallTree.from_profile(profile).max_depth == 100_000
    assert written(profile) == text
