"""`python`: each interpreter that is installed; tests of one that is not are skipped by name."""

from __future__ import annotations

import sys

import pytest
from cpython_targets import VERSIONS, interpreter


@pytest.fixture(params=VERSIONS)
def python(request: pytest.FixtureRequest) -> str:
    if sys.platform != "linux":
        pytest.skip("processes are looked at through procfs")
    path = interpreter(request.param)
    if path is None:
        pytest.skip(f"no CPython {request.param} here")
    return path
