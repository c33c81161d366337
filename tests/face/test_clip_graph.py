"""The way through a trained replica's film: what is asked is soon shown, and nothing is jumped to."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cvi.face.base import Activity, Controls, Cues
from cvi.face.behaviour import Behaviour
from cvi.face.neural.clip_graph import CLIP_ACTIVITIES, MOODS, ClipGraph, ClipPlayer, Mood, MoodTracker

FPS, LONG, BRIDGE, EVERY = 25.0, 100, 4, 20


def film_of(*kinds: tuple[str, Mood], joined: bool = True) -> tuple[ClipGraph, int]:
    """Clips of LONG frames, left every EVERY frames for every other; and how many frames the film has."""
    clips = [
        (k * LONG, (k + 1) * LONG, CLIP_ACTIVITIES.index(doing), MOODS.index(mood))
        for k, (doing, mood) in enumerate(kinds)
    ]
    end = len(kinds) * LONG
    jumps = []
    for first, stop, _, _ in clips:
        # The first clip turns without a bridge, the others with one, and never show their last frames.
        if first:
            jumps.append((stop - 10, end, end + BRIDGE, first + 5))
            end += BRIDGE
        else:
            jumps.append((stop - 1, 0, 0, first))
    for a in range(len(kinds)):
        for b in range(len(kinds)):
            for leave in range(a * LONG, a * LONG + 85, EVERY):
                if a != b and joined:
                    jumps.append((leave, end, end + BRIDGE, b * LONG + 7))
                    end += BRIDGE
    return ClipGraph(
        np.array(clips, np.int32), np.array(jumps, np.int32), np.arange(len(kinds), dtype=np.int32)
    ), end


WHOLE = film_of(("idle", "neutral"), ("listening", "neutral"), ("speaking", "neutral"), ("speaking", "happy"))


def play(film: tuple[ClipGraph, int], script: list[tuple[float, Activity, dict[str, float]]]) -> list[int]:
    player, shown, at_s = ClipPlayer(*film, FPS), [], 0.0
    for seconds, activity, more in script:
        for _ in range(round(seconds * FPS)):
            shown.append(player.at(Controls(activity=activity, moment_s=at_s, **more)))  # type: ignore[arg-type]
            at_s += 1 / FPS
    return shown


def check_edges(film: tuple[ClipGraph, int], shown: list[int]) -> None:
    successors = film[0].successors(film[1])
    for before, after in pairwise(shown):
        assert after in successors[before], (before, after)


def clips_of(film: tuple[ClipGraph, int], shown: list[int]) -> np.ndarray:
    return film[0].clip_of(film[1])[shown]


HAPPY = {"smile": 0.8, "cheek": 0.75}


def test_a_requested_clip_is_reached_soon_and_kept() -> None:
    script: list[tuple[float, Activity, dict[str, float]]] = [
        (10, "idle", {}), (10, "listening", {}), (12, "speaking", {}), (12, "speaking", HAPPY), (8, "idle", {}),
    ]  # fmt: skip
    shown = play(WHOLE, script)
    check_edges(WHOLE, shown)
    clips = clips_of(WHOLE, shown)
    begin = 0
    for (seconds, _, _), wanted in zip(script, (0, 1, 2, 3, 0), strict=True):
        part = clips[begin : begin + round(seconds * FPS)]
        begin += len(part)
        soon = round(1.5 * FPS)
        assert wanted in part[:soon]
        # Once there, only transitions of its own kind are taken.
        assert set(part[soon:].tolist()) <= {wanted, -1}


def test_playback_starts_in_a_requested_clip() -> None:
    player = ClipPlayer(*WHOLE, FPS)
    assert player.at(Controls(activity="speaking", moment_s=7.0)) == 2 * LONG


def test_the_same_controls_give_the_same_frames_and_small_steps_back_repeat() -> None:
    behaviour = Behaviour(3)
    states: tuple[Activity, ...] = ("idle", "listening", "thinking", "speaking")
    asked = [
        behaviour.advance(
            k / FPS, states[k // 60 % 4], cues=Cues(emotion="happy", emotion_level=float(k % 200 > 120))
        )
        for k in range(900)
    ]
    one, other = ClipPlayer(*WHOLE, FPS), ClipPlayer(*WHOLE, FPS)
    frames = [one.at(controls) for controls in asked]
    again = []
    for k, controls in enumerate(asked):
        again.append(other.at(controls))
        # A frame drawn again, or one a little late, changes nothing.
        assert other.at(controls) == other.at(asked[max(0, k - 3)]) == again[-1]
    assert again == frames
    check_edges(WHOLE, frames)
    assert len(set(clips_of(WHOLE, frames).tolist())) == 5
    # From far back it begins anew.
    assert [other.at(controls) for controls in asked] == frames


def test_a_lower_frame_rate_skips_frames() -> None:
    player = ClipPlayer(*WHOLE, 30.0)
    shown = [player.at(Controls(moment_s=k / 25)) for k in range(200)]
    steps = np.diff(shown) % LONG
    assert set(steps.tolist()) <= {1, 2}
    assert 0 <= player.at(Controls(moment_s=1e6)) < WHOLE[1]


def test_a_missing_clip_is_replaced_by_the_nearest_kind() -> None:
    two = film_of(("idle", "neutral"), ("speaking", "happy"))
    for activity, mood, clip in (
        ("listening", {}, 0), ("thinking", {}, 0), ("speaking", {}, 0), ("listening", HAPPY, 1), ("idle", {"worry": 0.9}, 0),
    ):  # fmt: skip
        shown = play(two, [(4, activity, mood)])  # type: ignore[list-item]
        assert set(clips_of(two, shown).tolist()) - {-1} == {clip}, (activity, mood)


def test_without_transitions_playback_stays_in_its_clip() -> None:
    apart = film_of(("idle", "neutral"), ("speaking", "neutral"), joined=False)
    shown = play(apart, [(6, "idle", {}), (20, "speaking", {})])
    check_edges(apart, shown)
    assert set(clips_of(apart, shown).tolist()) == {0}
    shown = play(apart, [(20, "speaking", {}), (6, "idle", {})])
    check_edges(apart, shown)
    assert set(clips_of(apart, shown).tolist()) == {1, -1} and max(shown) < LONG * 2 + BRIDGE


def test_thinking_continues_the_current_clip() -> None:
    shown = play(WHOLE, [(5, "listening", {}), (1.6, "thinking", {})])
    check_edges(WHOLE, shown)
    assert set(clips_of(WHOLE, shown).tolist()) == {1, -1}


@pytest.mark.parametrize(
    ("word", "mood"),
    [("happy", "happy"), ("excited", "happy"), ("sad", "concerned"), ("concerned", "concerned"),
     ("surprised", "surprised"), ("angry", "neutral"), ("neutral", "neutral"), ("disgusted", "neutral")],
)  # fmt: skip
def test_moods_follow_the_behaviours_emotions(word: str, mood: Mood) -> None:
    behaviour, moods = Behaviour(1), MoodTracker()
    found: list[Mood] = []
    for k in range(250):
        level = 1.0 if k < 120 else 0.0
        cues = Cues(emotion=word, emotion_level=level, emphasis=float(k % 40 < 6))
        found.append(moods.advance(behaviour.advance(k / FPS, "speaking", cues=cues)))
    assert set(found[60:120]) == {mood} and set(found[170:]) == {"neutral"}


def test_mood_has_hysteresis() -> None:
    moods = MoodTracker()
    assert [moods.advance(Controls(worry=level)) for level in (0.2, 0.31, 0.22, 0.33, 0.19, 0.1, 0.25)] == [
        "neutral", "concerned", "concerned", "concerned", "concerned", "neutral", "neutral",
    ]  # fmt: skip
