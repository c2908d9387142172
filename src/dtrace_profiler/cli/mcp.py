"""`mcp`: the server of the Model Context Protocol, over stdin and stdout, until they are closed."""

from __future__ import annotations

from collections.abc import Sequence

from dtrace_profiler.errors import UsageError
from dtrace_profiler.mcp_server.readable import Readable


def serve(named: Sequence[str]) -> int:
    """Raises `UsageError` where the package is missing, or what is named is not there."""
    readable = Readable(named)
    try:
        from dtrace_profiler.mcp_server.server import make_server
    except ImportError as error:
        raise UsageError(
            "the MCP server needs the package mcp 2, which is not installed.",
            remedy="pip install 'dtrace-profiler[mcp]'",
        ) from error
    make_server(readable).run("stdio")
    return 0
