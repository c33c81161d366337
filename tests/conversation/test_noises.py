"""Noises of a room over a reply do not end it. Real voice detector, virtual time."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.conversation.events import ReplyFinished, ReplyInterrupted
from cvi.conversation.settings import ConversationSettings
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script
from cvi.turns.base import VadSettings
from cvi.turns.silero import build as build_vad

STORY = "Once there was a keeper of a tower by the sea. She kept a log of every ship that ever passed by."
RNG = np.random.default_rng(7)


def seconds(length_s: float) -> np.ndarray:
    return np.arange(round(length_s * HEARD_HZ)) / HEARD_HZ


def slammed_door() -> Pcm:
    t = seconds(0.6)
    thud = np.sin(2 * np.pi * 70 * t) * np.exp(-t / 0.08) + RNG.normal(0, 0.6, len(t)) * np.exp(-t / 0.03)
    return (20000 * np.clip(thud, -1, 1)).astype(np.int16)


def typing() -> Pcm:
    t = seconds(4.0)
    sound = np.zeros(len(t))
    for at_s in np.cumsum(RNG.uniform(0.08, 0.22, 24)):
        click = seconds(0.02)
        start = round(at_s * HEARD_HZ)
        if start + len(click) < len(sound):
            sound[start : start + len(click)] += RNG.normal(0, 0.5, len(click)) * np.exp(-click / 0.004)
    return (9000 * np.clip(sound, -1, 1)).astype(np.int16)


def music() -> Pcm:
    """Chords of struck strings, two a second."""
    t = seconds(5.0)
    sound = np.zeros(len(t))
    for beat, root in enumerate((220.0, 174.6, 196.0, 164.8, 220.0, 261.6, 196.0, 146.8, 174.6, 220.0)):
        since = t - beat / 2
        struck = np.where(since > 0, np.exp(-np.maximum(since, 0) / 0.4), 0.0)
        sound += struck * sum(np.sin(2 * np.pi * root * ratio * t) for ratio in (1.0, 1.25, 1.5, 2.0)) / 4
    return (8000 * np.clip(sound, -1, 1)).astype(np.int16)


def fan() -> Pcm:
    return RNG.normal(0, 900, 5 * HEARD_HZ).astype(np.int16)


@pytest.mark.parametrize("noise", [slammed_door, typing, music, fan])
def test_a_noise_does_not_end_a_reply(noise) -> None:  # type: ignore[no-untyped-def]
    script = Script()
    script.user_sounds(1.0, noise())
    script.user_sounds(8.0, np.zeros(HEARD_HZ, np.int16))
    settings = ConversationSettings("script", "You are a test.", greeting=STORY)
    outcome = script.play(FakeLlm(), vad=build_vad(VadSettings()), settings=settings)
    assert not outcome.of(ReplyInterrupted)
    assert [event.text for event in outcome.of(ReplyFinished)] == [STORY]
