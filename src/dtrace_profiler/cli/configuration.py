"""Where options get their values from: pyproject.toml, then the environment, then the command line; the last wins.

click does the work: the file's values are its `default_map`, a variable an option's `envvar`. Here it is said which
options have settings, and values are looked at before, so that an error names the file and the key, or the variable.

A pyproject.toml is found upwards from where one happens to be, and may be somebody else's. So it holds only what says
how finely and how long is sampled: nothing that starts a program, names a file, opens a port, takes the terminal,
waits for somebody, or hides what is said. docs/configuration.md has the list and the reasons.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource

from dtrace_profiler.cli.parameters import Duration, Number
from dtrace_profiler.cli.settings_file import TABLE, SettingsFile, find_settings, printable
from dtrace_profiler.errors import UsageError

PREFIX = "DTRACE_PROFILER_"
IN_FILES = frozenset(
    "frequency engine depth kernel all-children native python glue classic duration keep refresh no-browser".split()
)
IN_ENVIRONMENT = IN_FILES | frozenset("quiet live tui host port".split())
"""What the person who types decides, and no folder."""

_Keys = Mapping[str, click.Option]


class ConfiguredCommand(click.Command):
    """A command some of whose options have settings; it has `--show-config` then. Others are as they were."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.keys: _Keys = {
            key: option
            for option in self.params
            if isinstance(option, click.Option) and (key := key_of(option)) in IN_ENVIRONMENT
        }
        for key, option in self.keys.items():
            option.envvar = variable_of(key)
        if self.keys:
            self.params.append(
                click.Option(
                    ["--show-config"],
                    is_flag=True,
                    expose_value=False,
                    help="Print the value of each option and where it comes from, and end.",
                )
            )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self.keys and not ctx.resilient_parsing:
            given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
            help_option = self.get_help_option(ctx)
            if help_option is None or help_option.name not in given:
                file = find_settings(os.environ)
                origins = self._take_settings(ctx, file)
                if "show_config" in given:
                    click.echo("\n".join(self._effective(ctx, args, origins)))
                    ctx.exit()
        return super().parse_args(ctx, args)

    def _take_settings(self, ctx: click.Context, file: SettingsFile | None) -> Mapping[str, str]:
        """Makes them the defaults of this command. Returns key → where its value stands, for those of the file."""
        for key, option in self.keys.items():
            name = variable_of(key)
            if text := os.environ.get(name, ""):
                _check(option, text, f"{name} in the environment", ctx, typed=True)
        if file is None:
            return {}
        check_file(file, _configured(ctx.find_root().command), ctx)
        values, origins = {}, {}
        for table, place in ((file.table, TABLE), (file.table.get(str(self.name), {}), f"{TABLE}.{self.name}")):
            for key, value in table.items():
                if key in self.keys:
                    values[str(self.keys[key].name)] = value
                    origins[key] = f"{printable(file.path)} [{place}]"
        ctx.default_map = values
        return origins

    def _effective(self, ctx: click.Context, args: list[str], origins: Mapping[str, str]) -> Iterator[str]:
        """A line an option: its value, and where that comes from."""
        params = []
        for parameter in self.params:
            optional = copy.copy(parameter)
            optional.required = False
            params.append(optional)
        command = click.Command(self.name, context_settings=self.context_settings, params=params)
        asked = command.make_context(str(self.name), list(args), parent=ctx.parent, default_map=ctx.default_map)
        rows = []
        for option in params:
            if isinstance(option, click.Option) and option.expose_value:
                key = key_of(option)
                source = asked.get_parameter_source(str(option.name))
                rows.append((key, _written(asked.params[str(option.name)]), _origin(key, source, origins)))
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for key, value, origin in rows:
            yield f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}"


def key_of(option: click.Option) -> str:
    """An option's name in a file: its long one without the dashes."""
    return next((name for name in option.opts if name.startswith("--")), option.opts[0]).lstrip("-")


def variable_of(key: str) -> str:
    return PREFIX + key.replace("-", "_").upper()


def check_file(file: SettingsFile, commands: Mapping[str, _Keys], ctx: click.Context) -> None:
    """Raises `UsageError` for the first thing in a file that is not known, not allowed there, or of a wrong type."""
    everything = {key: option for keys in commands.values() for key, option in keys.items()}
    for key, value in file.table.items():
        place = f"{printable(file.path)}: [{TABLE}]"
        if key in commands:
            if not isinstance(value, dict):
                raise UsageError(f"{place} {printable(key)} is a command: its settings are a table, [{TABLE}.{key}].")
            for own, setting in value.items():
                _check_key(own, setting, commands[key], f"{printable(file.path)}: [{TABLE}.{key}]", ctx)
        else:
            _check_key(key, value, everything, place, ctx, tables=commands)


def _check_key(
    key: str, value: object, keys: _Keys, place: str, ctx: click.Context, tables: Mapping[str, _Keys] | None = None
) -> None:
    if key in keys and key not in IN_FILES:
        raise UsageError(
            f"{place} {key} can't be set in a file: only who types the command decides it.",
            remedy=f"--{key}, or {variable_of(key)} in the environment",
        )
    if key not in keys:
        known = sorted({name for name in keys if name in IN_FILES} | set(tables or ()))
        from difflib import get_close_matches

        alike = get_close_matches(key, known, 1)
        what = f"what is like it is {alike[0]}" if alike else f"there are {', '.join(known)}"
        raise UsageError(f"{place} {printable(key)} is no setting: {what}.")
    _check(keys[key], value, f"{place} {key}", ctx)


def _check(option: click.Option, value: object, where: str, ctx: click.Context, *, typed: bool = False) -> None:
    """`typed`: as text, of whatever type the option is."""
    if not typed and not _is_of_type(option, value):
        raise UsageError(f"{where} must be {_type_words(option)}, not {printable(repr(value))}.")
    try:
        option.type_cast_value(ctx, value)
    except click.BadParameter as error:
        message = error.message.rstrip(".")
        raise UsageError(f"{where} can't be used: {message}.") from error


def _is_of_type(option: click.Option, value: object) -> bool:
    if option.is_flag:
        return isinstance(value, bool)
    if isinstance(option.type, Number):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(option.type, Duration):
        return isinstance(value, (int, float, str)) and not isinstance(value, bool)
    return isinstance(value, str)


def _type_words(option: click.Option) -> str:
    if option.is_flag:
        return "true or false"
    if isinstance(option.type, Number):
        return "a whole number"
    if isinstance(option.type, Duration):
        return "a number of seconds or a text like '500ms'"
    if isinstance(option.type, click.Choice):
        return f"one of {', '.join(repr(choice) for choice in option.type.choices)}"
    return "a text"


def _configured(group: click.Command) -> Mapping[str, _Keys]:
    """The commands that have settings in files."""
    commands = group.commands if isinstance(group, click.Group) else {}
    return {
        name: command.keys
        for name, command in commands.items()
        if isinstance(command, ConfiguredCommand) and IN_FILES & set(command.keys)
    }


def _origin(key: str, source: ParameterSource | None, origins: Mapping[str, str]) -> str:
    if source is ParameterSource.COMMANDLINE:
        return "command line"
    if source is ParameterSource.ENVIRONMENT:
        return f"environment, {variable_of(key)}"
    return origins.get(key, "default") if source is ParameterSource.DEFAULT_MAP else "default"


def _written(value: Any) -> str:
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return " ".join(printable(str(item)) for item in value)
    return f"{value:g}" if isinstance(value, float) else printable(str(value))
