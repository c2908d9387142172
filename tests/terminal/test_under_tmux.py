"""The view on a real terminal: what tmux makes of what we send, and how we leave it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"),
    pytest.mark.slow,
]

PROGRAM = """
import sys, time
def busy(end):
    n = 0
    while time.process_time() < end:
        n += 1
    return n
def main():
    print("on", sys.stdout.isatty(), repr(sys.stdin.read()), flush=True)
    step = 0
    while True:
        step += 1
        busy(step * 0.1)
        print("step", step, file=sys.stderr if step % 2 else sys.stdout)
        if step == int(sys.argv[1]):
            break
main()
print("the program's last line")
sys.exit(3)
"""
WAIT_S = 60


class Pane:
    """A shell in tmux."""

    def __init__(self, socket: Path, folder: Path, width: int, height: int) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self.do("new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(folder), "sh")

    def do(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], capture_output=True, text=True, check=True, timeout=60).stdout

    def picture(self, *, styled: bool = False) -> str:
        return self.do("capture-pane", "-p", *(["-e"] if styled else []))

    def everything(self) -> str:
        return self.do("capture-pane", "-p", "-J", "-S", "-2000")

    def type(self, text: str) -> None:
        self.do("send-keys", "-l", text)

    def press(self, key: str) -> None:
        self.do("send-keys", key)

    def run(self, *words: object, before: str = "", **environ: str) -> None:
        """A command line of ours, `before` it, the terminal's settings before and after in files."""
        line = shlex.join([sys.executable, "-m", "dtrace_profiler", *map(str, words)])
        settings = "".join(f"{name}={shlex.quote(value)} " for name, value in environ.items())
        self.type(f"clear; stty -g > before; {before}{settings}{line}; echo STATUS=$?")
        self.type("; stty -g > after; echo OVER=yes")
        self.press("Enter")

    def until(self, what: str | Callable[[str], bool], *, all_of_it: bool = False) -> str:
        end = time.monotonic() + WAIT_S
        while True:
            picture = self.everything() if all_of_it else self.picture()
            if what in picture if isinstance(what, str) else what(picture):
                return picture
            assert time.monotonic() < end, picture
            time.sleep(0.05)

    def flag(self, name: str) -> str:
        return self.do("display-message", "-p", f"#{{{name}}}").strip()


@pytest.fixture
def pane(tmp_path: Path) -> Iterator[Pane]:
    shown = Pane(tmp_path / "tmux", tmp_path, 100, 30)
    (tmp_path / "program.py").write_text(PROGRAM)
    try:
        yield shown
    finally:
        shown.do("kill-server")


def left_as_it_was(pane: Pane, folder: Path) -> str:
    """What is on the terminal after all, which is in the state it was in before."""
    text = pane.until("\nOVER=yes", all_of_it=True)
    assert (folder / "before").read_text() == (folder / "after").read_text()
    for name in ("alternate_on", "mouse_any_flag", "mouse_button_flag", "mouse_all_flag", "keypad_flag"):
        assert pane.flag(name) == "0", name
    assert pane.flag("cursor_flag") == "1"
    assert pane.flag("wrap_flag") == "1"
    return text


def program(steps: int, *options: object) -> tuple[object, ...]:
    return ("run", "--engine", "sampler", "--tui", *options, "--", sys.executable, "program.py", steps)


def test_a_whole_life(pane: Pane, tmp_path: Path) -> None:
    pane.run(*program(30, "-o", "out.folded"))
    pane.until("busy")
    assert pane.flag("alternate_on") == "1"
    pane.type("/busy")
    pane.press("Enter")
    pane.until("(n p, Esc)")
    pane.type("o")
    pane.until("step 1")
    pane.type("o")
    pane.until("root first")
    assert "\x1b[" in pane.picture(styled=True)
    ended = pane.until("ended")
    assert "sampler 99 Hz" in ended
    pane.type("q")  # of a sheet that has only just gone, or of the view
    pane.type("q")
    text = left_as_it_was(pane, tmp_path)
    assert (tmp_path / "out.folded").exists()
    assert "on True ''" in text  # a terminal to print to, and nothing to read
    places = [text.index(f"step {step}\n") for step in range(1, 31)]
    assert places == sorted(places)
    assert text.index("the program's last line") < text.index("by the sampler at 99 Hz") < text.index("STATUS=3")


def test_ctrl_c_ends_the_profile_and_the_view(pane: Pane, tmp_path: Path) -> None:
    pane.run(*program(100_000, "-o", "out.folded"))
    pane.until("busy")
    pane.press("C-c")
    text = left_as_it_was(pane, tmp_path)
    assert "KeyboardInterrupt" in text
    assert "folded: out.folded" in text
    assert "STATUS=130" in text
    assert "busy" in (tmp_path / "out.folded").read_text()


def test_closing_the_view_leaves_the_program_alone(pane: Pane, tmp_path: Path) -> None:
    pane.run(*program(40, "-o", "out.folded"))
    pane.until("busy")
    pane.type("q")
    pane.until("(Ctrl-C ends)")
    text = left_as_it_was(pane, tmp_path)
    assert text.count("step ") == 40
    assert "STATUS=3" in text


def test_without_colours(pane: Pane, tmp_path: Path) -> None:
    pane.run(*program(30, "-o", "out.folded"), NO_COLOR="1")
    pane.until("busy")
    pane.type("/busy")
    pane.press("Enter")
    pane.until("(n p, Esc)")
    pane.type("n")
    pane.until(lambda picture: "self 9" in picture or "self 100" in picture)  # of the function that is selected
    picture = pane.picture(styled=True)
    sequences = {part.partition("m")[0] for part in picture.split("\x1b[")[1:]}
    codes = {code for sequence in sequences for code in sequence.split(";")}
    assert codes <= {"", "0", "1", "2", "4", "7", "22", "24", "27", "39", "49"}
    assert {"4", "7"} <= codes
    pane.press("C-c")
    left_as_it_was(pane, tmp_path)


def test_a_crash_of_the_view(pane: Pane, tmp_path: Path) -> None:
    """The profile goes on without it, and is written."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'dtrace_profiler' in ' '.join(sys.orig_argv):\n"
        "    from dtrace_profiler.terminal import graph\n"
        "    drawn = []\n"
        "    draw = graph.Graph.draw\n"
        "    def broken(*arguments):\n"
        "        drawn.append(1)\n"
        "        if len(drawn) > 8:\n"
        "            raise RuntimeError('broken on purpose')\n"
        "        return draw(*arguments)\n"
        "    graph.Graph.draw = broken\n"
    )
    pane.run(*program(60, "-o", "out.folded"), PYTHONPATH=str(tmp_path))
    pane.until("root first")
    text = left_as_it_was(pane, tmp_path)
    assert "broken on purpose" in text
    assert "the profile goes on without it" in text
    assert text.count("step ") == 60
    assert "STATUS=3" in text
    assert "busy" in (tmp_path / "out.folded").read_text()


def test_a_terminal_that_goes_away(pane: Pane, tmp_path: Path) -> None:
    """The window is closed: the program gets its signal, the profile is written, and we are gone."""
    pane.run(*program(100_000, "-o", "out.folded"))
    pane.until("busy")
    shell = int(pane.do("display-message", "-p", "#{pane_pid}"))
    ours = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    assert len(ours) == 1
    pane.do("new-session", "-d", "-s", "another")
    pane.do("kill-session", "-t", "0")
    end = time.monotonic() + WAIT_S
    while Path(f"/proc/{ours[0]}").exists():
        assert time.monotonic() < end, "still there"
        time.sleep(0.05)
    assert "busy" in (tmp_path / "out.folded").read_text()


def test_it_follows_the_terminals_size(pane: Pane, tmp_path: Path) -> None:
    pane.run(*program(100_000, "-o", "out.folded"))
    pane.until("busy")
    pane.do("resize-window", "-x", "40", "-y", "10")
    small = pane.until(lambda text: "root first" in text and "total" not in text.replace("matched", ""))
    assert len(small.splitlines()) <= 10
    assert "sampler 99 Hz" in small
    pane.do("resize-window", "-x", "120", "-y", "40")
    pane.until("functions")
    pane.press("C-c")
    left_as_it_was(pane, tmp_path)


@pytest.mark.dtrace
def test_with_dtrace(pane: Pane, tmp_path: Path) -> None:
    pane.run("run", "--engine", "dtrace", "--tui", "-o", "out.folded", "--", sys.executable, "program.py", 40)
    pane.until("busy")
    pane.until(lambda text: "ended" in text and "DTrace 99 Hz" in text)
    pane.type("q")
    text = left_as_it_was(pane, tmp_path)
    assert "STATUS=3" in text


@pytest.mark.dtrace
def test_attached_to_a_program(pane: Pane, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as target:
        try:
            pane.run("attach", target.pid, "--tui", "-o", "out.folded")
            pane.until("DTrace 99 Hz")
            pane.until("<module>")
            pane.type("q")  # ends it: there is nothing else to wait for
            text = left_as_it_was(pane, tmp_path)
        finally:
            target.kill()
    assert "folded: out.folded" in text
    assert "STATUS=0" in text


def test_a_file(pane: Pane, tmp_path: Path) -> None:
    (tmp_path / "a.folded").write_text("main;work 3\nmain;wait 1\n")
    pane.run("view", "--tui", "a.folded")
    pane.until("75.0%")
    pane.press("C-c")
    assert "STATUS=0" in left_as_it_was(pane, tmp_path)
    pane.run("view", "--tui", "-", before="cat a.folded | ")
    pane.until("75.0%")
    pane.type("q")
    left_as_it_was(pane, tmp_path)
