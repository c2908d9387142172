from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtrace_profiler.record import text as text_module
from dtrace_profiler.record.text import TextParser
from dtrace_profiler.record.text_lines import LineParser, StackBlock

CORPUS = Path(__file__).parents[2].parent / "shared" / "dtrace-corpus"


def outcome(blocks: list[StackBlock], lines: LineParser) -> tuple[Any, ...]:
    return (
        [([part.frames for part in block.parts], block.value, block.key) for block in blocks],
        lines.beside,
        lines.empty_stacks,
        lines.histograms,
        lines.unknown_lines,
        lines.unfinished_stacks,
        lines.notices,
    )


def by_lines(text: bytes) -> tuple[Any, ...]:
    """The obvious way: what is right."""
    parser = LineParser()
    lines = re.sub(rb"\r+", b"\r", text).replace(b"\r\n", b"\n").split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        if line:
            parser.line(line)
        else:
            parser.empty_line()
    parser.close()
    return outcome(parser.take(), parser)


def in_chunks(text: bytes, sizes: Iterator[int], *, memo_bytes: int = text_module.MEMO_BYTES) -> tuple[Any, ...]:
    parser = TextParser(memo_bytes=memo_bytes)
    blocks = []
    while text:
        size = next(sizes)
        blocks += parser.feed(text[:size])
        text = text[size:]
    blocks += parser.close()
    return outcome(blocks, parser.lines)


def forever(size: int) -> Iterator[int]:
    while True:
        yield size


def stacks(text: str) -> list[tuple[list[list[str]], int, str]]:
    parser = TextParser()
    blocks = [*parser.feed(text.encode()), *parser.close()]
    return [
        ([[frame.decode() for frame in part.frames] for part in block.parts], block.value, block.key.decode())
        for block in blocks
    ]


LINES = st.sampled_from(
    [
        "",
        "",
        "",
        "              a.out`main+0x1f",
        "              a.out`f(int, char const*)+0x1f",
        "              libc.so.6`0x7f6beca1224a",
        "              0x7f6beca1224a",
        "              spincpp:0x1f",
        "              vmlinux`do_syscall_64+0x71",
        "              genunix`open",
        "              Func_loop.func_c()V",
        "              420b0",
        "                [ ./slow.py:3 (f) ]",
        "              f`a`b",
        "              12",
        "                1",
        "             1535",
        "     1552                3",
        "  bash                                                   8769",
        "  bash",
        "    27762    27762",
        "    27762",
        "  vmlinux`read_zero                                               248",
        "a.out`main+0x1f",
        "0x1f",
        "S|22|bash|",
        "|",
        "|17",
        "4884",
        "CPU     ID                    FUNCTION:NAME",
        "  1   3974                         :tick-2s ",
        "  6 119674                     fsync:return",
        "2268886315208 1795412882823749812 17755 spincpp",
        "dtrace: 12 drops on CPU 0",
        "           value  ------------- Distribution ------------- count    ",
        "               1 |@@@@@                                    3        ",
        "^C",
        "\t\ta.out`tab+0x1",
        "   ",
        "1234567890123456789012345",
        "kernel 874 0.4%",
        "0xc107882e 1 0.0%",
    ]
)
TEXTS = st.lists(LINES, max_size=40).map(lambda lines: "\n".join(lines).encode())


@given(TEXTS, st.lists(st.integers(1, 60), min_size=1), st.booleans())
@settings(max_examples=600, deadline=None)
def test_any_chunks_give_what_the_lines_give(text: bytes, sizes: list[int], carriage_returns: bool) -> None:
    text = text * 2 + b"\n"
    expected = by_lines(text)
    if carriage_returns:
        text = text.replace(b"\n", b"\r\n")
    assert in_chunks(text, iter(sizes + [17] * len(text))) == expected
    assert in_chunks(text, forever(1 << 20)) == expected


@given(TEXTS, st.integers(1, 40), st.integers(1, 200))
@settings(max_examples=300, deadline=None)
def test_so_do_long_runs_small_memos_and_rests_of_the_memo(text: bytes, size: int, long_run: int) -> None:
    text = text * 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "_LONG_RUN", long_run)
        patch.setattr(text_module, "_WORTH_SPLITTING", 0)
        patch.setattr(text_module, "_TRIAL", 3)
        patch.setattr(text_module, "_LONGEST_PAUSE", 4)
        assert in_chunks(text, forever(size), memo_bytes=100) == by_lines(text)


@given(st.binary(max_size=400), st.integers(1, 50))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_survived_whatever_the_chunks(text: bytes, size: int) -> None:
    assert in_chunks(text, forever(size)) == by_lines(text)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus here")
def test_the_corpus_gives_the_same_by_lines_and_in_chunks() -> None:
    for path in sorted(CORPUS.glob("*/*.txt")):
        text = path.read_bytes()
        expected = by_lines(text)
        for size in (1 << 18, 4096, 997):
            assert in_chunks(text, forever(size)) == expected, path.name


def test_number_below_the_frames() -> None:
    assert stacks(
        "CPU     ID  FUNCTION:NAME\n  0  64091   :tick-60s \n\n\n      m`leaf\n      m`root+0x1\n     12\n"
    ) == [([["m`leaf", "m`root+0x1"]], 12, "")]


def test_keys_before_the_stack_and_after_it() -> None:
    assert stacks("\n  bash              87\n              m`f+0x1\n                3\n") == [
        ([["m`f+0x1"]], 3, "bash              87")
    ]
    assert stacks("\n              m`f+0x1\n     1552                3\n") == [([["m`f+0x1"]], 3, "")]
    assert stacks("\n              m`f+0x1\n  bash                          3\n") == [([["m`f+0x1"]], 3, "bash")]


def test_a_key_with_a_colon_is_a_key_and_the_line_of_a_probe_is_none() -> None:
    stack = "              m`f+0x1\n                3\n"
    assert stacks("\n  kworker/1:2-events   \n" + stack) == [([["m`f+0x1"]], 3, "kworker/1:2-events")]
    for heading in ("  0  64091      :tick-60s ", "  0 | :tick-5sec", "Sampled:", "CPU     ID   FUNCTION:NAME"):
        assert stacks(f"\n{heading}\n{stack}") == [([["m`f+0x1"]], 3, "")]


def test_keyed_stacks_follow_each_other_without_empty_lines() -> None:
    record = "  bash              87\n              m`f+0x1\n                3\n"
    assert stacks("\n" + record * 40) == [([["m`f+0x1"]], 3, "bash              87")] * 40


def test_integer_key_is_not_a_number_of_samples() -> None:
    assert stacks("\n    27762\n        m`f+0x1\n      3\n    27763\n        m`f+0x1\n      4\n") == [
        ([["m`f+0x1"]], 3, "27762"),
        ([["m`f+0x1"]], 4, "27763"),
    ]


def test_kernel_and_user_part_are_one_stack_kernel_first_however_printed() -> None:
    kernel, user = "      vmlinux`read+0x1\n", "      libc.so.6`read+0x1\n      a.out`main\n"
    expected = [([["vmlinux`read+0x1"], ["libc.so.6`read+0x1", "a.out`main"]], 3, "")]
    assert stacks(f"\n{kernel}\n{user}          3\n") == expected
    assert stacks(f"\n{user}\n{kernel}          3\n") == expected


def test_empty_kernel_part_and_empty_user_part() -> None:
    assert stacks("\n\n      a.out`main\n        3\n\n      vmlinux`idle\n\n        4\n") == [
        ([["a.out`main"]], 3, ""),
        ([["vmlinux`idle"]], 4, ""),
    ]


def test_percent_k_with_numbers_after_a_bar() -> None:
    assert stacks("S|22|bash|\na.out`f+0x1\na.out`main\n|\nvmlinux`x\n|5\nS|23|sh|\n0x1\n|\n|6\n") == [
        ([["vmlinux`x"], ["a.out`f+0x1", "a.out`main"]], 5, "S|22|bash"),
        ([["0x1"]], 6, "S|23|sh"),
    ]


def test_one_stack_a_sample_has_the_value_1() -> None:
    text = (
        "226 17 a b\n\n      m`f+0x1\n      m`g\n227 17 a b\n\n      m`f+0x2\n\n  6 11   fsync:return\n      0x12\n"
    )
    assert stacks(text) == [([["m`f+0x1", "m`g"]], 1, ""), ([["m`f+0x2"]], 1, ""), ([["0x12"]], 1, "")]


def test_two_user_stacks_without_numbers_are_two_samples() -> None:
    assert stacks("x:\n      m`f\n\ny:\n      m`g\n\n      m`h\n") == [
        ([["m`f"]], 1, ""),
        ([["m`g"]], 1, ""),
        ([["m`h"]], 1, ""),
    ]


def test_frames_without_any_sign_stay_in_the_stack() -> None:
    text = "\n              Func_loop.func_c()V\n              StubRoutines (1)\n              libjvm.so`x\n  30\n"
    assert stacks(text) == [([["Func_loop.func_c()V", "StubRoutines (1)", "libjvm.so`x"]], 30, "")]
    assert stacks("\n              libc`open+0x6c\n              420b0\n  1\n") == [
        ([["libc`open+0x6c", "420b0"]], 1, "")
    ]


def test_indented_prose_is_no_stack() -> None:
    assert (
        stacks("Chapter 1\n\n          It was a dark and stormy night;\n          the rain fell.\n\nThe end\n") == []
    )


def test_a_notice_in_the_middle_of_a_stack_goes_to_the_notices() -> None:
    parser = TextParser()
    blocks = parser.feed(b"\n      m`f\ndtrace: 3 drops on CPU 1\n      m`g\n     7\n") + parser.close()
    assert [(block.parts[0].frames, block.value) for block in blocks] == [((b"m`f", b"m`g"), 7)]
    assert parser.lines.notices == [b"dtrace: 3 drops on CPU 1"]


def test_histograms_are_skipped_with_the_stack_above() -> None:
    histogram = (
        "\n           value  ------------- Distribution ------------- count    \n       1 |@@@@    3        \n"
    )
    parser = TextParser()
    text = f"\n      m`f\n{histogram}\n      m`g\n     7\n\n  bash{histogram}\n"
    blocks = parser.feed(text.encode()) + parser.close()
    assert [(block.parts[0].frames, block.value) for block in blocks] == [((b"m`g",), 7)]
    assert parser.lines.histograms == 2


def test_functions_with_numbers_beside_them_are_kept_apart() -> None:
    parser = TextParser()
    text = b"\n  vmlinux`read                     3\n  0x0                     4\n  vmlinux`read                5\n"
    assert parser.feed(text) + parser.close() == []
    assert parser.lines.beside == {b"vmlinux`read": 8, b"0x0": 4}


def test_modules_with_numbers_and_percentages_beside_them_stand_with_the_addresses() -> None:
    parser = TextParser()
    text = b"MODULE COUNT PCNT\n0xc107882e 1 0.0%\nkernel 874 0.4%\n0xc10981a5 213781 99.6%\n"
    assert parser.feed(text) + parser.close() == []
    assert parser.lines.beside == {b"0xc107882e": 1, b"kernel": 874, b"0xc10981a5": 213781}
    assert stacks("disk 12 30%\n") == []


def test_empty_stacks_are_counted() -> None:
    parser = TextParser()
    blocks = parser.feed(b"\n\n             1012\n\n      m`f\n        3\n") + parser.close()
    assert ([block.value for block in blocks], parser.lines.empty_stacks) == ([3], 1012)


@pytest.mark.parametrize("key", ["  swapper/0                                                ", "                0"])
def test_empty_stacks_below_keys_are_counted(key: str) -> None:
    """`@[execname, ustack()]`: no empty line stands between the keys and where the frames would be."""
    empty = f"{key}\n                7\n"
    full = "  bash   \n              m`f\n                3\n"
    for text, expected in ((empty + full, 7), (full + empty + empty + full, 14), (full + empty, 7)):
        parser = TextParser()
        blocks = parser.feed(b"\n" + text.encode()) + parser.close()
        assert {(block.key, block.value) for block in blocks} == {(b"bash", 3)}
        assert parser.lines.empty_stacks == expected
        assert by_lines(b"\n" + text.encode())[2] == expected


def test_an_address_without_0x_opens_a_stack() -> None:
    """As old Solaris prints it; `@[ustack()]` of code that has no name."""
    for leaf in ("420b0", "dd0c8"):
        assert stacks(f"\n              {leaf}\n              libc.so.1`f+0x1\n                5\n") == [
            ([[leaf, "libc.so.1`f+0x1"]], 5, "")
        ]


def test_a_stack_cut_off_at_the_end_is_counted_unless_stacks_have_no_numbers() -> None:
    parser = TextParser()
    blocks = parser.feed(b"\n      m`f\n        3\n\n      m`f\n      m`g") + parser.close()
    assert ([block.value for block in blocks], parser.lines.unfinished_stacks) == ([3], 1)


def test_equal_text_gives_the_same_part_and_the_memo_is_bounded() -> None:
    parser = TextParser(memo_bytes=1000)
    blocks = parser.feed(b"".join(b"\n      m`f\n      m`g\n     %d\n" % number for number in range(5)))
    assert len({id(block.parts[0]) for block in blocks[1:]}) == 1, "the first follows two empty lines"
    for number in range(10_000):
        parser.feed(b"\n      m`f%d\n     1\n" % number)
    assert len(parser._memo) < 100
