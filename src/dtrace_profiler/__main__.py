"""`python -m dtrace_profiler` is `dtrace-profiler`."""

import sys

from dtrace_profiler.cli import main

if __name__ == "__main__":
    sys.exit(main())
