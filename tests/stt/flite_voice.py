"""Sentences spoken by flite, for tests of what listens."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, Pcm


def say(folder: Path, text: str, voice: str = "slt") -> Pcm:
    """16 kHz int16. Skips the test where flite is not installed."""
    flite = shutil.which("flite")
    if flite is None:
        pytest.skip("flite is not installed (apt-get install flite)")
    path = folder / "said.wav"
    subprocess.run([flite, "-voice", voice, "-t", text, "-o", str(path)], check=True)
    with wave.open(str(path)) as sound:
        assert sound.getframerate() == HEARD_HZ
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16)


def room(seconds: float, seed: int = 0) -> Pcm:
    """The faint noise of a quiet room."""
    return np.random.default_rng(seed).integers(-8, 9, round(seconds * HEARD_HZ)).astype(np.int16)
