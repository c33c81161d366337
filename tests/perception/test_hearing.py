"""Pitch, rate, pauses and manner of sounds whose truth is made."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, AudioBlock, to_int16
from cvi.audio.resample import resample
from cvi.perception.fusion import NO_MISMATCH, FaceTrackRecord, WordTimes, mismatch
from cvi.perception.hearing import Hearing, VoiceBaseline, VoiceSummary, describe_voice


def vowel(pitch_hz: float, seconds: float, level: float = 0.2) -> np.ndarray:
    t = np.arange(round(seconds * HEARD_HZ)) / HEARD_HZ
    sound = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 12))
    return level * np.asarray(sound) * np.minimum(1, np.minimum(t, seconds - t) / 0.02)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * HEARD_HZ))


def syllables(count: int, each_s: float, pitch_hz: float = 120.0) -> np.ndarray:
    return np.concatenate(
        [np.concatenate([vowel(pitch_hz, each_s - 0.06), silence(0.06)]) for _ in range(count)]
    )


def heard(*parts: np.ndarray) -> VoiceSummary:
    hearing, sound = Hearing(), to_int16(np.concatenate([*parts, silence(0.2)]))
    for at in range(0, len(sound) - 159, 160):
        hearing.hear(AudioBlock(sound[at : at + 160], at / HEARD_HZ))
    return hearing.between(0.0, len(sound) / HEARD_HZ)


@pytest.mark.parametrize("pitch_hz", [75.0, 120.0, 210.0, 400.0])
def test_pitch_is_within_three_per_cent_also_at_8_khz(pitch_hz: float) -> None:
    sound = vowel(pitch_hz, 1.0)
    assert heard(sound).pitch_hz == pytest.approx(pitch_hz, rel=0.03)
    telephone = resample(resample(to_int16(sound), 16_000, 8_000), 8_000, 16_000) / 32768
    assert heard(telephone).pitch_hz == pytest.approx(pitch_hz, rel=0.03)


def test_rate_and_pauses_are_counted() -> None:
    voice = heard(syllables(8, 0.2), silence(0.5), syllables(8, 0.2))
    assert voice.syllables == 16
    assert voice.syllables_per_s == pytest.approx(5.0, rel=0.1)
    assert voice.pauses == 1


def test_silence_and_noise_have_no_voice() -> None:
    assert heard(silence(2.0)) == VoiceSummary(noise_db=-100.0)
    noise = 0.05 * np.random.default_rng(1).normal(size=2 * HEARD_HZ)
    voice = heard(noise)
    assert voice.voiced_s < 0.1


def test_a_held_vowel_is_a_filled_pause_and_speech_is_none() -> None:
    assert heard(syllables(4, 0.2), vowel(118.0, 0.5), syllables(4, 0.2)).fillers == 1
    assert heard(syllables(12, 0.2)).fillers == 0


def test_a_second_voice_is_noticed_and_the_usual_one_is_not() -> None:
    """Four turns of one voice, which rises and falls; then one with another in it, and one with the first."""
    turns = [[syllables(6, 0.2, pitch)] for pitch in (115.0, 120.0, 125.0, 132.0)]
    turns.append([syllables(6, 0.2, 122.0), silence(0.6), syllables(6, 0.2, 240.0)])
    turns.append([syllables(6, 0.2, 118.0)])
    hearing, at_s, found = Hearing(), 0.0, []
    for turn in turns:
        sound = to_int16(np.concatenate([*turn, silence(0.6)]))
        for at in range(0, len(sound) - 159, 160):
            hearing.hear(AudioBlock(sound[at : at + 160], at_s + at / HEARD_HZ))
        span = (at_s, at_s + len(sound) / HEARD_HZ)
        found.append(hearing.between(*span))
        hearing.learn(*span)
        at_s = span[1]
    assert [voice.second_voice for voice in found] == [False] * 4 + [True, False]
    assert "A second voice is heard." in describe_voice([], found[4])


def test_manner_is_against_this_persons_own_voice() -> None:
    slow_talker, fast_talker = VoiceBaseline(), VoiceBaseline()
    for _ in range(3):
        slow_talker.learn(
            VoiceSummary(voiced_s=2.0, syllables=10, syllables_per_s=3.0, pitch_range=6.0, level_db=-25)
        )
        fast_talker.learn(
            VoiceSummary(voiced_s=2.0, syllables=20, syllables_per_s=6.0, pitch_range=6.0, level_db=-25)
        )
    now = VoiceSummary(voiced_s=2.0, syllables=15, syllables_per_s=4.4, pitch_range=6.0, level_db=-25)
    assert slow_talker.manner(now) == ["rushed"]
    assert fast_talker.manner(now) == ["slow"]
    flat = VoiceSummary(voiced_s=2.0, syllables=15, syllables_per_s=3.1, pitch_range=2.0, level_db=-32)
    assert slow_talker.manner(flat) == ["flat", "quiet"]
    assert describe_voice(["flat", "quiet"], flat) == "Their voice sounds flat and quiet."
    assert "noisy" in describe_voice([], VoiceSummary(noise_db=-30.0))


def test_a_dull_voice_beside_good_words_is_a_mismatch() -> None:
    words, faces = WordTimes(), FaceTrackRecord()
    found = mismatch("I'm fine.", words, faces, (0.0, 2.0), ["slow", "flat"])
    assert "slow and flat" in found.text and found.doubt == "sound"
    assert mismatch("I'm fine.", words, faces, (0.0, 2.0), ["slow"]) == NO_MISMATCH
    assert mismatch("I'm not fine.", words, faces, (0.0, 2.0), ["slow", "flat"]) == NO_MISMATCH
