"""A Python program whose functions burn known shares of CPU, and say at the end what each really used."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
import threading
import time
import zlib

SPENT: dict[str, float] = {}
_LOCK = threading.Lock()


def cpu() -> float:
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


def timed(name, job, seconds):
    begin = cpu()
    while cpu() - begin < seconds:
        job()
    with _LOCK:
        SPENT[name] = SPENT.get(name, 0.0) + cpu() - begin


def pure_loop():
    total = 0
    for number in range(20000):
        total += number * number % 7
    return total


def dict_work():
    counts = {}
    for number in range(10000):
        counts[number % 100] = counts.get(number % 100, 0) + 1
    return counts


PAGE = b"the quick brown fox jumps over the lazy dog " * 4000


def compress_page():
    return zlib.compress(PAGE, 9)


def hash_page():
    return hashlib.sha256(PAGE * 20).digest()


def by_tail(word):
    return word[::-1].lower()


WORDS = [f"word{number * 7919 % 10007}" for number in range(4000)]


def sort_words():
    return sorted(WORDS, key=by_tail)


def search_words():
    return re.compile(r"w.r(d+)[0-9]*7$").findall("\n".join(WORDS))


def dive(depth):
    if depth:
        return dive(depth - 1)
    return pure_loop()


def dive_20():
    return dive(20)


def numbers():
    for number in range(10000):
        yield number * 3 % 11


def drain_generator():
    return sum(numbers())


async def one_task():
    total = 0
    for number in range(10000):
        total += number % 3
    await asyncio.sleep(0)
    return total


async def tasks():
    await asyncio.gather(one_task(), one_task())


def run_tasks():
    asyncio.run(tasks())


class Thing:
    pass


def as_text(thing):
    return [number % 5 for number in range(400)]


def dump_things():
    return json.dumps([Thing() for _ in range(50)], default=as_text)


JOBS = (
    pure_loop,
    dict_work,
    compress_page,
    hash_page,
    sort_words,
    search_words,
    dive_20,
    drain_generator,
    run_tasks,
    dump_things,
)


def main():
    seconds = float(sys.argv[1])
    helper = threading.Thread(target=timed, args=("pure_loop", pure_loop, seconds / 10), name="helper")
    helper.start()
    for _ in range(5):
        for job in JOBS:
            timed(job.__name__, job, seconds / len(JOBS) / 5)
    helper.join()
    print(json.dumps(SPENT))


main()
