"""Large files: 1 GB of folded text folded, 10 million samples written as pprof, 100 million as Parquet asked by SQL.

    python -m benchmarks.bench_files [--smoke] [--keep FOLDER] [NAME ...]

Each is a process of its own, so that peak memory is its own. All data are made here and are in a temporary folder, up
to 2 GB at a time; making them takes longer than what is measured. Names: folded, pprof, parquet; without, all run.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

from benchmarks.bench_fold import write_text
from dtrace_profiler.formats import read_profile, write_profile
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.tree import CallTree

ROOT = Path(__file__).resolve().parent.parent
WHAT = ("folded", "pprof", "parquet")
HOUR_NS = 3_600_000_000_000
START_NS = 1_700_000_000_000_000_000
DEPTH = 40
FILES = 10
"""Of Parquet, as of so many hours or hosts. All have the same stacks."""


class Clock:
    """Seconds since it was made, and of our CPU time, as the first says little on a machine that others use."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self.wall = self.cpu = 0.0

    def stop(self) -> str:
        self.wall, self.cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return f"{self.wall:>8.2f} s, {self.cpu:>6.2f} s of CPU"


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def synthetic(samples: int, stacks: int, start_ns: int, span_ns: int, seed: int = 7) -> Profile:
    """Samples in the order of their times, of 16 threads, in stacks of 40 frames: some often, most rarely."""
    import numpy as np

    chance = random.Random(7)
    builder = ProfileBuilder(max_samples=1 << 62)
    frames = [
        StackFrame(f"function_{number}", f"lib{number % 37}.so", 0x1000 + number, kind=FrameKind.NATIVE)
        for number in range(5_000)
    ]
    leaves = []
    path = chance.choices(frames, k=DEPTH)
    for _ in range(stacks):
        kept = chance.randrange(DEPTH - 3, DEPTH) if chance.random() < 0.9 else chance.randrange(2, DEPTH)
        path = path[:kept] + chance.choices(frames, k=DEPTH - kept)
        leaves.append(builder.add_stack(path))
    for number in range(16):
        builder.add_thread(100 + number // 4, 1000 + number, f"worker-{number}")
    numbers = np.random.default_rng(seed)
    profile = builder.snapshot(Meta(engine="dtrace", frequency_hz=999, start_ns=start_ns, duration_ns=span_ns))
    rank = (stacks * numbers.random(samples) ** 3).astype(np.int64)
    columns = {
        "node": np.asarray(leaves, np.int32)[rank],
        "thread": numbers.integers(0, 16, samples, np.int32),
        "timestamp_ns": start_ns + (np.arange(samples) * (span_ns / max(1, samples))).astype(np.int64),
        "value": np.ones(samples, np.int64),
    }
    for name, column in columns.items():
        known: array[int] = getattr(profile, name)
        known.frombytes(column.tobytes())
    return profile


def folded(folder: Path, smoke: bool) -> None:
    path = folder / "stacks.folded"
    write_text(path, 20_000 if smoke else 1_470_000, DEPTH)
    print(f"{'folded text':<42} {path.stat().st_size / 1e9:>8.3f} GB")
    command = [sys.executable, "-m", "benchmarks.bench_files", "--fold", str(path)]
    subprocess.run(command, check=True, cwd=ROOT)


def fold(path: str) -> None:
    clock = Clock()
    profile = read_profile(path)
    tree = CallTree.from_profile(profile)
    tree.children(0)
    seconds = clock.stop()
    assert tree.total[0] == profile.total
    print(f"{'  to a call tree':<42} {seconds}  (to reach: 60 s)")
    print(f"{'  peak memory':<42} {peak_mb():>8,.0f} MB  (to reach: 2,000 MB)")


def pprof(folder: Path, smoke: bool) -> None:
    samples, stacks = (100_000, 1_000) if smoke else (10_000_000, 100_000)
    profile = synthetic(samples, stacks, START_NS, HOUR_NS)
    gc.collect()
    print(f"{'pprof of':<42} {samples:>12,} samples, {stacks:,} different stacks of {DEPTH} frames, 16 threads")
    for name in ("run.pb.gz", "run.pb"):
        path = folder / name
        before = peak_mb()
        clock = Clock()
        write_profile(profile, path)
        seconds = clock.stop()
        size = path.stat().st_size / 1e6
        more = peak_mb() - before
        print(f"{f'  {name}, {size:,.0f} MB':<42} {seconds}  (to reach: 30 s)  {more:,.0f} MB more memory")
    if smoke:
        assert read_profile(folder / "run.pb.gz").total == profile.total


def parquet(folder: Path, smoke: bool) -> None:
    import duckdb

    samples, stacks = (20_000, 500) if smoke else (10_000_000, 100_000)
    cpu = 0.0
    for number in range(FILES):
        path = folder / f"host-{number}.parquet"
        if path.exists():  # of a run before, with --keep
            continue
        profile = synthetic(samples, stacks, START_NS + number * HOUR_NS, HOUR_NS, seed=number)
        clock = Clock()
        write_profile(profile, path)
        clock.stop()
        cpu += clock.cpu
        del profile
        gc.collect()
    size = sum(path.stat().st_size for path in folder.glob("*.parquet")) / 1e6
    what = f"Parquet, {FILES} files, {size:,.0f} MB"
    print(f"{what:<42} {FILES * samples:>12,} samples, {stacks:,} stacks in each file")
    if cpu:
        print(f"{'  written in':<42} {cpu:>8.1f} s of CPU", flush=True)
    text = (ROOT / "docs" / "formats.md").read_text()

    def sql(name: str) -> str:
        found = text.split(f"-- {name}\n")[1].split("```")[0]
        return found.replace("runs/*.parquet", f"{folder}/*.parquet")

    database = duckdb.connect()
    database.execute(sql("the tables"))
    ranges = {
        "1 minute": (START_NS + 4 * HOUR_NS, START_NS + 4 * HOUR_NS + HOUR_NS // 60),
        "1 hour": (START_NS + 4 * HOUR_NS + HOUR_NS // 2, START_NS + 5 * HOUR_NS + HOUR_NS // 2),
        f"all {FILES} hours": (0, 1 << 62),
    }
    for name, (begin, until) in ranges.items():
        query = sql("a flame graph").replace("$from", str(begin)).replace("$until", str(until))
        clocks = []
        for _ in range(3):
            clocks.append(Clock())
            rows = database.execute(query).fetchall()
            clocks[-1].stop()
        inside = sum(row[-1] for row in rows if row[1] is None)
        where = f"WHERE ts_ns >= {begin} AND ts_ns < {until}"
        assert database.execute(f"SELECT sum(value) FROM samples {where}").fetchone() == (inside,)
        said = f"{inside:,} samples, {len(rows):,} nodes"
        best = min(clocks, key=lambda clock: clock.wall)
        figures = f"{best.wall:>8.2f} s, {best.cpu:>6.2f} s of CPU"
        print(f"{f'  flame graph of {name}':<42} {figures}  (to reach: 5 s)  {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    parser.add_argument(
        "--keep", metavar="FOLDER", help="make the files in this folder, or take those that are there, and leave them"
    )
    parser.add_argument("--fold", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(WHAT)}; all without")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in WHAT]:
        parser.error(f"there is no part named {unknown[0]}: {', '.join(WHAT)} are.")
    if options.fold:
        fold(options.fold)
        return
    if options.one:
        for name in options.names:
            {"folded": folded, "pprof": pprof, "parquet": parquet}[name](Path(options.keep), options.smoke)
        return
    for name in options.names or WHAT:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(options.keep or folder)
            place.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "benchmarks.bench_files", "--one", "--keep", str(place), name]
            subprocess.run(command + ["--smoke"] * options.smoke, check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
