"""A program that knows what it did: two functions burn CPU time, and it says how much each had.

Runs inside this process (`burn`) and as a program of its own (`python truth_program.py SECONDS WARM_UP`, which
begins when it gets a line). Needs nothing but the standard library.
"""

from __future__ import annotations

import json
import sys
import time
from typing import NamedTuple

_SHARES = {"burn_most": 0.003, "burn_some": 0.001}
"""Seconds at a time: little, so that any part of the run has the same shares."""


def burn_most(until: float) -> None:
    while time.thread_time() < until:
        for number in range(500):
            number * number


def burn_some(until: float) -> None:
    while time.thread_time() < until:
        for number in range(500):
            number + number


class Truth(NamedTuple):
    spent: dict[str, float]
    """Function → seconds of CPU that it really had …"""
    from_ns: int
    until_ns: int
    """… between these times, UNIX epoch."""


def burn(seconds: float, warm_up: float = 0.0) -> Truth:
    """Burns CPU time of the calling thread: `warm_up` seconds that don't count, then `seconds`."""
    if warm_up:
        burn(warm_up)
    from_ns = time.time_ns()
    spent = dict.fromkeys(_SHARES, 0.0)
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for function, name in ((burn_most, "burn_most"), (burn_some, "burn_some")):
            begin = time.thread_time()
            function(begin + _SHARES[name])
            spent[name] += time.thread_time() - begin
    return Truth(spent, from_ns, time.time_ns())


if __name__ == "__main__":
    sys.stdin.readline()  # who samples us is ready
    print(json.dumps(burn(float(sys.argv[1]), float(sys.argv[2]))))
