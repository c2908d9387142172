from __future__ import annotations

from pathlib import Path

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.symbols.kernel import KernelSymbols

KALLSYMS = b"""ffffffff81000000 T _text
ffffffff81000000 t startup_64
ffffffff81000100 t do_work
ffffffff81000200 D some_data
ffffffff81000300 T entry
ffffffffc0000000 t helper\t[nf_tables]
ffffffffc0001000 t bpf_prog_1\t[bpf]
broken line
zz T x
"""


def frame(address: int, *, is_return_address: bool = False) -> tuple[str, str]:
    symbols = KernelSymbols(KALLSYMS.splitlines())
    return symbols.frame(address, is_return_address=is_return_address)[:2]


def test_names_and_modules() -> None:
    assert frame(0xFFFFFFFF81000050) == ("_text", "vmlinux")
    assert frame(0xFFFFFFFF810001FF) == ("do_work", "vmlinux")
    assert frame(0xFFFFFFFFC0000010) == ("helper", "nf_tables")


def test_data_ends_a_function() -> None:
    assert frame(0xFFFFFFFF81000280) == ("0xffffffff81000280", "vmlinux")


def test_return_address_is_the_calls() -> None:
    assert frame(0xFFFFFFFF81000300, is_return_address=True)[0] == "0xffffffff81000300"
    assert frame(0xFFFFFFFF81000200, is_return_address=True)[0] == "do_work"


def test_before_all_and_empty() -> None:
    assert frame(0x10) == ("0x10", "vmlinux")
    assert KernelSymbols().frame(5) == StackFrame("0x5", "vmlinux", 5, kind=FrameKind.KERNEL)


def test_hidden_addresses_name_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_text("0000000000000000 T _text\n" * 3)
    assert len(KernelSymbols.load(str(path))) == 0
    assert len(KernelSymbols.load(str(tmp_path / "missing"))) == 0
