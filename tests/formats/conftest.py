"""Goldens: `BLESS=1 pytest tests/formats` writes what came out as what is expected. Look at the difference."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[2].parent / "shared" / "dtrace-corpus"


@pytest.fixture
def golden() -> Callable[[Path, bytes], None]:
    """Compares with a file, or writes it."""

    def compare(path: Path, found: bytes) -> None:
        if os.environ.get("BLESS"):
            path.write_bytes(found)
        expected = path.read_bytes()
        assert found.decode(errors="replace") == expected.decode(errors="replace")
        assert found == expected

    return compare


@pytest.fixture(scope="session")
def corpus() -> Path:
    if not CORPUS.is_dir():
        pytest.skip("no corpus here")
    return CORPUS
