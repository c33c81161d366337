"""Fixtures of the conversation's tests."""

import pytest


@pytest.fixture(autouse=True)
def _words_and_silence_alone(no_melody: None) -> None:
    """As `no_melody`, in every test of this folder."""
