"""The CPythons there are on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def interpreters() -> dict[str, str]:
    """Version → path, of CPython 3.11 and later."""
    found = {}
    for minor in range(11, 16):
        name = f"python3.{minor}"
        candidates = [*map(str, Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}")), shutil.which(name)]
        for path in candidates:
            if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
                found[f"3.{minor}"] = path
                break
    return found or {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
