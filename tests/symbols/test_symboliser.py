"""Real processes: what their addresses are called, with addr2line and nm as the truth."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from compiled import CALLABLE, WAITER, need, space_of

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.symbols import lines, native, objectfile
from dtrace_profiler.symbols.cache import SymbolCache
from dtrace_profiler.symbols.mappings import AddressSpace
from dtrace_profiler.symbols.native import Symboliser

pytestmark = pytest.mark.posix

Build = Callable[..., Path]
Start = Callable[..., tuple[subprocess.Popen[str], list[int]]]

LOADER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char line[4096] = "";
    for (int i = 1; i < argc; i++) {
        void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (!library) { puts(dlerror()); return 1; }
        sprintf(line + strlen(line), "%p ", dlsym(library, "in_library"));
    }
    int memory = memfd_create("made code", 0);
    if (write(memory, "\\xc3", 1) != 1) return 1;
    void *code = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, memory, 0);
    void *anonymous = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%s%p %p\\n", line, code, anonymous);
    fflush(stdout);
    for (;;) pause();
}
"""


def names(frames: tuple[StackFrame, ...]) -> list[str]:
    return [frame.function_name for frame in frames]


def addr2line(path: Path, address: int) -> list[tuple[str, str, int]]:
    """(function, file, line), outermost first."""
    need("addr2line")
    command = ["addr2line", "-i", "-f", "-e", str(path), hex(address)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    out = []
    for function, place in zip(lines[::2], lines[1::2], strict=True):
        file, _, line = place.partition(" ")[0].rpartition(":")
        out.append((function, os.path.basename(file), int(line) if line.isdigit() else 0))
    return out[::-1]


def size_of(path: Path, name: str) -> int:
    need("nm")
    text = subprocess.run(["nm", "-S", str(path)], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[1], 16) for line in text.splitlines() if line.endswith(f" {name}"))


class TestLinesAndInlines:
    @pytest.fixture(params=["symbolic", "addr2line", "llvm-symbolizer"])
    def reader(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        """Each way to read debug information, the others hidden."""
        name: str = request.param
        if name == "symbolic":
            pytest.importorskip("symbolic")
        else:
            need(name)
            monkeypatch.setattr(objectfile, "symbolic_version", lambda: "")
            only = SimpleNamespace(which=lambda program: shutil.which(program) if program == name else None)
            monkeypatch.setattr(lines, "shutil", only)
        return name

    @pytest.mark.parametrize("options", ["-O2 -g", "-O2 -g -no-pie", "-O2 -gdwarf-4 -static", "-O2 -g -gz=zlib"])
    def test_every_instruction(
        self, reader: str, compile_c: Build, start: Start, symboliser: Symboliser, options: str
    ) -> None:
        path = compile_c(*options.split())
        process, (outermost, _) = start(path)
        space = space_of(process)
        mapping = space.find(outermost)
        assert mapping is not None
        low = space.mappings[0].start if "-no-pie" not in options and "-static" not in options else 0
        inlined = 0
        for address in range(outermost, outermost + size_of(path, "outermost")):
            frames = symboliser.frames(space, address, is_return_address=False)
            found = [(frame.function_name, os.path.basename(frame.file), frame.line) for frame in frames]
            expected = addr2line(path, address - low)
            assert [place[:2] for place in found] == [place[:2] for place in expected]
            # They differ by a row of the line table at a few addresses between two statements.
            inlined += len(frames) > 1 and found == expected
            assert [frame.kind for frame in frames] == ["native"] + ["inlined"] * (len(frames) - 1)
            assert {(frame.address, frame.module_name) for frame in frames} == {(address, "program")}
        assert inlined > 20
        assert not symboliser.problems()

    def test_separate_debug_file(
        self, reader: str, compile_c: Build, start: Start, symboliser: Symboliser, tmp_path: Path
    ) -> None:
        need("objcopy", "strip")
        build_id = "deadbeef00000000000000000000000000000001"
        path = compile_c("-O2", "-g", "-no-pie", f"-Wl,--build-id=0x{build_id}")
        folder = tmp_path / "debug" / ".build-id" / build_id[:2]
        folder.mkdir(parents=True)
        debug = folder / f"{build_id[2:]}.debug"
        subprocess.run(["objcopy", "--only-keep-debug", str(path), str(debug)], check=True)
        subprocess.run(["strip", str(path)], check=True)
        process, (outermost, local) = start(path)
        space = space_of(process)
        assert names(symboliser.frames(space, outermost + 1, is_return_address=False))[0] == "outermost"
        assert names(symboliser.frames(space, local, is_return_address=False)) == ["local_function"]
        found = [(f.function_name, f.line) for f in symboliser.frames(space, outermost + 8, is_return_address=False)]
        assert found == [(function, line) for function, _, line in addr2line(debug, outermost + 8)]

    def test_debug_link(self, compile_c: Build, start: Start, symboliser: Symboliser, tmp_path: Path) -> None:
        need("objcopy", "strip")
        path = compile_c("-O2", "-g", "-Wl,--build-id=none")
        debug = tmp_path / ".debug" / "program.debug"
        debug.parent.mkdir()
        subprocess.run(["objcopy", "--only-keep-debug", str(path), str(debug)], check=True)
        subprocess.run(["strip", str(path)], check=True)
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", str(path)], check=True)
        process, (_, local) = start(path)
        assert names(symboliser.frames(space_of(process), local, is_return_address=False)) == ["local_function"]

    def test_debug_file_of_another_build_is_not_believed(
        self, compile_c: Build, start: Start, symboliser: Symboliser, tmp_path: Path
    ) -> None:
        need("objcopy", "strip")
        path = compile_c("-O2", "-g", "-Wl,--build-id=none")
        debug = tmp_path / ".debug" / "program.debug"
        debug.parent.mkdir()
        subprocess.run(["objcopy", "--only-keep-debug", str(path), str(debug)], check=True)
        subprocess.run(["strip", str(path)], check=True)
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", str(path)], check=True)
        with debug.open("ab") as file:
            file.write(b"changed")
        process, (_, local) = start(path)
        (frame,) = symboliser.frames(space_of(process), local, is_return_address=False)
        assert frame.function_name.startswith("0x")


class TestWhereFilesAre:
    def test_return_address_belongs_to_the_call(self, compile_c: Build, start: Start, symboliser: Symboliser) -> None:
        # A call that never returns can be a function's last instruction: the return address is the next function's.
        path = compile_c("-O2")
        process, (outermost, _) = start(path)
        space = space_of(process)
        end = outermost + size_of(path, "outermost")
        assert names(symboliser.frames(space, end, is_return_address=True)) == ["outermost"]
        assert names(symboliser.frames(space, end, is_return_address=False)) != ["outermost"]

    @pytest.mark.parametrize("name", ["two words", "blank .so (deleted)", "ümläut", "colon:0x1"])
    def test_odd_names(self, compile_c: Build, start: Start, symboliser: Symboliser, name: str) -> None:
        process, (outermost, _) = start(compile_c("-O2", name=name))
        (frame,) = symboliser.frames(space_of(process), outermost, is_return_address=False)
        assert frame.function_name == "outermost"
        assert frame.module_name == name.removesuffix(" (deleted)")

    def test_deleted_and_replaced(self, compile_c: Build, start: Start, symboliser: Symboliser) -> None:
        path = compile_c("-O2")
        process, (outermost, _) = start(path)
        path.unlink()
        shutil.copy("/bin/sh", path)
        (frame,) = symboliser.frames(space_of(process), outermost, is_return_address=False)
        assert (frame.function_name, frame.module_name) == ("outermost", "program")

    def test_replaced_file_is_not_mistaken_for_the_old_one(self, compile_c: Build, start: Start) -> None:
        path = compile_c("-O2")
        process, (outermost, _) = start(path)
        space = space_of(process)
        process.kill()
        process.wait()
        path.unlink()
        other = compile_c("-O2", source="int outermost_is_gone(void) { return 1; }" + WAITER, name="other")
        other.rename(path)
        with Symboliser(cache=SymbolCache(None)) as late:
            (frame,) = late.frames(space, outermost, is_return_address=False)
        assert frame.function_name.startswith("0x")
        assert (frame.module_name, frame.kind) == ("program", FrameKind.NATIVE)

    def test_another_file_with_the_old_ones_number_is_not_mistaken_for_it(
        self, compile_c: Build, start: Start
    ) -> None:
        path = compile_c("-O2")
        other = compile_c("-O2", source="int outermost_is_gone(void) { return 1; }" + WAITER, name="other")
        number = path.stat().st_ino
        process, (outermost, _) = start(path)
        space = space_of(process)
        process.kill()
        process.wait()
        path.unlink()
        for attempt in range(50):  # most file systems give it away at once
            copy = shutil.copy2(other, path.with_name(f"copy-{attempt}"))
            if copy.stat().st_ino == number:
                break
        else:
            pytest.skip("this file system does not use an inode number again")
        copy.rename(path)
        with Symboliser(cache=SymbolCache(None)) as late:
            (frame,) = late.frames(space, outermost, is_return_address=False)
        assert frame.function_name.startswith("0x")

    def test_process_that_ended_with_its_file(self, compile_c: Build, start: Start, symboliser: Symboliser) -> None:
        path = compile_c("-O2")
        process, (outermost, local) = start(path)
        space = space_of(process)
        symboliser.prepare(space)
        process.kill()
        process.wait()
        path.unlink()
        space.refresh()
        assert names(symboliser.frames(space, outermost, is_return_address=False)) == ["outermost"]
        assert names(symboliser.frames(space, local, is_return_address=False)) == ["local_function"]

    def test_libraries_memory_and_the_vdso(
        self, compile_c: Build, start: Start, symboliser: Symboliser, tmp_path: Path
    ) -> None:
        library = compile_c("-O1", "-shared", "-fPIC", source=CALLABLE, name="lib one.so")
        again = tmp_path / "deeper" / "lib one.so"
        again.parent.mkdir()
        shutil.copy(library, again)
        program = compile_c("-O1", "-ldl", source=LOADER, name="loader")
        process, addresses = start(program, library, again)
        space = space_of(process)
        assert addresses[0] != addresses[1]
        for address in addresses[:2]:
            (frame,) = symboliser.frames(space, address + 1, is_return_address=False)
            assert frame[:3] == ("in_library", "lib one.so", address + 1)
        (made,) = symboliser.frames(space, addresses[2] + 0x20, is_return_address=False)
        assert made[:2] == ("0x20", "memfd:made code")
        (anonymous,) = symboliser.frames(space, addresses[3] + 0x20, is_return_address=False)
        assert anonymous == (f"0x{addresses[3] + 0x20:x}", "[anon]", addresses[3] + 0x20, "", 0, 0, "native")

    def test_one_file_mapped_twice(self, compile_c: Build, start: Start, symboliser: Symboliser) -> None:
        source = """
        #include <fcntl.h>
        #include <stdio.h>
        #include <sys/mman.h>
        #include <unistd.h>
        __attribute__((noinline)) int in_library(int n) { return n + 1; }
        int main(int argc, char **argv) {
            char *page = (char *)((unsigned long)in_library & ~4095ul);
            extern char __executable_start;
            void *copy = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, open(argv[0], O_RDONLY),
                              page - &__executable_start);
            printf("%p %p\\n", in_library, copy + ((char *)in_library - page));
            fflush(stdout);
            for (;;) pause();
        }
        """
        process, addresses = start(compile_c("-O1", source=source, name="twice"))
        space = space_of(process)
        for address in addresses:
            assert names(symboliser.frames(space, address, is_return_address=False)) == ["in_library"]

    def test_vdso(self, start: Start, symboliser: Symboliser) -> None:
        space = AddressSpace(os.getpid())
        if not space.refresh():
            pytest.skip("needs a Linux /proc")
        vdso = next((mapping for mapping in space.mappings if mapping.path == "[vdso]"), None)
        if vdso is None:
            pytest.skip("this system has no vDSO")
        found = {
            name
            for address in range(vdso.start, vdso.end, 16)
            for name in names(symboliser.frames(space, address, is_return_address=False))
        }
        assert any("clock_gettime" in name for name in found)
        assert {f.module_name for f in symboliser.frames(space, vdso.start, is_return_address=False)} == {"[vdso]"}

    def test_nothing_there(self, start: Start, symboliser: Symboliser) -> None:
        space = AddressSpace(os.getpid())
        assert symboliser.frames(space, 0x10, is_return_address=True) == (StackFrame("0x10", kind=FrameKind.UNKNOWN),)
        assert symboliser.frames(space, 0, is_return_address=True) == (StackFrame("0x0", kind=FrameKind.UNKNOWN),)

    def test_few_descriptors(self, compile_c: Build, start: Start, tmp_path: Path) -> None:
        libraries = []
        for number in range(6):
            code = CALLABLE.replace("in_library", f"number_{number}") + CALLABLE
            libraries.append(compile_c("-O1", "-shared", "-fPIC", source=code, name=f"lib{number}.so"))
        process, addresses = start(compile_c("-O1", "-ldl", source=LOADER, name="loader"), *libraries)
        space = space_of(process)
        before = len(os.listdir("/proc/self/fd"))
        with Symboliser(cache=SymbolCache(None), max_open_files=2) as narrow:
            narrow.prepare(space)
            assert len(os.listdir("/proc/self/fd")) <= before + 2
            for address in addresses[:6]:
                assert names(narrow.frames(space, address, is_return_address=False)) == ["in_library"]
        assert len(os.listdir("/proc/self/fd")) == before

    def test_closed_answers_but_opens_nothing(self, compile_c: Build, start: Start, symboliser: Symboliser) -> None:
        process, (outermost, local) = start(compile_c("-O2"))
        space = space_of(process)
        known = symboliser.frames(space, outermost, is_return_address=False)
        symboliser.close()
        assert symboliser.frames(space, outermost, is_return_address=False) == known
        assert names(symboliser.frames(space, local, is_return_address=False)) == ["local_function"]  # the same file
        before = len(os.listdir("/proc/self/fd"))
        libc = next(m for m in space.executable_mappings() if "libc" in m.name)
        (frame,) = symboliser.frames(space, libc.start, is_return_address=False)
        assert frame.function_name.startswith("0x")
        assert len(os.listdir("/proc/self/fd")) == before

    def test_files_of_forgotten_processes_are_released(
        self, compile_c: Build, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(native, "MAX_IDLE_FILES", 2)
        with Symboliser(cache=SymbolCache(None), max_open_files=2) as small:
            for number in range(4):
                process, (outermost, _) = start(compile_c("-O1", name=f"program{number}"))
                space = space_of(process)
                assert names(small.frames(space, outermost, is_return_address=False)) == ["outermost"]
                del space
                gc.collect()
            assert len(small._objects) <= 4
            assert len(small._processes) == 0

    def test_code_mapped_later(self, compile_c: Build, start: Start, symboliser: Symboliser) -> None:
        begin = "int main(int argc, char **argv) {"
        source = LOADER.replace(begin, begin + 'puts("0x1"); fflush(stdout); getchar();')
        library = compile_c("-O1", "-shared", "-fPIC", source=CALLABLE, name="late.so")
        program = compile_c("-O1", "-ldl", source=source, name="loader")
        with subprocess.Popen(
            [program, library], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdout.readline()
            space = space_of(process)
            symboliser.prepare(space)
            process.stdin.write("\n")
            process.stdin.flush()
            address = int(process.stdout.readline().split()[0], 16)
            assert space.find(address) is None
            assert symboliser.frames(space, address, is_return_address=False)[0].kind == FrameKind.UNKNOWN
            assert space.refresh()
            assert names(symboliser.frames(space, address, is_return_address=False)) == ["in_library"]
            process.kill()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
class TestOtherFileSystems:
    def test_chroot(self, compile_c: Build, start: Start, symboliser: Symboliser, tmp_path: Path) -> None:
        need("chroot")
        path = compile_c("-O2", "-static")
        inside = tmp_path / "root" / "program"
        inside.parent.mkdir()
        path.rename(inside)
        process, (outermost, _) = start("chroot", tmp_path / "root", "/program")
        space = space_of(process)
        (frame,) = symboliser.frames(space, outermost, is_return_address=False)
        assert (frame.function_name, frame.module_name) == ("outermost", "program")

    def test_mount_namespace(self, compile_c: Build, start: Start, symboliser: Symboliser, tmp_path: Path) -> None:
        need("unshare", "mount")
        path = compile_c("-O2")
        hidden = tmp_path / "hidden"
        hidden.mkdir()
        script = f"mount -t tmpfs none '{hidden}' && cp '{path}' '{hidden}/inside' && exec '{hidden}/inside'"
        if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", hidden], capture_output=True).returncode:
            pytest.skip("may not mount here")
        process, (outermost, _) = start("unshare", "-m", "sh", "-c", script)
        space = space_of(process)
        assert not (hidden / "inside").exists()
        (frame,) = symboliser.frames(space, outermost, is_return_address=False)
        assert (frame.function_name, frame.module_name) == ("outermost", "inside")


class TestLanguages:
    def test_cpp(self, compile_c: Build, start: Start, symboliser: Symboliser) -> None:
        source = """
        #include <cstdio>
        #include <unistd.h>
        namespace outer { template <class T> struct Box { T value; __attribute__((noinline)) T twice(int n) const {
            volatile T sum = 0; for (int i = 0; i < n; i++) sum = sum + value; return sum; } }; }
        template struct outer::Box<double>;
        int main() {
            auto method = &outer::Box<double>::twice;
            std::printf("%p %f\\n", *(void **)&method, outer::Box<double>{2.0}.twice(2));
            std::fflush(stdout);
            for (;;) pause();
        }
        """
        process, (address,) = start(compile_c("-O1", "-g", source=source, compiler="g++"))
        space = space_of(process)
        assert names(symboliser.frames(space, address, is_return_address=False)) == ["outer::Box<double>::twice"]
        with Symboliser(cache=SymbolCache(None), arguments=True) as full:
            assert names(full.frames(space, address, is_return_address=False)) == [
                "outer::Box<double>::twice(int) const"
            ]

    @pytest.mark.parametrize("mangling", ["legacy", "v0"])
    def test_rust(self, start: Start, symboliser: Symboliser, tmp_path: Path, mangling: str) -> None:
        need("rustc")
        source = tmp_path / "p.rs"
        source.write_text(
            """
            use std::io::Write;
            mod inner {
                #[inline(never)]
                pub fn spin(n: u64) -> u64 { (0..n).fold(0, |a, b| a ^ std::hint::black_box(b)) }
            }
            fn main() {
                println!("{:p} {}", inner::spin as *const (), inner::spin(3));
                std::io::stdout().flush().unwrap();
                loop { std::thread::park(); }
            }
            """
        )
        options = ["-O", "-g", "-Zunstable-options", "-C", f"symbol-mangling-version={mangling}"]
        environment = {**os.environ, "RUSTC_BOOTSTRAP": "1"}  # which of the two is stable depends on its version
        command = ["rustc", *options, "-o", "p", str(source)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        process, (address,) = start(tmp_path / "p")
        space = space_of(process)
        frames = symboliser.frames(space, address, is_return_address=False)
        assert frames[0].function_name == "p::inner::spin"
        assert frames[0].file.endswith("p.rs")


class TestCacheBetweenRuns:
    def test_second_run_reads_no_debug_information(
        self, compile_c: Build, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("symbolic")
        process, (outermost, _) = start(compile_c("-O2", "-g", "-no-pie"))
        space = space_of(process)
        places = [outermost + 8, outermost + 1, 0x401000]

        def run() -> list[tuple[StackFrame, ...]]:
            with Symboliser(cache=SymbolCache(tmp_path / "cache"), debug_directories=[]) as made:
                return [made.frames(space, place, is_return_address=False) for place in places]

        first = run()
        assert len(first[0]) > 1
        assert list((tmp_path / "cache").iterdir())

        def never(*_: object) -> None:
            raise AssertionError("built again")

        monkeypatch.setattr(objectfile, "build_table", never)
        assert run() == first

    def test_changed_file_is_read_again(self, compile_c: Build, start: Start, tmp_path: Path) -> None:
        for name in ("outermost", "renamed_now"):
            path = compile_c("-O2", "-g", source=WAITER.replace("outermost", name), name=f"build_{name}")
            path = path.rename(tmp_path / "same")
            process, (address, _) = start(path)
            with Symboliser(cache=SymbolCache(tmp_path / "cache"), debug_directories=[]) as made:
                assert names(made.frames(space_of(process), address, is_return_address=False))[0] == name
