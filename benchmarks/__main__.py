"""Run all benchmarks one after another, and say at the end which ran: `python -m benchmarks [--smoke] [NAME …]`.

A benchmark is a file `bench_*.py` in this folder, which prints its own table and understands `--smoke`. Each has a
process of its own, so that none finds warm caches of another.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--smoke", action="store_true", help="small sizes: only that they run")
    arguments.add_argument("names", nargs="*", help="parts of the benchmarks' names; all without")
    chosen = arguments.parse_args()
    print(
        f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} processors,"
        f" Python {platform.python_version()}"
    )
    ran: list[tuple[str, float, int]] = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        if chosen.names and not any(name in path.stem for name in chosen.names):
            continue
        print(f"\n## {path.stem}", flush=True)
        begun = time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{path.stem}", *(["--smoke"] if chosen.smoke else [])]
        status = subprocess.run(command, check=False).returncode
        ran.append((path.stem, time.monotonic() - begun, status))
    if not ran:
        print("there is no benchmark of that name.", file=sys.stderr)
        return 1
    print("\n## all")
    for name, seconds, status in ran:
        print(f"{name:20} {seconds:6.0f} s   {'failed' if status else 'ran'}")
    return 1 if any(status for _, _, status in ran) else 0


if __name__ == "__main__":
    raise SystemExit(main())
