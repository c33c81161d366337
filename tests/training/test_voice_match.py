"""Voices are compared by pitch and timbre, and the nearest installed one is found."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ
from cvi.errors import MissingError
from cvi.training.package.cloned_voice import VoicePrint, _spoken, nearest, print_of, voices_for


def buzz(pitch_hz: float, fall: float, seconds: float = 2.0) -> np.ndarray:
    t = np.arange(round(seconds * PLAYED_HZ)) / PLAYED_HZ
    phase = 2 * np.pi * pitch_hz * (t + 0.002 * np.sin(2 * np.pi * 3 * t) / 3)
    wave = sum(np.cos(k * phase) * k**-fall for k in range(1, int(6000 / pitch_hz)))
    return (wave / np.abs(wave).max() * 12000).astype(np.int16)


@pytest.mark.parametrize("pitch_hz", [85.0, 120.0, 210.0, 330.0])
def test_pitch_is_measured(pitch_hz: float) -> None:
    for fall in (0.6, 1.3):
        assert print_of(buzz(pitch_hz, fall)).pitch_hz == pytest.approx(pitch_hz, rel=0.03)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = (np.random.default_rng(0).standard_normal(PLAYED_HZ) * 3000).astype(np.int16)
    assert print_of(noise).pitch_hz == 0.0
    assert print_of(np.zeros(PLAYED_HZ, np.int16)).pitch_hz == 0.0
    assert print_of(np.zeros(0, np.int16)).pitch_hz == 0.0
    assert voices_for(np.zeros(PLAYED_HZ, np.int16)) == {}


def test_the_nearest_is_chosen_by_pitch_first_and_timbre_then() -> None:
    others = [
        (name, print_of(buzz(hz, fall)))
        for name, hz, fall in (("low", 100, 1.0), ("high", 200, 1.0), ("bright", 102, 0.5))
    ]
    assert nearest(print_of(buzz(195, 0.8)), others) == "high"
    assert nearest(print_of(buzz(104, 1.0)), others) == "low"
    assert nearest(print_of(buzz(104, 0.5)), others) == "bright"
    assert nearest(print_of(buzz(104, 0.5)), []) is None
    same = others[0][1]
    assert same.distance(same) == 0.0
    assert same.distance(VoicePrint(0.0, same.timbre)) == 0.0


async def test_each_installed_voice_is_most_like_itself() -> None:
    import asyncio

    try:
        sound = await _spoken("espeak", "en-us+m3")
    except MissingError as error:
        pytest.skip(f"espeak is not here: {error}")
    found = await asyncio.to_thread(voices_for, sound)
    assert found["espeak"] == "en-us+m3"
    if "flite" in found:
        assert found["flite"] in ("rms", "awb", "kal16")
