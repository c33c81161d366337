"""What is felt, told from the controls of the upper face: which expression is called for."""

from __future__ import annotations

from typing import Literal, get_args

from cvi.face.base import Controls

Mood = Literal["neutral", "happy", "concerned", "surprised"]
MOODS: tuple[Mood, ...] = get_args(Mood)
_BEGINS: dict[Mood, float] = {"happy": 0.35, "concerned": 0.30, "surprised": 0.75}
"""Brows that go up with a stressed word are no surprise."""
_ENDS = 0.6
"""Of that level: a mood that wavers is one mood."""


class Moods:
    """The mood of one control vector after the other."""

    def __init__(self) -> None:
        self._mood: Mood = "neutral"

    def advance(self, controls: Controls) -> Mood:
        levels = {mood: _level(mood, controls) / begins for mood, begins in _BEGINS.items()}
        strongest = max(levels, key=lambda mood: levels[mood])
        if levels[strongest] >= 1.0:
            self._mood = strongest
        elif levels.get(self._mood, 0.0) < _ENDS:
            self._mood = "neutral"
        return self._mood


def _level(mood: Mood, controls: Controls) -> float:
    if mood == "happy":
        return (controls.smile + controls.cheek) / 2
    if mood == "concerned":
        return controls.worry
    return (controls.brow_left + controls.brow_right) / 2
