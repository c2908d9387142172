"""The server with the protocol's own client over stdio; and that it reads what it was told to read, and no more."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dtrace_profiler.cli import main
from dtrace_profiler.errors import InputError
from dtrace_profiler.mcp_server.readable import Readable

FOLDED = "main;parse;read 30\nmain;work 12\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "profiles" / "web"
    inside.mkdir(parents=True)
    (inside / "a.folded").write_text(FOLDED)
    (inside / "notes.md").write_text("x 1\n")
    (tmp_path / "secret.folded").write_text("password 1\n")
    (tmp_path / "named.folded").write_text("named 5\n")
    return tmp_path


def test_only_what_is_named_is_read(folder: Path) -> None:
    readable = Readable(["profiles", "named.folded"])
    assert readable.names() == ["named.folded", os.path.join("profiles", "web", "a.folded")]
    assert readable.profile("named.folded").total == 5
    assert readable.profile("profiles/web/a.folded").total == 42
    assert readable.profile(str(folder / "profiles/web/a.folded")).total == 42
    (folder / "profiles-too").mkdir()
    (folder / "profiles-too" / "c.folded").write_text("password 1\n")
    os.symlink(folder / "secret.folded", folder / "profiles" / "link.folded")
    os.symlink(folder, folder / "profiles" / "up")
    for name in (
        "secret.folded",
        "profiles/../secret.folded",
        "profiles/link.folded",
        "profiles/up/secret.folded",
        str(folder / "secret.folded"),
        "/proc/self/environ",
        "profiles",
        "profiles/nowhere.folded",
        "profiles-too/c.folded",
        "http://127.0.0.1:1/?key=x",
        "\0",
        "",
    ):
        with pytest.raises(InputError, match=r"none of the profiles that may be read|there are several"):
            readable.profile(name)


def test_a_file_that_has_changed_is_read_again(folder: Path) -> None:
    readable = Readable(["named.folded"])
    first = readable.profile("")
    assert readable.profile("named.folded") is first
    (folder / "named.folded").write_text("named 5\nmore 10\n")
    assert readable.profile("").total == 15


def test_an_address_is_named_without_its_key() -> None:
    assert Readable(["http://127.0.0.1:1/?key=sesame"]).names() == ["http://127.0.0.1:1/"]


def test_without_the_package_it_is_said_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "dtrace_profiler.mcp_server.server", raising=False)
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    assert main(["mcp", "named.folded"]) == 2
    assert "pip install 'dtrace-profiler[mcp]'" in capsys.readouterr().err


def test_the_protocols_own_client_gets_answers(folder: Path) -> None:
    mcp = pytest.importorskip("mcp", reason="needs the package mcp", exc_type=ImportError)
    import anyio

    async def ask() -> dict[str, Any]:
        parameters = mcp.StdioServerParameters(
            command=sys.executable, args=["-m", "dtrace_profiler", "mcp", "profiles"], cwd=str(folder)
        )
        out: dict[str, Any] = {}
        async with mcp.Client(mcp.stdio_client(parameters)) as client:
            out["tools"] = (await client.list_tools()).tools
            out["list"] = await client.call_tool("list_profiles", {})
            name = out["list"].structured_content["profiles"][0]
            for tool, arguments in {
                "profile_summary": {},
                "top_functions": {"limit": 1, "order": "total"},
                "function_callers": {"function": "parse"},
                "function_callees": {"function": "parse"},
                "function_lines": {"function": "parse"},
                "hot_paths": {"least_share": 0.5},
            }.items():
                out[tool] = await client.call_tool(tool, {"profile": name, **arguments})
            out["no times"] = await client.call_tool("time_ranges", {"profile": name})
            out["no thread"] = await client.call_tool(
                "top_functions", {"profile": name, "part": {"threads": ["nosuch"]}}
            )
            (folder / "profiles" / "b.folded").write_text("main;parse;read 90\nmain;work 12\n")
            out["differences"] = await client.call_tool(
                "profile_differences", {"before": name, "after": "profiles/b.folded"}
            )
            out["outside"] = await client.call_tool("profile_summary", {"profile": str(folder / "secret.folded")})
            out["wrong"] = await client.call_tool("top_functions", {"profile": name, "part": {"thread": "x"}})
        return out

    found = anyio.run(ask)
    assert len(found["tools"]) == 9
    assert all(tool.annotations.read_only_hint and tool.description for tool in found["tools"])
    assert found["list"].structured_content["profiles"] == [os.path.join("profiles", "web", "a.folded")]
    asked = {"profile_summary": "summary", "top_functions": "functions", "function_callers": "callers"}
    asked |= {"function_callees": "callees", "function_lines": "lines", "hot_paths": "hot-paths"}
    for tool, question in asked.items():
        assert not found[tool].is_error, found[tool].content
        answer = found[tool].structured_content
        assert (answer["query"], answer["version"], answer["profile"]["value"]) == (question, 1, 42)
    assert found["top_functions"].structured_content["rows"][0]["name"] == "main"
    assert found["top_functions"].structured_content["left_out"]["rows"] == 3
    changes = {row["function"]: row["change"] for row in found["differences"].structured_content["rows"]}
    assert changes["read"] == pytest.approx(90 / 102 - 30 / 42, abs=1e-5)
    for name, sentence in {
        "no times": "this profile has no times",
        "no thread": "no thread is 'nosuch'",
        "outside": "is none of the profiles that may be read",
        "wrong": "Extra inputs are not permitted",
    }.items():
        assert found[name].is_error
        assert sentence in found[name].content[0].text
        assert "password" not in found[name].content[0].text
