"""Object files, their debug information, mangled names, and the kernel's type data."""

from __future__ import annotations

import functools
import os
import shutil
import struct
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dtrace_profiler.cpython import evaluation
from dtrace_profiler.record.btf import BtfError, KernelOffsets, kernel_offsets, reduced_btf
from dtrace_profiler.symbols.demangle import demangle_names
from dtrace_profiler.symbols.elf import ElfError, ElfFile
from dtrace_profiler.symbols.extents import build_table, mini_debug_file
from dtrace_profiler.symbols.objectfile import ObjectFile
from dtrace_profiler.symbols.source import BytesSource
from fuzz.target import Target

_PROGRAM = """
static inline __attribute__((always_inline)) int inner(int x) { return x * 3 + 1; }
int outer(int x) { return inner(x) + inner(x + 1); }
static int hidden(int x) { return outer(x) - 1; }
int main(int argc, char **argv) { (void)argv; return hidden(argc); }
"""
NAMES = (
    "_ZN4demo12_GLOBAL__N_111anon_workerEm",
    "_ZNSt8_Rb_treeINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESt4pairIKS5_iESt10_Select1stIS8_EE4findERS7_",
    "_ZZ4mainENKUliE_clEi.isra.0",
    "_Z1fIJiEEvDpT_",
    "_ZN3foo17h05af221e174051e9E",
    "_RNvNtCs1234_7mycrate3foo3bar",
    "_RINvNtC3std3mem8align_ofNtNtC3std3mem12DiscriminantE",
    "_RNCNvNtCsa_4core3ops8function0B5_",
    "$s4main3fooyySi_SStF",
    "?f@?$C@H@@QEAAXPEAU?$D@V1@@@@Z",
    "??0?$vector@HV?$allocator@H@std@@@std@@QEAA@XZ",
    "?g@@YAXP6AXP6AXH@Z@Z@Z",
)


@functools.cache
def _objects() -> Sequence[bytes]:
    """A small program with and without debug information; where there is no compiler, some ELF file or a header."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    out = []
    if compiler is not None:
        with tempfile.TemporaryDirectory() as folder:
            for options in (("-O1", "-g", "-c"), ("-O1", "-g", "-shared", "-fPIC", "-nostdlib"), ("-O1", "-s")):
                path = Path(folder) / "out"
                command = [compiler, *options, "-o", str(path), "-x", "c", "-"]
                done = subprocess.run(command, input=_PROGRAM.encode(), capture_output=True, check=False)
                if done.returncode == 0:
                    out.append(path.read_bytes())
    if not out:
        folder_of_modules = Path(sysconfig.get_path("platstdlib")) / "lib-dynload"
        modules = sorted(folder_of_modules.glob("*.so"), key=os.path.getsize)
        out = [modules[0].read_bytes()] if modules else []
    return [*out, _header()]


def _header() -> bytes:
    """An ELF header that promises one program header and one section header, both of which say nothing."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0x1040, 64, 120, 0, 64, 56, 1, 64, 1, 0)
    return ident + header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x1000, 0x1000, 184, 184, 4096) + bytes(64)


def _check_elf(data: bytes) -> None:
    try:
        elf = ElfFile(BytesSource(data))
    except ElfError:
        return
    table = build_table(elf, [mini] if (mini := mini_debug_file(elf)) is not None else [])
    for address in (0, elf.entry, elf.load_address, (1 << 64) - 1, *table.starts[:20]):
        assert isinstance(table.lookup(address), str)
        elf.address_of(address)
    assert len(elf.build_id) <= 64
    assert elf.debug_info_size >= 0
    assert elf.debug_link is None or "/" not in elf.debug_link[0]
    try:
        evaluation.evaluation_functions(elf)
    except ElfError:
        pass


def _check_debug_information(data: bytes) -> None:
    file = ObjectFile(BytesSource(data), path="fuzzed")
    try:
        for offset in (0, 0x40, 0x1000, 0x1040, 0x1129, len(data), 1 << 63):
            found = file.functions(offset)
            assert found
            assert all(isinstance(function.name, str) and function.line >= 0 for function in found)
    finally:
        file.close()


def _check_names(data: bytes) -> None:
    names = [line.decode("utf-8", "replace") for line in data.split(b"\n")]
    for arguments in (False, True):
        readable = demangle_names(names, arguments=arguments)
        assert len(readable) == len(names)
        assert all(isinstance(name, str) and len(name) <= 1 << 18 for name in readable)


_OFFSETS = KernelOffsets(
    task_size=9792,
    task={"pid": 2472, "tgid": 2476, "thread_pid": 2576, "thread": 5312},
    fsbase=40,
    tp_value=None,
    pid_level=4,
    pid_numbers=176,
    upid_size=16,
)


def _check_btf(data: bytes) -> None:
    """What is believed can be written, and says the same when it is read."""
    try:
        offsets = kernel_offsets(data)
    except BtfError:
        return
    assert kernel_offsets(reduced_btf(offsets)) == offsets


TARGETS = (
    Target("elf", _check_elf, _objects),
    Target("debug-information", _check_debug_information, _objects),
    Target("mangled-names", _check_names, lambda: [name.encode() for name in NAMES] + ["\n".join(NAMES).encode()]),
    Target("kernel-types", _check_btf, lambda: [reduced_btf(_OFFSETS)]),
)
