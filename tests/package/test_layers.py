"""Imports: downward only, nothing optional by itself, and on every system."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import dtrace_profiler

ROOT = Path(__file__).parents[2]

OPTIONAL = (
    *("IPython", "asgiref", "django", "flask", "gunicorn", "mcp", "mcp_types", "multi_demangle", "numpy"),
    *("opentelemetry", "playwright", "pyarrow", "pydantic", "pytest", "rich", "starlette", "symbolic", "textual"),
    "uvicorn",
)
POSIX_ONLY = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
WINDOWS_ONLY = ("msvcrt", "winreg", "_winapi")


ABOUT_ONE = {
    "dtrace_profiler.integrations.pytest_budgets",
    "dtrace_profiler.integrations.pytest_run",
    "dtrace_profiler.mcp_server.server",
    "dtrace_profiler.model.fold_numpy",
    *(
        f"dtrace_profiler.terminal.{name}"
        for name in ("app", "cells", "colours", "driver", "graph", "lines", "sheets", "status", "table", "view_state")
    ),
}
"""Modules that are all about something optional, and imported only where that is there."""


def all_modules() -> list[str]:
    found = pkgutil.walk_packages(dtrace_profiler.__path__, "dtrace_profiler.")
    # Not what runs the command line, or a target, when it is imported.
    return sorted(
        module.name for module in found if not module.name.endswith("__main__") and ".target." not in module.name
    )


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


def test_layers_import_downward_only() -> None:
    pytest.importorskip("importlinter", reason="needs import-linter")
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    answer = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_package_loads_nothing_optional() -> None:
    names = (*OPTIONAL, "click")
    answer = run_python(f"import sys, dtrace_profiler; print([name for name in {names} if name in sys.modules])")
    assert answer.stdout.strip() == "[]", answer.stderr


@pytest.mark.parametrize("hidden", [OPTIONAL, POSIX_ONLY, WINDOWS_ONLY], ids=["optional", "posix", "windows"])
def test_every_module_can_be_imported_without(hidden: tuple[str, ...]) -> None:
    """As on a system that lacks them. What the standard library imports for itself stays there."""
    modules = [module for module in all_modules() if hidden is not OPTIONAL or module not in ABOUT_ONE]
    program = f"""
import builtins, importlib, sys
import asyncio, click, ctypes, http.server, multiprocessing.context, selectors, shutil, socketserver, ssl
import subprocess, tempfile, webbrowser
real_import = builtins.__import__
def without(name, globals=None, *rest, **more):
    if name.partition(".")[0] in {hidden!r} and str((globals or {{}}).get("__name__")).startswith("dtrace_profiler"):
        raise ModuleNotFoundError(f"no module {{name}}, as asked", name=name)
    return real_import(name, globals, *rest, **more)
builtins.__import__ = without
for module in {modules!r}:
    importlib.import_module(module)
print("imported")
"""
    answer = run_python(program)
    assert answer.stdout.strip() == "imported", answer.stderr


def test_every_module_can_be_imported_without_the_functions_of_posix() -> None:
    """Windows has the module `os`, but not all of its functions."""
    program = f"""
import importlib, os, signal, socket, time
import asyncio, click, ctypes, http.server, multiprocessing.context, selectors, shutil, socketserver, ssl
import subprocess, tempfile, textual.app, textual.widgets, webbrowser
for module, names in {{
    os: ["fork", "getuid", "geteuid", "getgid", "major", "minor", "chown", "killpg", "setsid", "register_at_fork",
         "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "pread", "sysconf", "WNOHANG", "pidfd_open", "posix_spawn"],
    signal: ["SIGKILL", "SIGHUP", "SIGCONT", "SIGTSTP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCHLD",
             "pthread_sigmask", "pthread_kill", "sigwait"],
    socket: ["AF_UNIX"],
    time: ["CLOCK_THREAD_CPUTIME_ID", "clock_gettime", "pthread_getcpuclockid"],
}}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
for module in {all_modules()!r}:
    importlib.import_module(module)
print("imported")
"""
    answer = run_python(program)
    assert answer.stdout.strip() == "imported", answer.stderr
