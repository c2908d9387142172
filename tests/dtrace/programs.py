"""Programs to be profiled, which know the truth about themselves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

BURN_C = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Loops between looks at the clock are long, so that the functions are nearly all of the time their own. */
#define BURNER(name) \
    __attribute__((noinline)) double name(double seconds) { \
        double begin = cpu(), end; \
        do { for (volatile long i = 0; i < 200000; i++) { } end = cpu(); } while (end - begin < seconds); \
        return end - begin; \
    }
BURNER(burn_most)
BURNER(burn_some)
BURNER(burn_little)

static double spent[3];

static void *work(void *seconds) {
    double total = *(double *)seconds, begin = cpu();
    while (cpu() - begin < total) {
        spent[0] += burn_most(0.05);
        spent[1] += burn_some(0.03);
        spent[2] += burn_little(0.02);
    }
    printf("thread %ld pid %d\n", syscall(SYS_gettid), getpid());
    return 0;
}

int main(int count, char **words) {
    double seconds = count > 1 ? atof(words[1]) : 10;
    int threads = count > 2 ? atoi(words[2]) : 1;
    pthread_t all[16];
    for (int i = 1; i < threads && i < 16; i++) pthread_create(&all[i], 0, work, &seconds);
    work(&seconds);
    for (int i = 1; i < threads && i < 16; i++) pthread_join(all[i], 0);
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    printf("truth %.6f %.6f %.6f %.6f\n", spent[0], spent[1], spent[2], now.tv_sec + now.tv_nsec / 1e9);
    return 0;
}
"""

NAMES_CPP = r"""
#include <cstdlib>
#include <ctime>
namespace shop { template <typename T> struct Basket {
    __attribute__((noinline)) static long add_books(T seconds) {
        volatile long sum = 0; std::clock_t end = std::clock() + (std::clock_t)(seconds * CLOCKS_PER_SEC);
        while (std::clock() < end) for (int i = 0; i < 100000; i++) sum = sum + i;
        return sum; } }; }
extern "C" __attribute__((noinline)) long _ZN4core3fmt5write17h0123456789abcdefE(double seconds) {
    return shop::Basket<double>::add_books(seconds) + 1; }
extern "C" __attribute__((noinline)) long _RNvCs1234_7mycrate3foo(double seconds) {
    return _ZN4core3fmt5write17h0123456789abcdefE(seconds) + 1; }
int main(int, char **words) { return (int)_RNvCs1234_7mycrate3foo(std::atof(words[1])) & 0; }
"""

_FLAGS = ["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-pthread"]


def compiled(folder: Path, name: str, source: str) -> str:
    """The path of a program with frame pointers; skips where there is no compiler."""
    compiler, suffix = ("g++", ".cpp") if "namespace" in source else ("gcc", ".c")
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    path = folder / name
    (folder / (name + suffix)).write_text(source)
    subprocess.run([compiler, *_FLAGS, "-o", path, folder / (name + suffix)], check=True)
    return str(path)
