"""Programs that know the truth about themselves: what each function burnt, by its own thread's CPU clock."""

SHARES = """
import hashlib, json, random, sys, time, zlib
data = random.Random(1).randbytes(60000)
numbers = [random.Random(2).random() for _ in range(4000)]

def loop():
    total = 0
    for number in range(40000):
        total += number * number

def table():
    found = {}
    for number in range(9000):
        found[number % 97] = found.get(number % 97, 0) + number

def compress():
    zlib.compress(data, 6)

def digest():
    for _ in range(40):
        hashlib.sha256(data).digest()

def order():
    for _ in range(4):
        sorted(numbers)

class Tree:
    def deep(self, depth):
        if depth:
            return self.deep(depth - 1)
        total = 0
        for number in range(20000):
            total += number
        return total

def recursion():
    Tree().deep(20)

def generator():
    sum(number for number in range(30000))

work = [loop, table, compress, digest, order, recursion, generator]
truth = {function.__name__: 0 for function in work}
choose = random.Random(3)
end = time.process_time() + SECONDS
while time.process_time() < end:
    function = choose.choice(work)
    before = time.thread_time_ns()
    function()
    truth[function.__name__] += time.thread_time_ns() - before
print(json.dumps(truth))
"""

THREADS = """
import json, threading, time

def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(300))

def busy_a():
    burn(0.6)

def busy_b():
    burn(0.3)

def sleeper():
    time.sleep(0.5)

def waiter():
    done.wait()

done = threading.Event()
threads = [threading.Thread(target=f) for f in (busy_a, busy_b, sleeper, waiter)]
for thread in threads:
    thread.start()
for thread in threads[:3]:
    thread.join()
done.set()
threads[3].join()
ids = [thread.native_id for thread in threads]
print(json.dumps({"cpu": time.process_time_ns(), "ids": ids, "main": threading.get_native_id()}))
"""

SHORT_LIVED = """
import threading, time

def burn():
    end = time.thread_time() + 0.003
    while time.thread_time() < end:
        sum(range(300))
    spent.append(time.thread_time_ns())

begun = time.thread_time_ns()
spent = []
for _ in range(150):
    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()
print(sum(spent) + time.thread_time_ns() - begun)
"""
