"""What the audio input tells of a voice beside its words."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import HOP_S, HOP_SAMPLES, AudioBlock, Pcm
from cvi.conversation.audio_input import AudioInput
from cvi.turns.thresholds import TurnThresholds


class Loud:
    """Voice is whatever is loud."""

    name = "loud"

    def probability(self, hop: Pcm) -> float:
        return float(np.abs(hop).max() > 50)

    def reset(self) -> None:
        return


def square(amplitude: int, seconds: float) -> Pcm:
    sound = np.full(round(seconds * 16_000), amplitude, np.int16)
    sound[1::2] *= -1
    return sound


def test_a_voice_over_a_reply_is_compared_with_its_own_loudest() -> None:
    audio = AudioInput(Loud(), TurnThresholds())
    fallen: list[tuple[float, float]] = []
    sound = np.concatenate([square(8000, 0.64), square(2000, 0.32)])
    for number in range(len(sound) // HOP_SAMPLES):
        pcm = sound[number * HOP_SAMPLES : (number + 1) * HOP_SAMPLES]
        hops = audio.push(AudioBlock(pcm, number * HOP_S))
        fallen += [(hop.end_s, audio.overlap_voice(0.0).fallen_db) for hop in hops]

    def at(time_s: float) -> float:
        return min(fallen, key=lambda one: abs(one[0] - time_s))[1]

    assert at(0.4) == pytest.approx(0.0, abs=0.1)
    assert at(0.8) == pytest.approx(12.04, abs=0.1)
