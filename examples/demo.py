"""A small bookshop on a busy day: something to profile, for fifteen seconds.

Several threads, each with a job that keeps a CPU busy in its own way: pure Python, C extensions that release the
GIL, C extensions that call back into Python, asyncio tasks, generators, recursion, a database, a child process.
Nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import random
import re
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator

WORDS = ["river", "moon", "garden", "winter", "letter", "stone", "music", "harbour", "silver", "night", "road"]


def make_title(random_numbers: random.Random) -> str:
    return " ".join(random_numbers.choice(WORDS) for _ in range(4)).title()


class Catalogue:
    """Books in memory: sorting with a key function, regular expressions, generators."""

    def __init__(self, size: int) -> None:
        numbers = random.Random(1)
        self.books = [{"title": make_title(numbers), "pages": numbers.randrange(90, 900)} for _ in range(size)]

    def shelf_order(self, book: dict[str, object]) -> tuple[str, int]:
        title = str(book["title"])
        return (title.removeprefix("The ").casefold(), len(title))

    def sort_shelves(self) -> None:
        self.books = sorted(self.books, key=self.shelf_order)

    def search(self, pattern: str) -> int:
        wanted = re.compile(pattern)
        return sum(1 for book in self.books if wanted.search(str(book["title"])))

    def thick_books(self) -> Iterator[str]:
        for book in self.books:
            if int(str(book["pages"])) > 500:
                yield str(book["title"])


def recommend(shelf: list[int], chosen: int = 0, depth: int = 0) -> int:
    """Recursion: the best total of books that fit a budget."""
    if depth == len(shelf) or chosen > 60:
        return chosen if chosen <= 60 else 0
    return max(recommend(shelf, chosen, depth + 1), recommend(shelf, chosen + shelf[depth], depth + 1))


def keep_catalogue() -> None:
    catalogue = Catalogue(2000)
    catalogue.sort_shelves()
    catalogue.search(r"(River|Moon).*\bStone\b")
    list(catalogue.thick_books())


def plan_recommendations() -> None:
    recommend([random.randrange(1, 20) for _ in range(11)])


def archive_orders() -> None:
    """zlib and hashlib release the GIL: other threads run at the same time."""
    page = (" ".join(WORDS) * 2000).encode()
    zlib.compress(page, 9)
    hashlib.sha256(page * 40).hexdigest()


class Order:
    def __init__(self, number: int) -> None:
        self.number = number


def describe_order(order: Order) -> dict[str, object]:
    return {"order": order.number, "lines": [number * order.number % 97 for number in range(20)]}


def write_invoices() -> None:
    """json calls back into Python for every order."""
    json.loads(json.dumps([Order(number) for number in range(300)], default=describe_order))


def count_stock() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table stock (title text, price real)")
        rows = ((word, number * 0.5) for number in range(200) for word in WORDS)
        database.executemany("insert into stock values (?, ?)", rows)
        database.execute("select title, sum(price) from stock group by title order by 2 desc").fetchall()


async def pack_parcel(number: int) -> int:
    total = 0
    for weight in range(4000):
        total += weight * number % 13
    await asyncio.sleep(0)
    return total


async def ship_parcels() -> None:
    await asyncio.gather(*(pack_parcel(number) for number in range(20)))


def run_for(seconds: float, job: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job()
        time.sleep(0.002)


def print_catalogue(seconds: float) -> None:
    """The child process."""
    run_for(seconds, lambda: "\n".join(f"{a} {b}" for a in WORDS for b in WORDS).upper().split())


def main(seconds: float = 15.0) -> None:
    jobs: dict[str, Callable[[], object]] = {
        "catalogue": keep_catalogue,
        "recommend": plan_recommendations,
        "archive": archive_orders,
        "invoices": write_invoices,
        "stock": count_stock,
        "parcels": lambda: asyncio.run(ship_parcels()),
    }
    printer = multiprocessing.get_context("spawn").Process(target=print_catalogue, args=(seconds / 2,))
    printer.start()
    threads = [threading.Thread(target=run_for, args=(seconds, job), name=name) for name, job in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    printer.join()
    print(f"The shop is closed after {seconds:g} busy seconds.")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 15.0)
