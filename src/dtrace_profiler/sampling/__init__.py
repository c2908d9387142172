"""The embedded sampler: Python stacks of this process, or of a program that we start, without DTrace.

`core.py`, `wire.py` and one file of `platforms/cpu_clocks` also run inside programs that know nothing of us: they
import only the standard library, and keep to the syntax of Python 3.8.
"""
