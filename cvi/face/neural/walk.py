"""The way through the reel's film: which frame is shown at each moment, for what is asked at it."""

from __future__ import annotations

import numpy as np

from cvi.face.base import Controls
from cvi.face.motion import SeededRandom
from cvi.face.neural.moods import Moods
from cvi.face.neural.reel import NEVER, Ints, Reel, distances

_AGAIN_S = 1.0
"""A moment so little before the last one is that one drawn again; one farther back begins anew."""
_MOST_S = 20.0
"""Of a longer leap only so much is walked."""
_STAYS_S, _LEAVES = 3.0, 0.3
"""How long a clip is stayed in at least, and how often a way to another of the same kind is then taken."""


class Walk:
    """Stays in a clip of what is asked; asked for something else, it takes the shortest way there, and never
    one that is not in the reel. The same sequence of controls gives the same frames. Not thread-safe."""

    def __init__(self, reel: Reel, count: int, fps: float) -> None:
        """`count` frames has the film."""
        self._reel, self._fps = reel, fps
        self._ways, self._clip = reel.ways(count), reel.clip_of(count)
        self._far: dict[frozenset[int], Ints] = {}
        self._place: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._rng, self._moods = SeededRandom(1), Moods()
        self._stayed = 0
        self._frame = 0

    def at(self, controls: Controls) -> int:
        """The frame of the film at the controls' moment, for what they ask.

        A moment that was before, up to a second back, gives the last frame again; after one farther back,
        and at the very first, the performance begins: at the beginning of a clip of what is asked.
        """
        place = round(max(controls.moment_s, 0.0) * self._fps)
        if self._place is None or place < self._place - _AGAIN_S * self._fps:
            self._begin()
            best = self._reel.goals(controls.activity, self._moods.advance(controls))[0]
            self._frame = int(self._reel.clips[min(best), 0])
        elif place <= self._place:
            return self._frame
        else:
            goals = self._reel.goals(controls.activity, self._moods.advance(controls))
            for _ in range(min(place - self._place, round(_MOST_S * self._fps))):
                self._step(goals)
        self._place = place
        return self._frame

    def _step(self, goals: list[frozenset[int]]) -> None:
        ways = self._ways[self._frame]
        after = ways[0]
        if len(ways) > 1:
            far = next(far for goal in goals if (far := self._distances(goal))[self._frame] < NEVER)
            if far[self._frame] > 0:
                after = min(ways, key=lambda way: int(far[way]))
            elif self._stayed > _STAYS_S * self._fps and self._rng.chance(_LEAVES):
                # Any of the same kind: what is seen twice in the same order is seen to be a film.
                after = next((way for way in ways[1:] if far[self._arrival(way)] == 0), after)
        self._stayed = 0 if self._clip[after] < 0 else self._stayed + 1
        self._frame = after

    def _arrival(self, frame: int) -> int:
        """Where a bridge leads to."""
        while self._clip[frame] < 0:
            (frame,) = self._ways[frame]
        return frame

    def _distances(self, goal: frozenset[int]) -> Ints:
        if goal not in self._far:
            self._far[goal] = distances(self._ways, np.isin(self._clip, list(goal)))
        return self._far[goal]
