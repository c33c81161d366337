"""Fixtures of the conversation's tests."""

import pytest

from cvi.turns.prosody import PhraseProsody


@pytest.fixture(autouse=True)
def _no_melody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes' flat voices, which break off, would sound like no end of a turn: words and silence decide."""
    monkeypatch.setattr(
        "cvi.turns.prosody.ProsodyTracker.phrase_end", lambda tracker, from_s, until_s: PhraseProsody()
    )
