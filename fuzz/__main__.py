"""Run fuzzers for a while: `python -m fuzz [--seconds N] [TARGET ...]`. Exit status 1 where one found something.

The time is divided among the targets. An input that fails is kept in `artifacts/fuzz/`, made small; try it again with
`python -m fuzz --input artifacts/fuzz/NAME.input NAME`.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from fuzz.run import replay, run, save
from fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="in all; 600 without")
    parser.add_argument("--seed", type=int, default=None, help="the same inputs again; another one each time without")
    parser.add_argument("--input", type=Path, help="only this file, in this process")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all without: {', '.join(TARGETS)}")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.targets if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target {unknown[0]}: {', '.join(TARGETS)} are.")
    names = chosen.targets or list(TARGETS)
    if chosen.input is not None:
        for name in names:
            replay(TARGETS[name], chosen.input)
        return 0
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed
    print(f"{len(names)} targets, {chosen.seconds:.0f} s in all, --seed {seed}", flush=True)
    failed = 0
    for name in names:
        begun = time.monotonic()
        outcome = run(TARGETS[name], seed=seed, seconds=chosen.seconds / len(names))
        took = time.monotonic() - begun
        print(
            f"{name:24} {outcome.inputs:8} inputs in {took:4.0f} s   {'FAILED' if outcome.failure else 'ok'}",
            flush=True,
        )
        if outcome.failure:
            failed += 1
            path = save(outcome, name, Path("artifacts") / "fuzz")
            print(f"{outcome.failure}\n{name}: the input is in {path}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
