"""Shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def cvi_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def embedded_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands under test use what packages carry: nothing is downloaded because a machine could do better."""
    monkeypatch.setenv("CVI_PROFILE", "embedded")
