"""Fuzzers of all that reads what others wrote: `make fuzz`, or `python -m fuzz --help`. See CONTRIBUTING.md."""
