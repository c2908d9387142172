"""Twelve runs of a bookshop that never ran: six of an old version, six of a new one, whose truth is known.

    python examples/shop_runs.py FOLDER

writes old-1.dtrace … new-6.dtrace. Drawn by a seeded generator, so that everybody gets the same files:
docs/compare.md and docs/gate.md show what `diff` and `gate` say of them. In the new version `shop.prices:round_price`
takes 60 % more, and all else is as it was; from run to run the true shares of both scatter by 5 %.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from dtrace_profiler.formats import write_profile
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

FREQUENCY_HZ = 99
SECONDS = 20
START_NS = 1_795_420_800_000_000_000


def python(module: str, name: str, line: int) -> StackFrame:
    file = f"/srv/{module.replace('.', '/')}.py"
    return StackFrame(name, module, 0, file, line, line, FrameKind.PYTHON)


def native(module: str, name: str, address: int) -> StackFrame:
    return StackFrame(name, module, address, kind=FrameKind.NATIVE)


MAIN = (python("__main__", "<module>", 1), python("shop.app", "serve", 30))
VIEW = (*MAIN, python("shop.views", "list_books", 12))
RENDER = (*VIEW, python("shop.template", "render", 40))
STACKS: dict[tuple[StackFrame, ...], float] = {
    MAIN: 0.03,
    VIEW: 0.05,
    RENDER: 0.12,
    (*RENDER, python("shop.template", "escape", 61)): 0.14,
    (*RENDER, python("shop.prices", "round_price", 8)): 0.10,
    (*RENDER, python("shop.prices", "round_price", 8), native("libc.so.6", "div", 0x41000)): 0.02,
    (*VIEW, python("shop.db", "query", 17)): 0.04,
    (*VIEW, python("shop.db", "query", 17), native("libsqlite3.so.0", "sqlite3_step", 0x52000)): 0.24,
    (*VIEW, python("shop.db", "query", 17), native("libc.so.6", "memcpy", 0x63000)): 0.06,
    (*MAIN, python("json.encoder", "JSONEncoder.encode", 182)): 0.12,
    (*MAIN, python("gc", "collect", 1)): 0.05,
    (*MAIN, python("logging", "Logger.info", 1460)): 0.03,
}
GROWN = "round_price"


def run(chance: random.Random, growth: float) -> Profile:
    weights = [
        share * (1 + growth * (stack[-1].function_name == GROWN)) * (1 + 0.05 * chance.gauss(0, 1))
        for stack, share in STACKS.items()
    ]
    # The old version keeps one core busy for as long as this; what has grown takes longer.
    samples = round(FREQUENCY_HZ * SECONDS * sum(weights))
    builder = ProfileBuilder()
    thread = builder.add_thread(4711, 4711, "MainThread")
    nodes = [builder.add_stack(stack) for stack in STACKS]
    for sample, node in enumerate(chance.choices(nodes, weights, k=samples)):
        builder.add_sample(START_NS + sample * 1_000_000_000 // FREQUENCY_HZ, thread, node)
    return builder.snapshot(
        Meta(
            engine="dtrace",
            frequency_hz=FREQUENCY_HZ,
            start_ns=START_NS,
            duration_ns=samples * 1_000_000_000 // FREQUENCY_HZ,
            target="python -m shop",
        )
    )


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python examples/shop_runs.py FOLDER", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for version, growth in (("old", 0.0), ("new", 0.6)):
        for number in range(1, 7):
            chance = random.Random(f"{version} {number}")
            write_profile(run(chance, growth), folder / f"{version}-{number}.dtrace")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
