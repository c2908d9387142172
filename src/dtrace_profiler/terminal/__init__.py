"""The flame graph in a terminal, while the program runs or of a file: see docs/terminal.md.

`growth` follows a profile that grows, `layout` puts it into cells, `app` and the widgets show it. Only these last
need Textual, which is the extra `dtrace-profiler[tui]`.
"""
