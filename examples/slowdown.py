"""A shop's server whose cache stops working half-way: something to find with a profiler, in twelve seconds.

Requests come as fast as they can be answered. In the second half each one forgets the prices that were worked out, so
that every price is worked out again. Another thread packs the log meanwhile. Nothing but the standard library.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import zlib

CATALOGUE = [{"id": number, "name": f"book {number}", "weight": number % 17 + 1} for number in range(60)]


class Prices:
    """What each book costs, worked out once and kept."""

    def __init__(self) -> None:
        self.kept: dict[int, float] = {}

    def price(self, book: dict[str, object]) -> float:
        number = int(str(book["id"]))
        if number not in self.kept:
            self.kept[number] = work_out_price(number, int(str(book["weight"])))
        return self.kept[number]

    def forget(self) -> None:
        self.kept.clear()


def work_out_price(number: int, weight: int) -> float:
    return 5.0 + shipping(weight) + discount(number)


def shipping(weight: int) -> float:
    cost = 0.0
    for gram in range(weight * 12):
        cost += gram % 7 * 0.001
    return cost


def discount(number: int) -> float:
    return sum(step * number % 5 for step in range(60)) / 1000


def render_page(prices: Prices) -> str:
    rows = [{"name": book["name"], "price": round(prices.price(book), 2)} for book in CATALOGUE]
    return json.dumps(rows, indent=1)


def answer_request(prices: Prices, broken: bool) -> int:
    if broken:
        prices.forget()
    return len(render_page(prices))


def serve(seconds: float) -> int:
    prices = Prices()
    begin = time.monotonic()
    answered = 0
    while (now := time.monotonic()) < begin + seconds:
        answer_request(prices, broken=now > begin + seconds / 2)
        answered += 1
    return answered


def pack_log(stop: threading.Event) -> None:
    lines = "".join(f"GET /books/{number} 200\n" for number in range(4000)).encode()
    while not stop.wait(0.02):
        zlib.compress(lines, 9)


def main(seconds: float = 12.0) -> None:
    stop = threading.Event()
    packer = threading.Thread(target=pack_log, args=(stop,), name="log packer")
    packer.start()
    answered = serve(seconds)
    stop.set()
    packer.join()
    print(f"{answered} requests answered in {seconds:g} s.")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 12.0)
