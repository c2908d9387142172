"""Notebooks: a real kernel that runs the magics, the saved notebook in a real browser with and without scripts, and
what is refused."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from page_browser import wait_for
from page_profiles import empty, forest, hostile

from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats import read_profile
from dtrace_profiler.integrations.notebook import Request, parse
from dtrace_profiler.integrations.notebook_display import as_text, mime_bundle
from dtrace_profiler.model.profile import Profile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CELLS = [
    "%load_ext dtrace_profiler",
    """import time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(500))""",
    "%%flamegraph -F 499 --engine sampler --store kept -o out.folded\nburn(1.5)\n6 * 7",
    "%flamegraph --engine sampler -F 499 --whole burn(0.1); {1: 2}['none']",
    "kept",
    "%%flamegraph\nimport asyncio\nawait asyncio.sleep(0)",
    "%flamegraph -F fast burn(1)",
]
RUN = """
import json, sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in json.loads(sys.argv[1])])
messages = []

class Client(NotebookClient):
    def process_message(self, message, cell, index):
        if "display_data" in message["msg_type"]:
            messages.append([index, message["msg_type"], sorted(message["content"]["data"])])
        return super().process_message(message, cell, index)

Client(notebook, kernel_name="python3", timeout=60, allow_errors=True).execute()
nbformat.write(notebook, "saved.ipynb")
json.dump(messages, open("messages.json", "w"))
"""


class Saved:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells: list[Any] = json.loads((folder / "saved.ipynb").read_text())["cells"]
        self.messages: list[Any] = json.loads((folder / "messages.json").read_text())

    def outputs(self, index: int) -> dict[str, Any]:
        """By type; the last of each. Texts are kept as lists of lines."""
        outputs = {output["output_type"]: output for output in self.cells[index]["outputs"]}
        for output in outputs.values():
            if "data" in output:
                output["data"] = {kind: "".join(text) for kind, text in output["data"].items()}
        return outputs

    def html(self, index: int) -> str:
        return str(self.outputs(index)["display_data"]["data"]["text/html"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """What a real kernel has made of `CELLS`."""
    for module in ("nbclient", "ipykernel"):
        pytest.importorskip(module, reason=f"needs {module}")
    folder = tmp_path_factory.mktemp("notebook")
    environment = {
        **os.environ,
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    program = [sys.executable, "-c", RUN, json.dumps(CELLS)]
    subprocess.run(program, cwd=folder, env=environment, check=True, timeout=120)
    return Saved(folder)


def test_a_cell_has_its_value_its_flame_graph_its_file_and_its_variable(saved: Saved) -> None:
    outputs = saved.outputs(2)
    assert outputs["execute_result"]["data"]["text/plain"] == "42"
    text = outputs["display_data"]["data"]["text/plain"]
    assert "embedded sampler at 499 Hz" in text
    assert "burn  __main__" in text
    assert "written: out.folded" in "".join(outputs["stream"]["text"])
    profile = read_profile(saved.folder / "out.folded")
    roots = {
        profile.frames[frame].function_name
        for parent, frame in zip(profile.parent, profile.frame, strict=True)
        if parent < 0
    }
    assert "<module>" in roots
    assert "BaseEventLoop.run_forever" not in roots
    assert saved.outputs(4)["execute_result"]["data"]["text/html"] == outputs["display_data"]["data"]["text/html"]


def test_a_picture_is_renewed_while_the_cell_runs_and_gives_place_to_the_page(saved: Saved) -> None:
    kinds = [kind for index, kind, types in saved.messages if index == 2]
    assert kinds[0] == "display_data"
    assert set(kinds[1:]) == {"update_display_data"}
    assert all(types == ["text/html", "text/plain"] for _, _, types in saved.messages)
    assert sum(output["output_type"] == "display_data" for output in saved.cells[2]["outputs"]) == 1
    assert "<iframe" in saved.html(2)
    assert "while the cell runs" not in saved.html(2)


def test_a_statement_that_raises_fails_the_cell_and_has_its_flame_graph(saved: Saved) -> None:
    outputs = saved.outputs(3)
    assert outputs["error"]["ename"] == "KeyError"
    assert "burn" in outputs["display_data"]["data"]["text/plain"]
    assert not any("notebook.py" in line for line in outputs["error"]["traceback"])


@pytest.mark.parametrize(("index", "says"), [(5, "awaits at the top level"), (6, "whole number, not 'fast'")])
def test_what_can_not_be_run_is_one_sentence(saved: Saved, index: int, says: str) -> None:
    error = saved.outputs(index).get("error")
    text = str(error["evalue"]) if error else str(saved.outputs(index)["stream"]["text"])
    assert says in text
    assert "Traceback" not in text


@pytest.fixture
def browser(chromium_path: str) -> Iterator[Browser]:
    """Closed at the test's end: there can be one Playwright at a time, and the tests of the page keep theirs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.mark.browser
def test_the_saved_notebook_shows_the_page_and_without_scripts_the_picture(
    saved: Saved, browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{saved.html(2)}")
    for scripts in (True, False):
        context = browser.new_context(java_script_enabled=scripts, viewport={"width": 1200, "height": 800})
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        page.on(
            "request", lambda request, wrong=wrong: wrong.append(request.url) if is_foreign(request.url) else None
        )
        page.goto(path.as_uri())
        assert page.locator("iframe.dtrace-profiler").is_visible() is scripts
        page.wait_for_function("document.images[0].complete")
        assert page.locator("img").evaluate("image => image.naturalWidth") == 1000
        if scripts:
            check_page(page)
        assert wrong == []
        context.close()


def check_page(page: Page) -> None:
    frame = page.frames[1]
    wait_for(frame, "window.dtraceProfiler?.firstDraw > 0")  # type: ignore[arg-type]
    assert "burn" in frame.locator("body").inner_text()
    # What is in the frame can't reach the notebook.
    assert frame.evaluate("origin") == "null"
    assert page.evaluate("document.querySelector('iframe').contentDocument") is None


def is_foreign(url: str) -> bool:
    return not url.startswith(("file:", "data:image/svg+xml", "about:srcdoc"))


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("profile", [hostile(), empty()], ids=["hostile", "empty"])
def test_names_are_text_and_the_frame_is_closed(profile: Profile) -> None:
    tags = Tags(mime_bundle(profile)["text/html"]).found
    assert [tag for tag, _ in tags] == ["div", "div", "img", "noscript", "style", "iframe"]
    frame = tags[-1][1]
    assert frame["sandbox"] == "allow-scripts"
    assert "Content-Security-Policy" in (frame["srcdoc"] or "")
    picture = base64.b64decode((tags[2][1]["src"] or "").partition(",")[2]).decode()
    assert "<script" not in picture
    assert "onerror='" not in re.sub(r"&lt;.*?&gt;", "", picture)
    assert all(character.isprintable() or character == "\n" for character in as_text(profile))


def test_a_page_that_is_too_large_is_left_out_and_that_is_said() -> None:
    text = mime_bundle(forest(3_000), most_page_bytes=100_000)["text/html"]
    assert [tag for tag, _ in Tags(text).found] == ["div", "img", "p", "code"]
    assert "too much for a notebook" in text
    assert len(text) < 600_000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("burn(1)", (Request(), "burn(1)")),
        ("-F 499 --engine=sampler f('-F')", (Request(frequency=499, engine="sampler"), "f('-F')")),
        ("-o 'a b.html' --whole  x = {1: 2}", (Request(output="a b.html", whole=True), "x = {1: 2}")),
        ("--store p --no-live --kernel", (Request(store="p", no_live=True, kernel=True), "")),
        ("--depth 5 -1", (Request(depth=5), "-1")),
        ("--depth", None),
        ("--depth x f()", None),
        ("--store 1p f()", None),
        ("-o x.tachyon f()", None),
        ("--frequence 3 f()", None),
    ],
)
def test_options_stand_before_the_statement(line: str, expected: tuple[Request, str] | None) -> None:
    if expected is not None:
        assert parse(line) == expected
        return
    with pytest.raises(UsageError, match=r"^[^\n]+\.$|do, or say"):
        parse(line)


def test_in_a_terminal_there_is_a_table_once() -> None:
    pytest.importorskip("IPython", reason="needs IPython")
    lines = "%load_ext dtrace_profiler\n%flamegraph --engine sampler -F 499 sum(x for x in range(9_000_000))"
    command = [sys.executable, "-m", "IPython", "--quick", "--no-banner", "--colors=NoColor", "-c", lines]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.stdout.count("embedded sampler at 499 Hz") == 1, answer.stderr
    assert "python  <genexpr>  __main__" in answer.stdout
    assert "<div" not in answer.stdout
