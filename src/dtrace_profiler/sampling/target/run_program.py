"""Stands before the program where the interpreter ignores PYTHONPATH (-E, -I) or `site` (-S), and runs it as the
interpreter would have: `__main__`, `sys.argv`, `sys.path`, `sys.orig_argv`, tracebacks and exit status.

    python -I run_program.py COUNT script.py ARG... | -c CODE ARG... | -m MODULE ARG...

`COUNT` is the number of words before this file in `sys.orig_argv`.
"""


def _program():  # type: ignore[no-untyped-def]
    import sys

    folder = __file__[: -len("run_program.py") - 1]
    known = "__future__" in sys.modules
    found: list = []  # type: ignore[type-arg]
    for name in ("bootstrap", "as_main"):
        path = folder + "/" + name + ".py"
        code = sys.modules["_frozen_importlib_external"].SourceFileLoader(name, path).get_code(name)
        namespace = {"__name__": "dtrace_profiler_" + name, "__file__": path}
        exec(code, namespace)  # noqa: S102
        found.append(namespace)
    found[0]["start"](folder)
    if not known:
        sys.modules.pop("__future__", None)
    return found[1]["run"]


_program()()  # type: ignore[no-untyped-call]
