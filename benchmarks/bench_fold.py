"""Folding: a million different stacks of 40 frames, from folded text to a flame graph's tree, with NumPy and without.

    python benchmarks/bench_fold.py [--smoke] [--stacks N]

Each run is a process of its own, so that peak memory is that run's. The text is written to a temporary file first
(620 MB for a million stacks); reading it warms the cache.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write_text(path: Path, stacks: int, depth: int) -> None:
    """Different stacks of a random tree, some 1.4 nodes a stack; names of 15 characters."""
    chance = random.Random(7)
    names = [f"module_{index % 37:02}`f{index:05}" for index in range(5_000)]
    callers = [chance.choices(names, k=depth - 1)]
    left = stacks
    with path.open("w") as file:
        while left > 0:
            # Another caller, which leaves the path of one before in its last ten frames; then a dozen leaves.
            path_before = chance.choice(callers)
            kept = chance.randrange(depth - 10, depth - 1)
            caller = path_before[:kept] + chance.choices(names, k=depth - 1 - kept)
            callers.append(caller)
            beginning = ";".join(caller)
            for leaf in chance.sample(names, min(left, 12)):
                file.write(f"{beginning};{leaf} {chance.randrange(1, 9)}\n")
            left -= 12


def one_run(path: str, how: str) -> None:
    if how == "plain":
        sys.modules["numpy"] = None  # type: ignore[assignment]
    from dtrace_profiler.formats import folded
    from dtrace_profiler.model import tree as tree_module
    from dtrace_profiler.model.top import top_functions

    if how == "plain":
        tree_module.USE_NUMPY_FROM_NODES = 1 << 62
    started, started_cpu = time.perf_counter(), time.process_time()
    with open(path, "rb") as file:
        profile = folded.read(file)
    read = time.perf_counter()
    tree = tree_module.CallTree.from_profile(profile)
    tree.children(0)
    folded_at, folded_cpu = time.perf_counter(), time.process_time()
    assert tree.total[0] == profile.total
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert top_functions(profile, limit=10)
    top_at = time.perf_counter()
    frames = sum(tree.depth[node] for node in range(len(tree)) if tree.self_value[node])
    print(
        f"{how:<8} {len(profile):>9,} {frames / len(profile):>6.1f} {len(tree):>9,} {read - started:>6.2f}"
        f" {folded_at - read:>6.2f} {folded_at - started:>7.2f} {folded_cpu - started_cpu:>6.2f}"
        f" {peak:>8,.0f} {top_at - folded_at:>6.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--stacks", type=int, default=1_000_000)
    parser.add_argument("--depth", type=int, default=40)
    parser.add_argument("--run", nargs=2, metavar=("FILE", "HOW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        one_run(*options.run)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stacks.folded"
        write_text(path, 20_000 if options.smoke else options.stacks, options.depth)
        print(f"folded text of {path.stat().st_size / 1e6:,.0f} MB")
        print("way         stacks frames     nodes   read   tree  both s  CPU s  peak MB    top", flush=True)
        for how in ("numpy", "plain"):
            subprocess.run([sys.executable, __file__, "--run", str(path), how], check=True)


if __name__ == "__main__":
    main()
