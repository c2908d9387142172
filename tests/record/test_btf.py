"""The kernel's type data: read in any state it may be in, and written so that it says the same."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.record.btf import BtfError, KernelOffsets, kernel_offsets, reduced_btf

X86 = KernelOffsets(
    task_size=9792,
    task={"pid": 2472, "tgid": 2476, "thread_pid": 2576, "thread": 5312},
    fsbase=40,
    tp_value=None,
    pid_level=4,
    pid_numbers=176,
    upid_size=16,
)
OF_MACHINES = {
    "x86-64": X86,
    "aarch64": KernelOffsets(
        task_size=4160,
        task={"pid": 1464, "tgid": 1468, "thread_pid": 1576, "thread": 2944},
        fsbase=None,
        tp_value=8,
        pid_level=4,
        pid_numbers=96,
        upid_size=16,
    ),
}
KERNEL = Path("/sys/kernel/btf/vmlinux")


@pytest.mark.parametrize("offsets", OF_MACHINES.values(), ids=OF_MACHINES.keys())
def test_what_is_written_says_what_was_read(offsets: KernelOffsets) -> None:
    assert kernel_offsets(reduced_btf(offsets)) == offsets


@pytest.mark.skipif(not KERNEL.exists(), reason="this kernel has no BTF")
def test_this_kernel() -> None:
    offsets = kernel_offsets(KERNEL.read_bytes())
    assert kernel_offsets(reduced_btf(offsets)) == offsets
    assert offsets.task["tgid"] == offsets.task["pid"] + 4
    assert max(offsets.task.values()) < offsets.task_size


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "too short"),
        (b"\x7fELF" + bytes(60), "not a little-endian BTF file"),
        (reduced_btf(X86)[:24], "no structure task_struct"),
        (reduced_btf(X86).replace(b"\0upid\0", b"\0uqid\0"), "no structure upid"),
        (reduced_btf(X86).replace(b"\0thread_pid\0", b"\0thread_qid\0"), "unexpected kernel types"),
    ],
)
def test_what_is_none(data: bytes, why: str) -> None:
    with pytest.raises(BtfError, match=why):
        kernel_offsets(data)


def holding_itself(depth: int) -> bytes:
    """task_struct with a nameless member that is a structure of 400 nameless members, each that structure again."""
    nameless = struct.pack("<III", 0, 4 << 24 | 400, 8) + struct.pack("<III", 0, 1, 0) * 400
    task = struct.pack("<III", 1, 4 << 24 | depth, 8) + struct.pack("<III", 0, 1, 0) * depth
    strings = b"\0task_struct\0"
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(nameless + task), len(nameless + task), len(strings))
    return head + nameless + task + strings


def test_structures_that_hold_themselves_end_in_a_sentence() -> None:
    with pytest.raises(BtfError, match="more members than a kernel has"):
        kernel_offsets(holding_itself(1))


@pytest.mark.parametrize(
    "change",
    [
        {"task_size": 100},
        {"task_size": 1 << 20},
        {"fsbase": 5000},
        {"upid_size": 1 << 17},
        {"task": {**X86.task, "tgid": 9790}},
    ],
    ids=str,
)
def test_sizes_that_run_off_are_not_believed(change: dict[str, Any]) -> None:
    """They would be written into the copy, or not fit its numbers."""
    whole = kernel_offsets(reduced_btf(X86))
    monster = replace(whole, **{"task_size": 9792, **change})
    try:
        data = reduced_btf(monster)
    except struct.error:
        return  # no BTF can say it
    with pytest.raises(BtfError, match="sizes that can't be true"):
        kernel_offsets(data)


def read(data: bytes) -> None:
    try:
        kernel_offsets(data)
    except BtfError:
        pass


@given(st.binary(max_size=400))
def test_anything(data: bytes) -> None:
    read(data)
    read(reduced_btf(X86)[:24] + data)


@given(
    st.lists(st.tuples(st.integers(0, len(reduced_btf(X86)) - 1), st.integers(0, 255)), max_size=8), st.integers(0)
)
def test_damaged(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(reduced_btf(X86))
    for at, value in changes:
        data[at] = value
    read(bytes(data))
    read(bytes(data[: cut % len(data)]))
