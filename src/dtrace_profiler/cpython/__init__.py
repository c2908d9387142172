"""What we know of CPython 3.11 to 3.15, by version: where its frames are, and what a code object says."""
