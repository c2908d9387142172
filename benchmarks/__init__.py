"""Benchmarks: each `bench_*.py` prints a table; `python -m benchmarks` runs all, `--smoke` in seconds."""
