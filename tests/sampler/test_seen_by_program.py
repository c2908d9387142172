"""A sampled program sees what it would have seen without us."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sampled import find_python, plain, run

from dtrace_profiler.errors import TargetError
from dtrace_profiler.model.options import Options
from dtrace_profiler.sampling.launch import prepare
from dtrace_profiler.sampling.target.core import SWITCH_INTERVAL_S

pytestmark = pytest.mark.posix

LOOK = """
import sys
early = sorted(sys.modules)
import os, json, threading, atexit, signal
print(json.dumps({
    "modules": early,
    "path": sys.path,
    "argv": sys.argv,
    "orig_argv": getattr(sys, "orig_argv", None),
    "flags": str(sys.flags),
    "environ": dict(os.environ),
    "main": sorted(vars(sys.modules["__main__"])),
    "file": globals().get("__file__"),
    "name": __name__,
    "package": __package__,
    "spec": repr(__spec__),
    "loader": getattr(__loader__, "__name__", type(__loader__).__name__),
    "cached": globals().get("__cached__"),
    "threads": [thread.name for thread in threading.enumerate()],
    "active": threading.active_count(),
    "hooks": [sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__],
    "tracing": [sys.gettrace(), sys.getprofile()],
    "importers": sorted(str(key) for key in sys.path_importer_cache),
    "meta_path": [getattr(finder, "__name__", repr(type(finder))) for finder in sys.meta_path],
    "mask": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])] if os.name == "posix" else [],
    "handlers": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
    "fd": os.open(os.devnull, os.O_RDONLY),
    "cwd": os.getcwd(),
}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "look.py").write_text(LOOK)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "__main__.py").write_text(LOOK)
    return tmp_path


WAYS = {
    "script": ["look.py", "a b", "it's", "-I"],
    "options": ["-X", "dev", "-O", "look.py"],
    "module": ["-m", "look", "x"],
    "package": ["-m", "package"],
    "code": ["-c", LOOK, "-m"],
    "folder": ["package"],
    "isolated script": ["-I", "look.py", "a"],
    "isolated code": ["-I", "-c", LOOK, "a"],
    "isolated, letters together": ["-Ic", LOOK, "a"],
    "isolated folder": ["-I", "package", "a"],
    "no environment": ["-E", "look.py"],
    "no environment, module": ["-E", "-m", "look", "y"],
    "no environment, package": ["-Em", "package"],
    "no environment, code": ["-E", "-c", LOOK],
    "no site": ["-S", "look.py"],
    "verbose tracing of memory": ["-X", "tracemalloc", "look.py"],
}


OS_MODULES = {
    "os",
    "os.path",
    "posixpath",
    "genericpath",
    "stat",
    "_stat",
    "_collections_abc",
    "abc",
    "_abc",
    "errno",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_program_sees_the_same(newest_python: str, folder: Path, way: str) -> None:
    sees_the_same(newest_python, folder, way)


def test_each_version_sees_the_same(older_python: str, folder: Path) -> None:
    for way in ("script", "isolated script", "isolated code", "no environment, module"):
        sees_the_same(older_python, folder, way)


def sees_the_same(python: str, folder: Path, way: str) -> None:
    command = [python, *WAYS[way]]
    status, out, err = plain(command, cwd=folder)
    done = run(command, cwd=folder)
    assert (done.status, done.err) == (status, err), way
    expected, found = (json.loads(without_addresses(text)) for text in (out, done.out))
    # Without `site` (-S) nothing has loaded os before the program; we have, to find our way.
    assert set(found["modules"]) - set(expected["modules"]) <= (OS_MODULES if "-S" in command else set()), way
    # Which folders were looked through is the import system's own business; ours is not among them.
    assert not [entry for entry in found.pop("importers") if "dtrace-profiler" in entry], way
    del expected["importers"]
    assert set(expected["modules"]) <= set(found["modules"]), way
    del expected["modules"], found["modules"]
    if "together" in way or way == "no environment, package":
        # -Ic has become -I -c.
        for seen in (expected, found):
            seen["orig_argv"] = "".join(seen["orig_argv"]).replace("-", "")
    assert found == expected, way
    assert done.processes, way


@pytest.mark.parametrize("value", ["", f"/nowhere{os.pathsep}/else"])
def test_the_users_own_pythonpath_stays(newest_python: str, folder: Path, value: str) -> None:
    environ = {**os.environ, "PYTHONPATH": value}
    command = [newest_python, "look.py"]
    _, out, _ = plain(command, cwd=folder, env=environ)
    done = run(command, cwd=folder, env=environ)
    expected, found = json.loads(out), json.loads(done.out)
    assert found["environ"] == expected["environ"]
    assert found["path"] == expected["path"]


def test_with_children_only_the_environment_differs(newest_python: str, folder: Path) -> None:
    command = [newest_python, "look.py"]
    _, out, _ = plain(command, cwd=folder)
    done = run(command, cwd=folder, children=True)
    expected, found = json.loads(out), json.loads(done.out)
    assert "dtrace-profiler-" in found["environ"].pop("PYTHONPATH")
    expected["environ"].pop("PYTHONPATH", None)
    assert found == expected


TRACES = """
import atexit, json, os, sys, traceback, warnings
list_of = lambda folder: sorted(int(n) for n in os.listdir(folder)) if os.path.isdir(folder) else []
print(json.dumps({
    "threads": len(list_of("/proc/self/task")),
    "stacks": len(sys._current_frames()),
    "atexit": atexit._ncallbacks(),
    "files": list_of("/proc/self/fd"),
    "switch interval": sys.getswitchinterval(),
    "frames": len(traceback.extract_stack()),
}))
"""


@pytest.mark.parametrize("options", [[], ["-E"]])
def test_what_a_program_can_see_of_us(newest_python: str, options: list[str]) -> None:
    """All of it: docs/decisions/0003-sampler-bootstrap.md tells the same."""
    command = [newest_python, *options, "-c", TRACES]
    expected, found = json.loads(plain(command)[1]), json.loads(run(command).out)
    assert found["stacks"] - expected["stacks"] in (0, 1)  # 0 while it begins
    assert found["threads"] - expected["threads"] == (1 if expected["threads"] else 0)
    assert found["atexit"] - expected["atexit"] == 1
    files = set(found["files"]) - set(expected["files"])
    assert len(files) == (1 if expected["files"] else 0)
    assert min(files, default=60) >= 60
    assert found["switch interval"] in (expected["switch interval"], pytest.approx(SWITCH_INTERVAL_S))
    assert (found["frames"] > expected["frames"]) == bool(options)


FAULTS = {
    "exception": "def f():\n    g()\ndef g():\n    raise ValueError('no')\nf()\n",
    "chained": "try:\n    1/0\nexcept Exception as e:\n    raise KeyError from e\n",
    "syntax": "def f(:\n",
    "exit text": "raise SystemExit('gone')\n",
    "import": "import no_such_module\n",
    "hook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__, a[2].tb_lineno)\n1/0\n",
    "atexit order": "import atexit\nfor n in range(3):\n    atexit.register(print, n)\nprint('end')\n",
    "atexit fault": "import atexit\natexit.register(lambda: 1/0)\n",
    "thread fault": "import threading\nt = threading.Thread(target=lambda: 1/0, name='t')\nt.start(); t.join()\n",
    "recursion": "def f(n):\n    f(n + 1)\ntry:\n    f(0)\nexcept RecursionError as e:\n    print(e)\n",
    "interrupt": "raise KeyboardInterrupt\n",
    "warning": "import warnings\nwarnings.warn('careful')\n",
    "group": "try:\n    1/0\nexcept Exception as e:\n    raise ExceptionGroup('two', [e, KeyError('k')]) from None\n",
}


WAYS_IN = ([], ["-E"])
"""Through the environment, and through a file of ours before the program's."""


def faults_read_the_same(python: str, folder: Path, options: list[str], words: list[str]) -> None:
    command = [python, *options, *words]
    found = run(command, cwd=folder)
    status, out, err = plain(command, cwd=folder)
    assert (found.status, found.out, without_addresses(found.err)) == (status, out, without_addresses(err)), options
    assert found.processes, options


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_read_the_same(newest_python: str, tmp_path: Path, fault: str) -> None:
    (tmp_path / "fault.py").write_text(FAULTS[fault])
    for options in WAYS_IN:
        faults_read_the_same(newest_python, tmp_path, options, ["fault.py"])


@pytest.mark.parametrize("fault", ["exception", "syntax", "exit text"])
def test_faults_of_code_and_modules_read_the_same(newest_python: str, tmp_path: Path, fault: str) -> None:
    (tmp_path / "fault.py").write_text(FAULTS[fault])
    for options in WAYS_IN:
        for words in (["-c", FAULTS[fault]], ["-m", "fault"]):
            faults_read_the_same(newest_python, tmp_path, options, words)


def test_faults_read_the_same_in_each_version(older_python: str, tmp_path: Path) -> None:
    for fault in ("exception", "syntax", "hook"):
        (tmp_path / "fault.py").write_text(FAULTS[fault])
        faults_read_the_same(older_python, tmp_path, ["-I"], ["fault.py"])
    faults_read_the_same(older_python, tmp_path, ["-I"], ["-c", FAULTS["exception"]])


def without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def test_files_that_are_not_there(newest_python: str, tmp_path: Path) -> None:
    for options in ([], ["-I"]):
        for words in (["missing.py"], ["-m", "missing"]):
            command = [newest_python, *options, *words]
            found = run(command, cwd=tmp_path)
            assert (found.status, found.out, found.err) == plain(command, cwd=tmp_path)


def test_standard_input_and_prompts(newest_python: str) -> None:
    for words in (["-"], []):
        found = run([newest_python, *words], stdin="print(__name__, 1 + 1)")
        assert (found.status, found.out, found.err) == (0, "__main__ 2\n", "")
        assert found.processes


def test_an_isolated_prompt_is_refused(newest_python: str) -> None:
    with pytest.raises(TargetError, match="standard input"):
        prepare([newest_python, "-I"], Options())


@pytest.fixture
def environment(newest_python: str, tmp_path: Path) -> Path:
    """A virtual environment with a site-packages of its own, nothing of ours in it."""
    subprocess.run([newest_python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, capture_output=True)
    return tmp_path / "venv"


def packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX layout of an environment")
def test_the_real_sitecustomize_still_runs(environment: Path, tmp_path: Path) -> None:
    (packages(environment) / "sitecustomize.py").write_text("import builtins; builtins.real = __file__, __name__\n")
    (packages(environment) / "usercustomize.py").write_text("")
    code = "import sys; print(real, sys.modules['sitecustomize'].__file__)"
    command = [environment / "bin" / "python", "-c", code]
    found = run(command)
    assert (found.status, found.out, found.err) == plain(command)
    assert str(environment) in found.out
    assert found.processes[0].executable == str(environment / "bin" / "python")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX layout of an environment")
def test_a_broken_sitecustomize_is_told_the_same(environment: Path) -> None:
    (packages(environment) / "sitecustomize.py").write_text("import no_such_module\n")
    command = [environment / "bin" / "python", "-c", "import sys; print('sitecustomize' in sys.modules)"]
    found = run(command)
    assert (found.status, found.out, found.err) == plain(command)
    (packages(environment) / "sitecustomize.py").write_text("1/0\n")
    found = run(command)
    assert (found.status, found.out, found.err) == plain(command)
    assert found.processes


@pytest.mark.skipif(sys.platform == "win32", reason="scripts with a first line")
@pytest.mark.parametrize("options", ["", " -I", " -Es"])
def test_console_scripts(environment: Path, options: str) -> None:
    tool = environment / "bin" / "tool"
    tool.write_text(f"#!{environment}/bin/python{options}\nimport sys\nprint(sys.argv, sys.flags.isolated)\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    found = run([tool, "a b"])
    assert (found.status, found.out, found.err) == plain([tool, "a b"])
    assert found.processes


@pytest.mark.skipif(shutil.which("sh") is None, reason="no sh here")
def test_through_a_shell(newest_python: str, folder: Path) -> None:
    for line in ("exec {} look.py 'a b'", "{} look.py; exit 7"):
        command: list[str | Path] = ["sh", "-c", line.format(newest_python)]
        status, out, err = plain(command, cwd=folder)
        found = run(command, cwd=folder)
        assert (found.status, found.err) == (status, err)
        assert json.loads(found.out)["argv"] == json.loads(out)["argv"]
        assert found.processes


@pytest.mark.skipif(shutil.which("sh") is None, reason="no sh here")
def test_no_python_at_all() -> None:
    done = run(["sh", "-c", "exit 5"])
    assert done.status == 5
    assert done.samples == []
    assert ["nothing was sampled" in note for note in done.notes] == [True]


def test_a_binary_that_is_no_python() -> None:
    if shutil.which("ls") is None:
        pytest.skip("no ls here")
    with pytest.raises(TargetError, match="sees only Python programs"):
        prepare(["ls"], Options())
    launch = prepare(["ls"], Options(children=True))
    launch.reader.finish()


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_a_python_too_old_is_not_disturbed(version: str) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    command: list[str | Path] = [python, "-c", "import os, sys; print(sys.path, 'PYTHONPATH' in os.environ)"]
    found = run(command)
    assert (found.status, found.out, found.err) == plain(command)
    assert found.samples == []
    assert len(found.notes) == 1
