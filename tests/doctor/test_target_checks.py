"""What doctor says of a process: real ones, compiled with and without frame pointers, stripped, Python, none."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.doctor.checks import Check
from dtrace_profiler.doctor.target_checks import checks
from dtrace_profiler.platforms.base import system
from dtrace_profiler.symbols.elf import ElfError, ElfFile
from dtrace_profiler.symbols.prologues import frame_pointer_share
from dtrace_profiler.symbols.source import BytesSource

pytestmark = pytest.mark.skipif(
    system() != "linux" or shutil.which("gcc") is None, reason="compiles and looks at Linux programs"
)

FUNCTION = """
__attribute__((noinline)) int step{n}(int x, int *out) {{
    int table[8]; for (int i = 0; i < 8; i++) table[i] = other(x * i + {n});
    for (int i = 0; i < 8; i++) out[i] += table[(x + i) & 7]; return table[x & 7] + {n};
}}
"""
PROGRAM = (
    "#include <unistd.h>\nint other(int x) { return x; }\n"
    + "".join(FUNCTION.format(n=n) for n in range(12))
    + "int main() { int out[8] = {0}; int sum = 0;"
    + "".join(f"sum += step{n}(sum, out);" for n in range(12))
    + 'puts("there"); close(1); for (;;) sleep(sum > 0 ? 60 : 61); }\n'
)


def program(folder: Path, *flags: str) -> Path:
    source, out = folder / "program.c", folder / "program"
    source.write_text("#include <stdio.h>\n" + PROGRAM)
    subprocess.run(["gcc", "-O2", "-static", *flags, "-o", out, source], check=True)
    return out


@contextlib.contextmanager
def running(*command: str | Path) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read(5)
        try:
            yield child.pid
        finally:
            child.kill()


def found(pid: int) -> dict[str, Check]:
    return {check.name: check for check in checks(pid, "linux")}


def test_frame_pointers_are_told(tmp_path: Path) -> None:
    def share(*flags: str) -> float:
        done = subprocess.run(
            ["gcc", "-O2", "-shared", "-fPIC", *flags, "-o", tmp_path / "x.so", "-x", "c", "-"],
            input=("#include <stdio.h>\n" + PROGRAM).encode(),
            check=True,
        )
        assert done.returncode == 0
        found = frame_pointer_share(ElfFile(BytesSource((tmp_path / "x.so").read_bytes())))
        assert found is not None
        return found

    assert share("-fno-omit-frame-pointer") > 0.9
    assert share("-fomit-frame-pointer") < 0.2


def test_too_few_functions_say_nothing(tmp_path: Path) -> None:
    source = b"int only(int x) { return x + 1; }"
    subprocess.run(["gcc", "-shared", "-o", tmp_path / "x.so", "-x", "c", "-"], input=source, check=True)
    assert frame_pointer_share(ElfFile(BytesSource((tmp_path / "x.so").read_bytes()))) is None


@given(data=st.data())
def test_damaged_files_are_no_crash(data: st.DataObject) -> None:
    whole = bytearray(Path(sys.executable).read_bytes()[:4096])
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ElfError):
        frame_pointer_share(ElfFile(BytesSource(bytes(whole))))


def test_a_stripped_program_is_told(tmp_path: Path) -> None:
    path = program(tmp_path, "-s")
    with running(path) as pid:
        by_name = found(pid)
    assert by_name["target"].ok is True
    assert by_name["Python"].text == "this is no CPython 3.11 or later: native frames only"
    assert by_name["symbols"].text == "stripped: program (none at all)"


def test_a_program_with_all_there_is(tmp_path: Path) -> None:
    with running(program(tmp_path, "-g", "-fno-omit-frame-pointer")) as pid:
        by_name = found(pid)
    assert by_name["symbols"].ok is True
    assert "1 of them lines too" in by_name["symbols"].text


def test_a_python() -> None:
    with running(sys.executable, "-uc", "print('there'); import time; time.sleep(60)") as pid:
        check = found(pid)["Python"]
    assert check.ok is True
    assert check.text.startswith("CPython 3.")


def test_nobody() -> None:
    (check,) = checks(2**22 + 5, "linux")
    assert check.ok is False
    assert check.name == "target"


def test_elsewhere_only_itself_can_be_looked_into() -> None:
    with running("sh", "-c", "echo there; exec sleep 60") as pid:
        by_name = {check.name: check for check in checks(pid, "macos")}
    assert set(by_name) == {"target", "Python"}
    assert by_name["Python"].cost == "native frames only"
