"""Profiles for the tests of pictures: made, not measured."""

from __future__ import annotations

import random

from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

START_NS = 1_795_420_800_000_000_000


def python(name: str, module: str, line: int = 0, first_line: int = 1) -> StackFrame:
    file = f"/srv/shop/{module.replace('.', '/')}.py"
    return StackFrame(name, module, 0, file, line or first_line, first_line, FrameKind.PYTHON)


def native(name: str, module: str, address: int = 0x1000) -> StackFrame:
    return StackFrame(name, module, address, kind=FrameKind.NATIVE)


def inlined(name: str, module: str) -> StackFrame:
    return StackFrame(name, module, 0x1000, kind=FrameKind.INLINED)


def kernel(name: str, module: str = "vmlinux") -> StackFrame:
    return StackFrame(name, module, 0xFFFFFFFF81000000, kind=FrameKind.KERNEL)


UNKNOWN = StackFrame("[unknown]")

_BOOT = (python("<module>", "__main__", 88), python("main", "shop.app", 41, 30))
_WORKER = (
    python("Thread._bootstrap", "threading", 1002, 982),
    python("Thread.run", "threading", 982, 970),
    python("worker", "shop.queue", 61, 52),
)
_HANDLE = (python("Server.handle", "shop.http", 118, 96), python("Router.dispatch", "shop.http", 160, 140))
_SYSCALL = (kernel("entry_SYSCALL_64_after_hwframe"), kernel("do_syscall_64"))

_MAIN_STACKS: list[tuple[int, tuple[StackFrame, ...]]] = [
    (
        210,
        (
            *_BOOT,
            *_HANDLE,
            python("render", "shop.views", 24, 20),
            python("Template.render", "shop.template", 88, 70),
            python("Template._walk", "shop.template", 131, 120),
            python("escape", "shop.template", 12, 10),
        ),
    ),
    (
        90,
        (
            *_BOOT,
            *_HANDLE,
            python("render", "shop.views", 24, 20),
            python("Template.render", "shop.template", 91, 70),
            python("Template._walk", "shop.template", 131, 120),
            python("Template._walk", "shop.template", 133, 120),
            native("unicode_concatenate", "libpython3.13.so.1.0"),
            inlined("PyUnicode_Append", "libpython3.13.so.1.0"),
        ),
    ),
    (
        160,
        (
            *_BOOT,
            *_HANDLE,
            python("search", "shop.views", 47, 40),
            python("Index.query", "shop.index", 77, 60),
            python("Index.score", "shop.index", 96, 90),
        ),
    ),
    (
        120,
        (
            *_BOOT,
            *_HANDLE,
            python("search", "shop.views", 47, 40),
            python("Index.query", "shop.index", 79, 60),
            native("list_sort_impl", "libpython3.13.so.1.0"),
            python("Index.query.<locals>.<lambda>", "shop.index", 79, 79),
        ),
    ),
    (
        60,
        (
            *_BOOT,
            *_HANDLE,
            python("search", "shop.views", 47, 40),
            python("Index.query", "shop.index", 79, 60),
            native("list_sort_impl", "libpython3.13.so.1.0"),
            inlined("merge_hi", "libpython3.13.so.1.0"),
        ),
    ),
    (
        70,
        (
            *_BOOT,
            *_HANDLE,
            python("search", "shop.views", 50, 40),
            python("dumps", "json", 231, 183),
            python("JSONEncoder.encode", "json.encoder", 200, 183),
            native("c_make_encoder", "_json.cpython-313.so"),
            native("encoder_listencode_dict", "_json.cpython-313.so"),
            native("escape_unicode", "_json.cpython-313.so"),
        ),
    ),
    (
        40,
        (
            *_BOOT,
            *_HANDLE,
            python("Response.send", "shop.http", 201, 190),
            native("sock_send", "_socket.cpython-313.so"),
            native("__send", "libc.so.6"),
            *_SYSCALL,
            kernel("__x64_sys_sendto"),
            kernel("tcp_sendmsg"),
            kernel("tcp_write_xmit"),
        ),
    ),
    (18, (*_BOOT, native("epoll_wait", "libc.so.6"), *_SYSCALL, kernel("do_epoll_wait"))),
    (9, (*_BOOT, *_HANDLE, UNKNOWN)),
]
_WORKER_STACKS: list[tuple[int, tuple[StackFrame, ...]]] = [
    (
        260,
        (
            *_WORKER,
            python("thumbnail", "shop.images", 33, 25),
            native("resample_lanczos", "_imaging.so"),
            inlined("clip8", "_imaging.so"),
        ),
    ),
    (140, (*_WORKER, python("thumbnail", "shop.images", 33, 25), native("resample_lanczos", "_imaging.so"))),
    (
        110,
        (
            *_WORKER,
            python("pack", "shop.images", 58, 50),
            native("zlib_compress", "zlib.cpython-313.so"),
            native("deflate_slow", "libz.so.1.2.13"),
            inlined("longest_match", "libz.so.1.2.13"),
        ),
    ),
    (
        45,
        (
            *_WORKER,
            python("pack", "shop.images", 60, 50),
            native("_hashlib_update", "_hashlib.cpython-313.so"),
            native("sha256_block_data_order_avx2", "libcrypto.so.3"),
        ),
    ),
    (
        25,
        (
            *_WORKER,
            python("store", "shop.images", 71, 66),
            native("__write", "libc.so.6"),
            *_SYSCALL,
            kernel("ksys_write"),
            kernel("ext4_file_write_iter", "ext4"),
        ),
    ),
    (
        12,
        (
            *_WORKER,
            python("store", "shop.images", 72, 66),
            native("_PyGC_Collect", "libpython3.13.so.1.0"),
            native("deduce_unreachable", "libpython3.13.so.1.0"),
            inlined("subtract_refs", "libpython3.13.so.1.0"),
        ),
    ),
]


def shop(**meta: object) -> Profile:
    """A web shop of two threads, one sample at a time, 99 Hz."""
    builder = ProfileBuilder()
    threads = (builder.add_thread(4711, 4711, "MainThread"), builder.add_thread(4711, 4715, "images-0"))
    stacks: list[tuple[int, tuple[StackFrame, ...]]] = []
    for thread, table in zip(threads, (_MAIN_STACKS, _WORKER_STACKS), strict=True):
        stacks += [(thread, stack) for count, stack in table for _ in range(count)]
    random.Random(7).shuffle(stacks)
    for at, (thread, stack) in enumerate(stacks):
        builder.add_sample(START_NS + at * 7_000_000, thread, builder.add_stack(stack))
    given: dict[str, object] = {
        "engine": "dtrace",
        "frequency_hz": 99,
        "start_ns": START_NS,
        "duration_ns": 9_600_000_000,
        "target": "python -m shop --workers 1 --port 8080",
        "system": "Linux 6.12 x86_64",
        "versions": {"python": "3.13.0", "dtrace": "2.0.7"},
    }
    return builder.snapshot(Meta(**{**given, **meta}))  # type: ignore[arg-type]


def empty(**meta: object) -> Profile:
    given: dict[str, object] = {
        "engine": "dtrace",
        "frequency_hz": 99,
        "duration_ns": 5_000_000_000,
        "target": "pid 4711",
    }
    return ProfileBuilder().snapshot(Meta(**{**given, **meta}))  # type: ignore[arg-type]


HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"'`${window.hacked = 1}`",
    "]]><svg onload='window.hacked = 1'>",
    "<!--",
    "\u2028line\u2029separators",
    "\u202eright to left override",
    "שלום عربى",
    "nul\0 bell\a escape\x1b[31m delete\x7f c1\x9b",
    "half \ud83d and \udca9 of a pair",
    "whole \U0001f525 flame",
    "\ufffe\uffff not a character",
    "&amp; &#0; %s {0} \\u0041 \\",
    "long " + "x" * 10_240,
    "tab\tand\r\nline\x85break",
    " ",
]


def hostile() -> Profile:
    """Names that want to be something else than text, everywhere a name can stand."""
    builder = ProfileBuilder()
    root = native("start", "a.out")
    for index, name in enumerate(HOSTILE):
        thread = builder.add_thread(1, index + 1, name)
        frame = StackFrame(name, name, 0, name, 7, 3, FrameKind.PYTHON)
        builder.add_sample(0, thread, builder.add_stack([root, frame]), 10)
    return builder.snapshot(
        Meta(
            engine=HOSTILE[1],
            target=HOSTILE[0],
            system=HOSTILE[2],
            versions={"python": HOSTILE[1]},
            losses={HOSTILE[1]: 3},
            notes=HOSTILE,
        )
    )


def forest(nodes: int, *, seed: int = 1, depth: int = 40, names: int = 2_000, threads: int = 4) -> Profile:
    """At least so many nodes, in stacks as programs have them: long common beginnings, many different ends."""
    chance = random.Random(seed)
    kinds = [FrameKind.PYTHON] * 5 + [FrameKind.NATIVE] * 3 + [FrameKind.INLINED, FrameKind.KERNEL]
    frames = [
        StackFrame(
            f"function_{i}", f"module_{i % 97}", 0, f"/src/file_{i % 97}.py", 1 + i % 400, 1, kinds[i % len(kinds)]
        )
        for i in range(names)
    ]
    builder = ProfileBuilder()
    ids = [builder.add_frame(frame) for frame in frames]
    for thread in range(threads):
        builder.add_thread(100, 100 + thread, f"worker-{thread}")
    path: list[int] = []
    while len(builder.parent) < nodes:
        keep = min(len(path), int(chance.betavariate(2.2, 1.1) * depth))
        del path[keep:]
        for _ in range(min(depth - keep, 1 + int(chance.expovariate(0.25)))):
            parent = path[-1] if path else -1
            path.append(builder.add_node(parent, ids[int(len(ids) * chance.random() ** 2)]))
        if not path:
            continue
        builder.add_sample(START_NS + len(builder.node), chance.randrange(threads), path[-1], chance.randrange(1, 20))
    return builder.snapshot(Meta(engine="dtrace", frequency_hz=997, target="made", duration_ns=10**10))
