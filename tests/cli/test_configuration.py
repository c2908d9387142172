"""Where options get their values from, and that a file found upwards decides nothing that could surprise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dtrace_profiler.cli import main
from dtrace_profiler.cli.commands import cli as group
from dtrace_profiler.cli.configuration import IN_ENVIRONMENT, IN_FILES, ConfiguredCommand, key_of, variable_of

CONFIGURED = {name: command for name, command in group.commands.items() if getattr(command, "keys", None)}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is one below the project's."""
    for name in list(os.environ):
        if name.startswith("DTRACE_PROFILER_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "project" / "below"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder.parent


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[str, str]]:
    """Key → value and origin, as `--show-config` prints them."""
    assert main(list(arguments)) == 0
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    out = {}
    for key, rest in rows:
        value, _, origin = rest.partition("  ")
        out[key] = (value, origin.strip())
    return out


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "pyproject.toml"
    file.write_text(
        '[tool.dtrace-profiler]\nfrequency = 11\ndepth = 12\nduration = "2m"\nkernel = true\nglue = true\n'
        "[tool.dtrace-profiler.run]\nkernel = false\npython = false\n"
    )
    monkeypatch.setenv("DTRACE_PROFILER_FREQUENCY", "22")
    monkeypatch.setenv("DTRACE_PROFILER_DEPTH", "23")
    monkeypatch.setenv("DTRACE_PROFILER_HOST", "")
    found = shown(capsys, "run", "--show-config", "-F", "33", "--native", "leaf")
    assert found["frequency"] == ("33", "command line")
    assert found["depth"] == ("23", "environment, DTRACE_PROFILER_DEPTH")
    assert found["duration"] == ("120", f"{file} [tool.dtrace-profiler]")
    assert found["kernel"] == ("false", f"{file} [tool.dtrace-profiler.run]")
    assert found["python"] == ("false", f"{file} [tool.dtrace-profiler.run]")
    assert found["glue"][0] == "true"
    assert found["host"] == ("127.0.0.1", "default"), "an empty variable is none"
    assert found["output"] == ("not set", "default")
    assert shown(capsys, "attach", "--show-config")["kernel"] == ("true", f"{file} [tool.dtrace-profiler]")


def test_what_is_shown_is_what_is_used(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text("[tool.dtrace-profiler]\nfrequency = 211\nkernel = true\n")
    assert main(["script", "--pid", "4711"]) == 0
    script = capsys.readouterr().out
    assert "profile-211" in script
    monkeypatch.setenv("DTRACE_PROFILER_FREQUENCY", "307")
    assert main(["script", "--pid", "4711"]) == 0
    assert "profile-307" in capsys.readouterr().out
    assert main(["script", "--pid", "4711", "-F", "401"]) == 0
    assert "profile-401" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("frequenzy = 9", "[tool.dtrace-profiler] frequenzy is no setting: what is like it is frequency."),
        ('host = "0.0.0.0"', "[tool.dtrace-profiler] host can't be set in a file"),
        ("quiet = true", "[tool.dtrace-profiler] quiet can't be set in a file"),
        ('kernel = "yes"', "[tool.dtrace-profiler] kernel must be true or false, not 'yes'."),
        ("frequency = true", "[tool.dtrace-profiler] frequency must be a whole number, not True."),
        ("frequency = 5000", "frequency can't be used: 5000 is out of range: 1 to 4999 Hz."),
        ("duration = []", "duration must be a number of seconds or a text like '500ms', not []."),
        ('duration = "soon"', "duration can't be used: 'soon' is no duration above 0"),
        ('engine = "perf"', "engine can't be used: 'perf' is not one of"),
        ("native = 1", "native must be one of 'none', 'leaf', 'full', not 1."),
        ("run = 1", "run is a command: its settings are a table, [tool.dtrace-profiler.run]."),
        ("[tool.dtrace-profiler.attach]\nfrequency = 0", "[tool.dtrace-profiler.attach] frequency can't be used"),
        ('[tool.dtrace-profiler.run]\noutput = "/etc/passwd"', "[tool.dtrace-profiler.run] output is no setting"),
        ("[tool.dtrace-profiler.rum]\nkernel = true", "[tool.dtrace-profiler] rum is no setting: what is like it is"),
        ("[tool", "is no TOML: "),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_with_file_and_key(
    project: Path, text: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text(f"[tool.dtrace-profiler]\n{text}\n")
    assert main(["run", "--", "true"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"dtrace-profiler: {project / 'pyproject.toml'}")
    assert sentence in said
    # Help must not fail for it, nor what has no settings.
    assert main(["run", "--help"]) == 0
    assert main(["completion", "bash"]) == 0


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("FREQUENCY", "fast", "DTRACE_PROFILER_FREQUENCY in the environment can't be used: 'fast' is not a whole"),
        ("KERNEL", "perhaps", "DTRACE_PROFILER_KERNEL in the environment can't be used: 'perhaps' is not a valid"),
        ("PORT", "-1", "DTRACE_PROFILER_PORT in the environment can't be used: -1 is not in the range"),
        ("CONFIG", "nowhere.toml", "nowhere.toml, named by DTRACE_PROFILER_CONFIG, is no file."),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"DTRACE_PROFILER_{name}", value)
    assert main(["run", "--", "true"]) == 2
    assert sentence in capsys.readouterr().err


def test_the_nearest_file_with_our_table_counts(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text("[tool.dtrace-profiler]\nfrequency = 11\n")
    near = project / "below" / "pyproject.toml"
    for other in (
        '[project]\nname = "x"\n',
        "no [ toml, and none of ours",
        '[project]\nrequires = ["dtrace-profiler"]',
    ):
        near.write_text(other)
        assert shown(capsys, "run", "--show-config")["frequency"][0] == "11"
    near.write_text("[tool.dtrace-profiler]\ndepth = 5\n")
    found = shown(capsys, "run", "--show-config")
    assert (found["frequency"], found["depth"][0]) == (("99", "default"), "5")
    elsewhere = project / "settings.toml"
    elsewhere.write_text("[tool.dtrace-profiler]\nfrequency = 77\n")
    monkeypatch.setenv("DTRACE_PROFILER_CONFIG", str(elsewhere))
    assert shown(capsys, "run", "--show-config")["frequency"] == ("77", f"{elsewhere} [tool.dtrace-profiler]")
    monkeypatch.setenv("DTRACE_PROFILER_CONFIG", "none")
    assert shown(capsys, "run", "--show-config")["depth"] == ("128", "default")


def test_a_pipe_or_a_file_without_end_in_place_of_the_file_holds_up_nobody(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(project / "below" / "pyproject.toml")
    with open(project / "pyproject.toml", "wb") as file:
        file.write(b"[tool.dtrace-profiler]\nfrequency = 11\n#")
        file.truncate(1 << 33)
    assert shown(capsys, "run", "--show-config")["frequency"] == ("99", "default")


def test_a_file_says_only_how_finely_and_how_long_is_sampled() -> None:
    """Each option of these commands is thought of: one that is new is not in files until somebody says so here."""
    harmless = {
        *("frequency", "engine", "depth", "kernel", "all-children", "native", "python", "glue", "classic"),
        *("duration", "keep", "refresh", "no-browser"),
    }
    assert set(IN_FILES) == harmless
    assert set(IN_ENVIRONMENT) == harmless | {"quiet", "live", "tui", "host", "port"}
    assert set(CONFIGURED) == {"run", "attach", "script", "top", "view"}
    for command in CONFIGURED.values():
        assert isinstance(command, ConfiguredCommand)
        for option in command.params:
            if isinstance(option, click.Option) and key_of(option) not in IN_ENVIRONMENT:
                assert option.envvar is None


def test_settings_reach_no_answer_for_scripts(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `query`, `stat` and `convert` say does not depend on the folder."""
    (project / "pyproject.toml").write_text("[tool.dtrace-profiler]\nnonsense = 1\n")
    Path("x.folded").write_text("a 1\n")
    for arguments in (["query", "functions", "x.folded"], ["stat", "x.folded"], ["convert", "x.folded", "-o", "-"]):
        assert main(arguments) == 0, capsys.readouterr().err


def test_a_program_that_is_profiled_keeps_its_own_help_option(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.dtrace-profiler]\nnonsense = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "dtrace_profiler", "run", "--", "true", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "nonsense is no setting" in done.stderr


def test_the_document_lists_each_setting() -> None:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for key in IN_ENVIRONMENT:
        assert f"`{key}`" in text
        assert variable_of(key).startswith("DTRACE_PROFILER_")
