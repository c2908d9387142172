"""Run all benchmarks one after another: `python -m benchmarks [--smoke] [NAME …]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--smoke", action="store_true", help="small sizes: only that they run")
    arguments.add_argument("names", nargs="*", help="parts of the benchmarks' names; all without")
    chosen = arguments.parse_args()
    failed = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        if chosen.names and not any(name in path.stem for name in chosen.names):
            continue
        print(f"\n## {path.stem}", flush=True)
        begun = time.monotonic()
        command = [sys.executable, str(path), *(["--smoke"] if chosen.smoke else [])]
        if subprocess.run(command, check=False).returncode:
            failed.append(path.stem)
        print(f"({time.monotonic() - begun:.0f} s)", flush=True)
    if failed:
        print("failed: " + ", ".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
