"""Starts the sampler in a program that knows nothing of us. Runs there, from the folder that `launch.py` made.

Two ways lead here: `sitecustomize.py`, found through PYTHONPATH, and `run_program.py`, put before the script
where the interpreter's options forbid that. Nothing that this does may be seen by the program, and no fault of it
may be felt: a sampler that can't start leaves its reason in the file `failed-PID`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PACKAGE = "dtrace_profiler.sampling.target."
PARTS = ("host", "look", "walk", "wire", "ticks", "core")  # each after those it imports


def start(folder: str) -> bool:
    """Begin to sample this process, into the folder."""
    before = dict(sys.modules)
    try:
        if sys.version_info < (3, 8):  # noqa: UP036
            raise RuntimeError("the sampler needs Python 3.8 or later, this is %d.%d" % sys.version_info[:2])  # noqa: UP031
        _start(folder)
        return True
    except Exception as error:
        try:
            name = os.path.join(folder, "failed-%d" % os.getpid())  # noqa: UP031
            with open(name, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(str(error) or type(error).__name__)
        except OSError:
            pass
        return False
    finally:
        # Modules that the program has not imported are not in its sys.modules. Those with a part written in C that
        # can't be loaded twice stay: ctypes, and before 3.10 atexit.
        added = set(sys.modules) - set(before)
        keep = "ctypes" in added or sys.version_info < (3, 10)
        for name in added:
            if not keep or name.startswith(PACKAGE):
                del sys.modules[name]
        sys.modules.update((name, module) for name, module in before.items() if name.startswith(PACKAGE))


def _start(folder: str) -> None:
    config = read_config(folder)
    host, _look, _walk, wire, _ticks, core = (load(folder, name) for name in PARTS)
    unsafe = host.unsafe_here()
    if unsafe:
        raise RuntimeError(unsafe)
    output = wire.FileOutput(folder)
    clocks = load(folder, "clocks").open_clocks() if os.path.exists(os.path.join(folder, "clocks.py")) else None
    if clocks is None:
        output.note(core.NOTE_WITHOUT_CLOCKS)
    sampler = core.Sampler(
        int(config["interval_ns"]),
        int(config["depth"]),
        output,
        clocks=clocks,
        follow_fork=config["children"] == "1",
    )
    output.losses = sampler.losses
    sampler.start()


def read_config(folder: str) -> dict[str, str]:
    """The file `config`: a name, a blank and a value a line."""
    with open(os.path.join(folder, "config"), encoding="utf-8") as file:
        return {line.split(" ", 1)[0]: line.rstrip("\n").split(" ", 1)[1] for line in file}


def load(folder: str, name: str) -> Any:
    """Import a file of the folder under the name it has in our package, so that the files can import each other.

    Compiled once for all processes.
    """
    path = os.path.join(folder, name + ".py")
    loader = sys.modules["_frozen_importlib_external"].SourceFileLoader(name, path)
    module: Any = type(sys)(PACKAGE + name)
    module.__file__ = path
    sys.modules[PACKAGE + name] = module
    exec(loader.get_code(name), module.__dict__)  # noqa: S102  (our own file)
    return module
