from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.symbols import demangle
from dtrace_profiler.symbols.demangle import demangle_names

pytestmark = pytest.mark.posix

CPP = {
    "_ZNSt6vectorIiSaIiEE9push_backERKi": "std::vector<int, std::allocator<int> >::push_back",
    "_ZN3FooD1Ev": "Foo::~Foo",
    "_ZNK3FooplERKS_": "Foo::operator+",
    "_ZNKSt8functionIFvvEEclEv": "std::function<void ()>::operator()",
    "_ZN12_GLOBAL__N_13barEv": "(anonymous namespace)::bar",
    "_Z1fIiEvT_": "f<int>",
    "_Z3fooi.constprop.0": "foo",
    "_Z3fooi.cold": "foo",
    "_Z3fooi.part.0.isra.0": "foo",
    "_Z3fooi.llvm.1234567": "foo",
}
RUST = {
    "_ZN4core3fmt9Formatter9write_fmt17h0123456789abcdefE": "core::fmt::Formatter::write_fmt",
    "_RNvNtCs1234_7mycrate3foo3bar": "mycrate::foo::bar",
    "_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE": "std::rt::lang_start::{{closure}}",
}
PLAIN = {
    "main": "main",
    "": "",
    "fold.isra.0": "fold",
    "fold.constprop.1.cold": "fold",
    "memcpy@plt": "memcpy@plt",
    "version1.2": "version1.2",
    ".cold": ".cold",
    "_Z": "_Z",
    "_Zgarbage": "_Zgarbage",
    "py::f:/x.py": "py::f:/x.py",
    "0x1234": "0x1234",
}


@pytest.fixture(params=["multi_demangle", "c++filt"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "multi_demangle":
        pytest.importorskip("multi_demangle")
    else:
        if shutil.which("c++filt") is None:
            pytest.skip("c++filt is not installed")
        monkeypatch.setitem(sys.modules, "multi_demangle", None)
    monkeypatch.setattr(demangle, "_backend", None)
    monkeypatch.setattr(demangle, "_memo", {})
    return str(request.param)


def check(expected: dict[str, str]) -> None:
    assert dict(zip(expected, demangle_names(list(expected)), strict=True)) == expected
    assert demangle_names(list(expected)) == list(expected.values())  # from the memo


@pytest.mark.parametrize("expected", [CPP, PLAIN], ids=["cpp", "plain"])
def test_names(backend: str, expected: dict[str, str]) -> None:
    check(expected)


def test_rust(backend: str) -> None:
    if backend == "c++filt":
        # It leaves the punctuation of closures in place.
        check({name: text for name, text in RUST.items() if "closure" not in text})
    else:
        check(RUST)


def test_arguments(backend: str) -> None:
    names = ["_Z3fooi", "_Z3fooi.cold", "_ZNK3FooplERKS_", "main"]
    expected = ["foo(int)", "foo(int)", "Foo::operator+(Foo const&) const", "main"]
    assert demangle_names(names, arguments=True) == expected
    assert demangle_names(names)[0] == "foo"


def test_nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "multi_demangle", None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(demangle, "_backend", None)
    monkeypatch.setattr(demangle, "_memo", {})
    assert demangle_names(["_Z3fooi", "x.cold"]) == ["_Z3fooi", "x"]


def test_child_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "c++filt"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setitem(sys.modules, "multi_demangle", None)
    monkeypatch.setattr(shutil, "which", lambda _: str(broken))
    monkeypatch.setattr(demangle, "_backend", None)
    monkeypatch.setattr(demangle, "_memo", {})
    names = [f"_Z3foo{letter}" for letter in "bcdefhijlm"]
    assert demangle_names(names) == names


def test_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demangle, "_MAX_MEMO", 10)
    monkeypatch.setattr(demangle, "_memo", {})
    for number in range(5):
        names = [f"name{number}{i}" for i in range(4)]
        assert demangle_names(names) == names
        assert len(demangle._memo) <= 10
    many = [f"_Z{len(str(i)) + 1}f{i}v" for i in range(50)]
    assert demangle_names(many) == [f"f{i}" for i in range(50)]


@given(st.lists(st.text()))
def test_any_text(names: list[str]) -> None:
    out = demangle_names(names)
    assert len(out) == len(names)
    assert all(bool(short) == bool(name) for short, name in zip(out, names, strict=True))


FORK = """
import os, signal
from dtrace_profiler.symbols.demangle import demangle_names
names = [f"_ZN5space{4 + len(str(n))}name{n}Ev" for n in range(5000)]
assert demangle_names(names)[7] == "space::name7"
pid = os.fork()
if not pid:
    signal.alarm(20)
    print(*demangle_names(["_ZN3one5otherEv", "_ZN3two5otherEv"]), flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_names_too() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "one::other two::other\n"), done.stderr
