"""Sources of small programs, and what tests ask of a machine that compiles them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from dtrace_profiler.symbols.mappings import AddressSpace

WAITER = """
#include <stdio.h>
#include <unistd.h>
static inline __attribute__((always_inline)) int innermost(int x) {
    volatile int sum = 0;
    for (int i = 0; i < x; i++) sum += i * x;
    return sum;
}
static inline __attribute__((always_inline)) int between(int x) { return innermost(x) + 1; }
__attribute__((noinline)) int outermost(int x) { return between(x) + innermost(3); }
static __attribute__((noinline)) int local_function(int x) { return outermost(x) * 2; }
int main(int argc, char **argv) {
    printf("%p %p %d\\n", (void *)outermost, (void *)local_function, local_function(argc));
    fflush(stdout);
    for (;;) pause();
}
"""
"""Prints the addresses of two functions, then waits to be killed."""

CALLABLE = "__attribute__((noinline)) int in_library(volatile int n) { while (n--) {} return n; }\n"


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def space_of(process: subprocess.Popen[str]) -> AddressSpace:
    space = AddressSpace(process.pid)
    assert space.refresh()
    return space
