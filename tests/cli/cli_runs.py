"""How the tests call our command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

Run = Callable[..., subprocess.CompletedProcess[str]]

# `python -m dtrace_profiler`, but for how long dtrace's program is waited for that was told to end: a stand-in has no
# program.
_START = """
import os
from dtrace_profiler import stage
if "DTRACE_PROFILER_DTRACE" in os.environ: stage._PATIENCE_S = 0.1
from dtrace_profiler.cli import main
raise SystemExit(main())
"""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", _START, *map(str, arguments)]
