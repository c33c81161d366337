"""Shared by all tests."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

# Two tests run at a time on two cores: a second thread of a numeric library would only wait for the first.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture
def cvi_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def run_cvi(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., CompletedProcess[str]]:
    """`cvi WORD ...` in this process, for commands that end before an engine or a server starts."""

    def run(*words: object, home: Path | str | None = None) -> CompletedProcess[str]:
        from cvi.cli.app import main

        monkeypatch.setattr(sys, "argv", ["cvi", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        if home is not None:
            monkeypatch.setenv("CVI_HOME", str(home))
        mask, handlers = os.umask(0o077), list(logging.getLogger("cvi.media").handlers)
        capfd.readouterr()
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            os.umask(mask)
            logging.getLogger("cvi.media").handlers[:] = handlers
        return CompletedProcess(words, status, *capfd.readouterr())

    return run


@pytest.fixture(autouse=True)
def embedded_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands under test use what packages carry: nothing is downloaded because a machine could do better."""
    monkeypatch.setenv("CVI_PROFILE", "embedded")


@pytest.fixture
def no_melody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes' flat voices, which break off, would sound like no end of a turn: words and silence decide."""
    from cvi.turns.prosody import PhraseProsody

    monkeypatch.setattr(
        "cvi.turns.prosody.ProsodyTracker.phrase_end", lambda tracker, from_s, until_s: PhraseProsody()
    )
