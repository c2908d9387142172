"""Parsing dtrace's plain text: MB/s by form of the text, for stacks that repeat and for stacks that all differ.

    python benchmarks/bench_parse.py [--smoke] [--stacks N]

CPU time of the best of several passes, in chunks as a pipe gives them. `split` is what cutting the same text at its
empty lines costs, and nothing else: the speed that Python could have at most. `read` goes on to a whole `Profile`.
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections.abc import Callable

from dtrace_profiler.formats import dtrace_text
from dtrace_profiler.record.text import TextParser

CHUNK = 1 << 18
DEPTH = 34
INDENT = " " * 14
ROOT_OF_KERNEL = "unix`sys_syscall+0x17a"

Stacks = list[list[str]]


class Text:
    def __init__(self) -> None:
        self.chance = random.Random(1)
        self.names = [
            f"libmod{self.chance.randrange(20)}.so.1`pkg_{self.chance.randrange(10**9):x}_function_name_{number}"
            for number in range(3_000)
        ]

    def stacks(self, count: int) -> Stacks:
        return [
            [f"{self.chance.choice(self.names)}+0x{self.chance.randrange(4096):x}" for _ in range(DEPTH)]
            for _ in range(count)
        ]

    def number(self) -> int:
        return self.chance.randrange(1, 1_000)

    def counted(self, stacks: Stacks) -> bytes:
        """@[ustack()] = count()"""
        return _joined(f"\n{_indented(stack)}{self.number():17d}\n" for stack in stacks)

    def two_parts(self, stacks: Stacks) -> bytes:
        """@[stack(), ustack()] = count()"""
        return _joined(
            f"\n{_indented([*stack[:7], ROOT_OF_KERNEL])}\n{_indented(stack[7:])}{self.number():17d}\n"
            for stack in stacks
        )

    def keyed(self, stacks: Stacks) -> bytes:
        """@[execname, pid, ustack()] = count()"""
        return b"\n" + _joined(
            f"  {'bash':<50}{self.chance.randrange(4):9d}\n{_indented(stack)}{self.number():17d}\n"
            for stack in stacks
        )

    def percent_k(self, stacks: Stacks) -> bytes:
        """printa("S|%d|%k|%@d\\n", @)"""
        return _joined("S|12|\n" + "\n".join(stack) + f"\n|{self.number()}\n" for stack in stacks)


def _joined(records: object) -> bytes:
    return "".join(records).encode()  # type: ignore[call-overload, no-any-return]


def _indented(stack: list[str]) -> str:
    return "".join(f"{INDENT}{frame}\n" for frame in stack)


def parse(text: bytes) -> int:
    parser = TextParser()
    count = sum(len(parser.feed(text[at : at + CHUNK])) for at in range(0, len(text), CHUNK))
    return count + len(parser.close())


def split(text: bytes) -> int:
    return sum(len(text[at : at + CHUNK].split(b"\n\n")) for at in range(0, len(text), CHUNK))


def read(text: bytes) -> int:
    return len(dtrace_text.read(io.BytesIO(text)))


def speed(work: Callable[[bytes], int], text: bytes, passes: int) -> float:
    best = float("inf")
    for _ in range(passes):
        started = time.process_time()
        work(text)
        best = min(best, time.process_time() - started)
    return len(text) / 1e6 / max(best, 1e-9)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--smoke", action="store_true", help="seconds instead of a minute")
    arguments.add_argument("--stacks", type=int, default=40_000)
    options = arguments.parse_args()
    count, passes = (2_000, 2) if options.smoke else (options.stacks, 6)
    make = Text()
    few = make.stacks(max(1, count // 20))
    kinds = {"repeat": [make.chance.choice(few) for _ in range(count)], "differ": make.stacks(count)}
    print(f"{count:,} stacks of {DEPTH} frames, MB/s of text")
    print("stacks  form        parse  split  ratio   read")
    for kind, stacks in kinds.items():
        for form in (make.counted, make.two_parts, make.keyed, make.percent_k):
            text = form(stacks)
            assert parse(text) == count, "every stack is found"
            parsed, cut = speed(parse, text, passes), speed(split, text, passes)
            whole = speed(read, text, 1)
            print(
                f"{kind}  {form.__name__:<10} {parsed:>6.0f} {cut:>6.0f} {parsed / cut:>6.2f} {whole:>6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
