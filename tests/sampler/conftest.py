"""Interpreters to sample programs in: those of the machine, skipped by name where absent."""

from __future__ import annotations

import pytest
from sampled import VERSIONS, find_python, interpreter


@pytest.fixture(params=["3.11", "3.15", "3.15t"])
def python(request: pytest.FixtureRequest) -> str:
    """The oldest, the newest, and a free-threaded one."""
    return interpreter(request.param)


@pytest.fixture(params=[version for version in VERSIONS if version != "3.15"])
def older_python(request: pytest.FixtureRequest) -> str:
    """Each but the one that `newest_python` is where all are there."""
    return interpreter(request.param)


@pytest.fixture
def newest_python() -> str:
    for version in reversed(VERSIONS):
        if not version.endswith("t") and (found := find_python(version)):
            return found
    pytest.skip("no Python outside a virtual environment here")
