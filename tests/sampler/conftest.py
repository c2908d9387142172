"""Interpreters to sample programs in: those of the machine, skipped by name where absent."""

from __future__ import annotations

import pytest
from sampled import VERSIONS, find_python


@pytest.fixture(params=VERSIONS)
def python(request: pytest.FixtureRequest) -> str:
    found = find_python(request.param)
    if found is None:
        pytest.skip(f"no Python {request.param} here")
    return found


@pytest.fixture
def newest_python() -> str:
    for version in reversed(VERSIONS):
        if not version.endswith("t") and (found := find_python(version)):
            return found
    pytest.skip("no Python outside a virtual environment here")
