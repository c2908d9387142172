"""How fast addresses get names: cold, with tables built, and in a second run that finds them in the cache.

    python benchmarks/bench_symbols.py [--smoke] [--no-library] [FILE ...]

Without files: this Python's own libraries, libc, and a C++ program compiled here with debug information. Each file
is mapped by a made-up process, and addresses spread over its code are asked for. Prints one line a file: functions
in its table, first answer of a cold and of a second run (ms), new and repeated addresses per second, and the ratio
of the two runs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dtrace_profiler.symbols import objectfile
from dtrace_profiler.symbols.cache import SymbolCache
from dtrace_profiler.symbols.demangle import demangle_names
from dtrace_profiler.symbols.elf import PF_X, ElfError, ElfFile
from dtrace_profiler.symbols.extents import build_table
from dtrace_profiler.symbols.mappings import AddressSpace
from dtrace_profiler.symbols.native import Symboliser
from dtrace_profiler.symbols.source import FileSource

BASE = 0x7F0000000000
CPP = """
#include <algorithm>
#include <map>
#include <string>
#include <vector>
template <int N> std::string f(std::map<std::string, std::vector<int>> &m) {
    auto &v = m[std::to_string(N)];
    v.push_back(N);
    std::sort(v.begin(), v.end());
    return std::to_string(v.size()) + f<N - 1>(m);
}
template <> std::string f<0>(std::map<std::string, std::vector<int>> &) { return {}; }
int main() { std::map<std::string, std::vector<int>> m; return int(f<%d>(m).size()); }
"""


def default_files(folder: Path, *, smoke: bool) -> list[Path]:
    files = []
    if shutil.which("g++"):
        source, program = folder / "bench.cc", folder / "bench_cpp"
        source.write_text(CPP % (20 if smoke else 400))
        command = ["g++", "-O2", "-g", "-ftemplate-depth=2000", str(source), "-o", str(program)]
        subprocess.run(command, check=True)
        files.append(program)
    space = AddressSpace(os.getpid())
    space.refresh()
    mapped = {Path(m.path) for m in space.executable_mappings() if m.is_file and not m.deleted}
    files += sorted(mapped, key=lambda path: path.stat().st_size)[-1 if smoke else -3 :]
    return files


def address_space(path: Path) -> tuple[AddressSpace, range]:
    """A process that maps nothing but the code of this file, and the addresses of that code."""
    status = path.stat()
    elf = ElfFile(FileSource(os.open(path, os.O_RDONLY)))
    segment = next(s for s in elf.segments if s.type == 1 and s.flags & PF_X)
    low = segment.offset & ~0xFFF
    high = segment.offset + segment.file_size + 0xFFF & ~0xFFF
    device = f"{os.major(status.st_dev):x}:{os.minor(status.st_dev):x}"
    text = f"{BASE:x}-{BASE + high - low:x} r-xp {low:08x} {device} {status.st_ino} {path}\n"
    start = BASE + segment.offset - low
    return AddressSpace.from_text(os.getpid(), text.encode()), range(start, start + segment.file_size)


def measure(path: Path, cache: SymbolCache, count: int) -> None:
    space, code = address_space(path)
    addresses = random.Random(1).sample(code, min(count, len(code)))
    first_ms, rates = [], []
    for _ in range(2):
        with Symboliser(cache=cache) as symboliser:
            symboliser.prepare(space)
            begin = time.perf_counter()
            symboliser.frames(space, addresses[0], is_return_address=False)
            first_ms.append((time.perf_counter() - begin) * 1e3)
            for _ in range(2):
                begin = time.perf_counter()
                frames = sum(len(symboliser.frames(space, a, is_return_address=False)) for a in addresses)
                rates.append(len(addresses) / (time.perf_counter() - begin))
    functions = len(build_table(ElfFile(FileSource(os.open(path, os.O_RDONLY)))))
    print(
        f"{path.name[:28]:28} {path.stat().st_size / 1e6:7.1f} {functions:8} {first_ms[0]:9.1f} {first_ms[1]:9.1f}"
        f" {first_ms[1] / first_ms[0]:6.2f} {rates[0]:11,.0f} {rates[1]:11,.0f} {frames / len(addresses):8.2f}"
    )


def measure_demangling(count: int) -> None:
    names = [f"_ZN5outer{len(str(i)) + 5}inner{i}3BoxIiSaIiEE4pushERKi" for i in range(count)]
    begin = time.perf_counter()
    demangle_names(names)
    cold = count / (time.perf_counter() - begin)
    begin = time.perf_counter()
    demangle_names(names)
    print(f"demangling: {cold:,.0f} names/s, known ones {count / (time.perf_counter() - begin):,.0f} names/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="small numbers, to see that it runs")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--no-library", action="store_true", help="without symbolic: ask addr2line for lines")
    options = parser.parse_args()
    if options.no_library:
        objectfile.symbolic_version = lambda: ""
    if not os.path.exists("/proc/self/maps"):
        sys.exit("This benchmark needs a Linux /proc.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = options.files or default_files(folder, smoke=options.smoke)
        print(
            f"{'file':28} {'MB':>7} {'names':>8} {'first ms':>9} {'2nd run':>9} {'ratio':>6}"
            f" {'new addr/s':>11} {'known/s':>11} {'frames/a':>8}"
        )
        for number, path in enumerate(files):
            try:
                measure(path.resolve(), SymbolCache(folder / str(number)), 2_000 if options.smoke else 50_000)
            except (OSError, ElfError, StopIteration) as error:
                print(f"{path}: left out ({error})")
    measure_demangling(5_000 if options.smoke else 100_000)


if __name__ == "__main__":
    main()
