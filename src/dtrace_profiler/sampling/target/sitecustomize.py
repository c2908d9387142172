"""The first thing of ours that an interpreter finds, through PYTHONPATH. Hides itself, starts the sampler, and gives
way to the real `sitecustomize` where there is one.

Any Python may come across this, Python 2 as well: nothing here may be newer than that.
"""

# mypy: ignore-errors
import os
import sys


def hide(folder):
    """Undo what led here. With `children` the environment stays, so that child processes come here too."""
    sys.path[:] = [entry for entry in sys.path if entry != folder]
    sys.path_importer_cache.pop(folder, None)
    with open(os.path.join(folder, "config")) as file:
        config = dict(line.rstrip("\n").split(" ", 1) for line in file)
    if config["children"] == "1":
        return
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    left = [entry for entry in entries if entry != folder]
    if left:
        os.environ["PYTHONPATH"] = os.pathsep.join(left)
    elif config["pythonpath"] == "empty":
        os.environ["PYTHONPATH"] = ""
    else:
        os.environ.pop("PYTHONPATH", None)


def begin():
    folder = os.path.dirname(os.path.abspath(__file__))
    hide(folder)
    if sys.version_info[0] < 3:  # noqa: UP036
        return
    known = "__future__" in sys.modules
    path = os.path.join(folder, "bootstrap.py")
    namespace = {"__name__": "dtrace_profiler_bootstrap", "__file__": path}
    loader = sys.modules["_frozen_importlib_external"].SourceFileLoader("bootstrap", path)
    try:
        code = loader.get_code("bootstrap")
    except SyntaxError:  # Python 3 too old for it
        return
    exec(code, namespace)  # noqa: S102
    namespace["start"](folder)
    if not known:
        sys.modules.pop("__future__", None)


try:
    begin()
except Exception:  # the program must not feel it; that nothing came is said at the end
    pass

# The import system looks the module up by its name when this file is through, and finds what stands there then. Where
# there is no other sitecustomize, the ImportError goes to `site`, which takes it as such.
del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401
