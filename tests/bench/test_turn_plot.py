"""The plot of a recording's turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvi.bench.layers.simulation import FloorMoment, SimulatedConversation
from cvi.bench.turn_plot import draw, plot_turns, prosody_frames
from cvi.conversation.events import (
    Event,
    TurnCommitted,
    TurnScored,
    UserPaused,
    UserResumed,
    UserStartedSpeaking,
)
from cvi.errors import UsageError
from cvi.turns.thresholds import TurnThresholds

LIMITS = TurnThresholds()
EVENTS: list[Event] = [
    UserStartedSpeaking(t=0.1, turn=1, at_s=0.05, overlap=False),
    UserPaused(t=1.1, turn=1, speech_end_s=1.0),
    TurnScored(t=1.2, turn=1, text="could you", completeness=0.2, signs={"words": -2.0}),
    UserResumed(t=1.6, turn=1, at_s=1.55),
    UserPaused(t=2.6, turn=1, speech_end_s=2.5),
    TurnScored(t=2.7, turn=1, text="could you tell me <b>", completeness=0.6, signs={"words": 2.0}),
    TurnCommitted(
        t=3.0, turn=1, reply=1, text="could you tell me", speech_start_s=0.05, speech_end_s=2.5, silence_ms=500,
        completeness=0.6, draft_hit=False,
    ),
]  # fmt: skip


def tone(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * 16_000)) / 16_000
    return (5000 * sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 5))).astype(np.int16)


def test_pitch_and_level_are_followed_through_the_recording() -> None:
    frames = prosody_frames(tone(2.0))
    assert len(frames) == pytest.approx(125, abs=2)
    pitched = [frame.pitch_st for frame in frames if frame.pitch_st is not None]
    assert 55 * 2 ** (np.median(pitched) / 12) == pytest.approx(150, rel=0.02)


@pytest.mark.parametrize("suffix", ["png", "html"])
def test_the_plot_is_written(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    output = tmp_path / f"turns.{suffix}"
    floor = [FloorMoment(0.032 * k, 0.5, speaking=k < 40) for k in range(90)]
    heard = SimulatedConversation(EVENTS, np.zeros(0, np.int16), floor)
    draw(tone(3.5), heard, LIMITS, output, title="a <recording>")
    stored = output.read_bytes()
    if suffix == "png":
        assert stored.startswith(b"\x89PNG")
    else:
        page = stored.decode()
        assert "could you tell me &lt;b&gt;" in page and "words" in page and "<b>" not in page


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no plot"):
        plot_turns(tmp_path / "a.wav", tmp_path / "a.txt", persona="guide", profile="embedded")
