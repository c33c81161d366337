"""Borders that break on purpose, for the test of the harness itself."""

from __future__ import annotations

import os
import random
import threading

from harness import Border, plain

MAKES_IT_BREAK = b"break"


def _make(rng: random.Random) -> bytes:
    return MAKES_IT_BREAK if rng.random() < 0.3 else b"good"


def _sticks(data: bytes) -> None:
    if data == MAKES_IT_BREAK:
        threading.Event().wait()
    threading.Event().wait(0.01)


def _dies(data: bytes) -> None:
    if data == MAKES_IT_BREAK:
        os._exit(3)
    threading.Event().wait(0.01)


BORDERS = {
    "sticks": Border("sticks", _make, lambda folder: plain(_sticks)),
    "dies": Border("dies", _make, lambda folder: plain(_dies)),
}
