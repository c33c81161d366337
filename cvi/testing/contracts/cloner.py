"""What everything that clones voices must do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.testing.contracts.tts import check_tts
from cvi.tts.base import TtsEngine
from cvi.tts.cloning import VoiceCloner

SECONDS = 6.0


async def check_cloner(cloner: VoiceCloner, speaker: Callable[[Path], TtsEngine], folder: Path) -> None:
    """Raise `AssertionError` unless `cloner` keeps the Protocol's promises, and the engine of its name speaks
    with what it makes.

    `speaker` builds that engine with a voice's file; files are written to `folder`. The cloner is left open.
    """
    low, high = _hummed(110.0), _hummed(220.0)
    voice = cloner.clone(low)
    assert voice, "the voice is empty"
    assert cloner.clone(low.copy()) == voice, "the same sound gave another voice"
    assert cloner.clone(high) != voice, "another sound gave the same voice"
    # Safetensors: eight bytes of length, then JSON. Anything that could be executed is none.
    length = int.from_bytes(voice[:8], "little")
    assert voice[8:9] == b"{" and 0 < length < len(voice), "the voice is no safetensors file"
    path = folder / "voice.safetensors"
    path.write_bytes(voice)
    engine = speaker(path)
    try:
        await check_tts(engine)
    finally:
        engine.close()


def _hummed(pitch_hz: float) -> Pcm:
    """Six seconds of a buzz with syllables in it."""
    t = np.arange(round(SECONDS * PLAYED_HZ)) / PLAYED_HZ
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 12))
    sound: Pcm = (6000 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 3.0 * t))).astype(np.int16)
    return sound
