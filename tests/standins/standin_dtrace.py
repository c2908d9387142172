"""An executable that behaves like the dtrace of another system, as far as it is documented: see docs/platforms.md.

    install(tmp_path, "macos")                               samples the processes that its program names
    install(tmp_path, "macos", scenario="denied")            and other SCENARIOS
    install(tmp_path, "windows", stacks=[[b"ntdll`Rtl+0x4"]])   with these stacks, leaf first

It checks what it is given as the real one would: options it knows, a program in its dialect. Its output comes in
pieces and with pauses. `calls(path)` (of fake_dtrace) says what it was called with.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VERSIONS = {
    "macos": "Sun D 1.14",
    "freebsd": "Sun D 1.13.1",
    "illumos": "Sun D 1.13",
    "windows": "Sun D 1.13.1",
    "netbsd": "Sun D 1.13",
}
SIP = "dtrace: system integrity protection is on, some features will not be available\n\n"
STACKS: dict[str, list[list[bytes]]] = {
    "macos": [
        [b"libsystem_kernel.dylib`__read_nocancel+0xa", b"shop`-[Order total:]+0x1f", b"shop`main+0x42"],
        [b"shop`std::vector<int, std::allocator<int>>::push_back(int const&)+0x5", b"shop`main+0x50"],
        [b"0x10ab3c4d5", b"shop`main+0x50"],
    ],
    "freebsd": [[b"libc.so.7`memcpy+0x13", b"shop`work+0x8", b"shop`main+0x42"], [b"shop`0x2016f4", b"0x1"]],
    "illumos": [
        [b"libc.so.1`memcpy+0x13", b"Func_loop.func_c()V", b"  [ shop.py:12 (work) ]", b"shop`main+0x42"],
        [b"shop`<T as U>::f+0x8", b"shop`main+0x42"],
    ],
    "windows": [[b"ntdll`RtlAllocateHeap+0x4", b"shop`work+0x8"], [b"KERNELBASE`ReadFile+0x73"]],
    "netbsd": [[b"libc.so.12`memcpy+0x13", b"shop`main+0x42"]],
}
# Options of -x that each refuses, of those that some other takes.
UNKNOWN_OPTIONS = {
    "macos": ("scratchsize", "maxframes", "lockmem", "btfpath", "noresolve", "quietresize", "jstackframes"),
    "freebsd": ("scratchsize", "maxframes", "lockmem", "btfpath", "noresolve", "sympath"),
    "illumos": ("scratchsize", "maxframes", "lockmem", "btfpath", "noresolve", "sympath"),
    "windows": ("scratchsize", "maxframes", "lockmem", "btfpath", "noresolve", "quietresize"),
    "netbsd": ("scratchsize", "maxframes", "lockmem", "btfpath", "noresolve", "sympath"),
}
ERROR = "dtrace: error on enabled probe ID 3 (ID 34: profile:::profile-{hz}): {what} in action #2 at DIF offset 16\n"
SCENARIOS = ("samples", "drops", "denied", "no_device", "faults", "dies", "unresponsive", "silent", "no_module")


def install(
    directory: Path,
    system: str,
    *,
    scenario: str = "samples",
    stacks: Sequence[Sequence[bytes]] = (),
    print_s: float = 0.05,
) -> Path:
    """Writes an executable `directory/dtrace`; its path. `print_s`: seconds between two of its batches."""
    assert scenario in SCENARIOS
    path = directory / "dtrace"
    log = directory / "dtrace.calls"
    frames = [[frame.decode("latin-1") for frame in stack] for stack in stacks or STACKS[system]]
    setup = {"system": system, "scenario": scenario, "stacks": frames, "print_s": print_s, "log": str(log)}
    baked = directory / "dtrace.json"  # may be longer than a command line
    baked.write_text(json.dumps(setup))
    path.write_text(
        "#!/bin/sh\n" + "exec " + " ".join(map(shlex.quote, [sys.executable, "-S", __file__, str(baked)])) + ' "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


class Dtrace:
    def __init__(self, setup: dict[str, Any], arguments: list[str]) -> None:
        self.system: str = setup["system"]
        self.scenario: str = setup["scenario"]
        self.stacks = [[frame.encode("latin-1") for frame in stack] for stack in setup["stacks"]]
        self.print_s: float = setup["print_s"]
        self.arguments = arguments
        self.quiet = False
        self.options: dict[str, str] = {}
        self.program = ""
        self.ending = 0
        self.table = 0
        self.samples = 0
        self.chunks = random.Random(7)

    def say(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def fail(self, text: str, status: int = 1) -> None:
        self.say(f"dtrace: {text}\n")
        sys.exit(status)

    def out(self, data: bytes) -> None:
        """In pieces that end anywhere, as pipes have it."""
        while data:
            size = self.chunks.randint(1, 400)
            os.write(1, data[:size])
            data = data[size:]
            if self.chunks.random() < 0.02:
                time.sleep(0.005)

    def run(self) -> None:
        if self.arguments == ["-V"]:
            print(f"dtrace: {VERSIONS[self.system]}")
            return
        self.read_arguments()
        if self.system == "macos" and not self.quiet:
            self.say(SIP)
        if self.scenario == "denied":
            self.fail("failed to initialize dtrace: DTrace requires additional privileges")
        if self.scenario == "no_device":
            self.fail("failed to initialize dtrace: DTrace device not available on system")
        probe = self.check_program()
        if not self.quiet:
            self.say(f"dtrace: script '{self.arguments[-1]}' matched {self.program.count('profile:::')} probes\n")
        signal.signal(signal.SIGINT, self.interrupt)
        signal.signal(signal.SIGTERM, self.interrupt)
        self.sample(probe)

    def read_arguments(self) -> None:
        words = iter(self.arguments)
        for word in words:
            if word == "-q":
                self.quiet = True
            elif word == "-x":
                name, _, value = next(words).partition("=")
                if name in UNKNOWN_OPTIONS[self.system]:
                    self.fail(f"failed to set -x {name}: Invalid option name")
                self.options[name] = value
            elif word == "-s":
                self.program = Path(next(words)).read_text()
            else:
                self.say("Usage: dtrace [-32|-64] [-aACeFGhHlqSvVwZ] [-b bufsz] [-c cmd] ...\n")
                sys.exit(2)

    def check_program(self) -> re.Match[str]:
        """As the compiler would, for what a program for another system gets wrong."""
        for wrong in (r"\bif\s*\(", r"\bcurthread->", r"rawtp:", r"\buregs\[", r"\bsetopt\("):
            if re.search(wrong, self.program):
                self.fail(f"failed to compile script program.d: line 1: syntax error near {wrong!r}")
        if self.system == "windows" and "progenyof" in self.program:
            self.fail("failed to compile script program.d: line 1: progenyof( ) is not a function")
        probe = re.search(r"profile:::profile-(\d+)", self.program)
        if probe is None or not 1 <= int(probe[1]) <= 5000:
            self.fail("invalid probe specifier: probe description :::profile-0 does not match any probes")
        if self.scenario == "no_module":
            what = f"probe description {probe[0]} does not match any probes"
            self.fail(f"failed to compile script program.d: line 8: {what}")
        return probe

    def interrupt(self, number: int, frame: object) -> None:
        self.ending += 1

    def sample(self, probe: re.Match[str]) -> None:
        hz = int(probe[1])
        if self.scenario == "faults":
            what = "invalid user access" if self.system == "macos" else "invalid address (0x10)"
            fault = ERROR.format(hz=hz, what=what)
        self.out(b"B %d\n" % time.time_ns())
        began = time.time()
        while not self.ending:
            time.sleep(self.print_s)
            if self.scenario == "faults":
                self.say(fault * 3)
                self.samples += 3
            elif self.scenario != "silent":
                self.out(self.batch(max(1, int(hz * self.print_s))))
            if self.scenario == "drops":
                self.say("dtrace: 19 drops on CPU 0\ndtrace: 4 aggregation drops on CPU 1\n")
            if self.scenario == "dies" and time.time() - began > 0.5:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.scenario == "unresponsive" and time.time() - began > 0.5:
                self.fail("processing aborted: Abort due to systemic unresponsiveness")
        # A second signal means that it shall not print what it has.
        if self.ending < 2 and self.scenario not in ("silent", "faults"):
            self.out(b"\n" + self.batch(1))
        self.out(b"Z %d\n\n" % time.time_ns())

    def batch(self, count: int) -> bytes:
        """A tick: `count` samples of each process that the program names."""
        form = re.search(r'printa\("A %d %d %x\\n((?:=U%k)?)((?:=K%k)?)=V', self.program)
        assert form is not None
        out = [b"T %d" % time.time_ns()]
        for pid in re.findall(r"pid == (\d+)", self.program):
            for number in range(count):
                stack = self.stacks[(self.samples + number) % len(self.stacks)]
                out += [b"A %s %d 0" % (pid.encode(), 4242)]
                out += [b"=U", *(b"              " + frame for frame in stack)] if form[1] else []
                out += [b"=K", b"kernel`hardclock+0x10", b"kernel`idle"] if form[2] else []
                out += [b"=V 1"]
            self.samples += count
        end = b"\r\n" if self.system == "windows" else b"\n"
        return end.join([*out, b"C %d" % self.samples]) + end


if __name__ == "__main__":
    setup = json.loads(Path(sys.argv[1]).read_text())
    with open(setup["log"], "a") as log:
        log.write(json.dumps({"arguments": sys.argv[2:]}) + "\n")
    Dtrace(setup, sys.argv[2:]).run()
