"""Shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two tests run at a time on two cores: a second thread of a numeric library would only wait for the first.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture
def cvi_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def embedded_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands under test use what packages carry: nothing is downloaded because a machine could do better."""
    monkeypatch.setenv("CVI_PROFILE", "embedded")
