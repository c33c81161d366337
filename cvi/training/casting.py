"""Every installed voice, heard once, against a person's: which to speak with, by engine."""

from __future__ import annotations

import asyncio

import numpy as np

from cvi.audio.block import Pcm
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.training.voice import VoicePrint, nearest, print_of
from cvi.tts.base import TtsSettings

# Engines whose voices can be heard without a network or a pull; espeak's are variants of one.
CANDIDATES: dict[str, tuple[str, ...]] = {
    "flite": ("slt", "rms", "awb", "kal16"),
    "espeak": tuple(f"en-us+{kind}{n}" for kind, most in (("m", 7), ("f", 5)) for n in range(1, most + 1)),
}
_SAYS = "The early morning sun shone over the quiet harbour, and nobody was in a hurry to leave."


def voices_for(pcm: Pcm) -> dict[str, str]:
    """Engine -> voice for somebody who sounds like `pcm` (int16, PLAYED_HZ). Engines that are not installed
    are left out."""
    wanted = print_of(pcm)
    if wanted.pitch_hz == 0.0:
        return {}
    found: dict[str, str] = {}
    for engine, names in CANDIDATES.items():
        best = nearest(wanted, _prints(engine, names))
        if best is not None:
            found[engine] = best
    return found


def _prints(engine: str, names: tuple[str, ...]) -> list[tuple[str, VoicePrint]]:
    heard: list[tuple[str, VoicePrint]] = []
    for name in names:
        try:
            heard.append((name, print_of(asyncio.run(_said(engine, name)))))
        except CviError:
            continue  # this voice is not installed here
    return heard


async def _said(engine: str, voice: str) -> Pcm:
    speaker = build("tts", engine, TtsSettings(voice=voice))
    try:
        return np.concatenate([piece.pcm async for piece in speaker.speak(_SAYS)])
    finally:
        speaker.close()
