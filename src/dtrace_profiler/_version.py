"""The version's one place: the build, `--version` and recordings read it here."""

__version__ = "0.1.0"
