"""The clips of a trained replica's film, and the ways from one to another.

A clip is a stretch of the person's own footage. It is left only where another frame looks like the next, over
a bridge: some frames of the film that were made from both (`cvi.training.clips.transitions`). So the film,
clips and bridges, is a graph of frames, of which most have one successor.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from cvi.face.base import Activity
from cvi.face.neural.moods import MOODS, Mood

Doing = Literal["idle", "listening", "speaking"]
DOINGS: tuple[Doing, ...] = get_args(Doing)
NEVER = 1 << 30
_IN_PLACE: dict[Activity, dict[Doing, int]] = {
    "idle": {"idle": 0, "listening": 1, "speaking": 2},
    "listening": {"listening": 0, "idle": 1, "speaking": 2},
    # Nobody films their thinking: the gaze tells it, and the head may stay as it is.
    "thinking": {"idle": 0, "listening": 0, "speaking": 2},
    "speaking": {"speaking": 0, "idle": 1, "listening": 1},
}
"""What may stand for what, the nearest first."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Reel:
    """`clips` int32 (c, 4): first and end frame of the film, place in `DOINGS`, place in `MOODS`; the first
    is the one to come back to. `jumps` int32 (m, 4): after frame `leave` frames [first, end) may be shown,
    and then `arrive`; where first is end, `arrive` at once. `turns` int32 (c,): the jump by which each clip
    goes on within itself; after the frame it leaves nothing of the clip is shown."""

    clips: Ints
    jumps: Ints
    turns: Ints

    def goals(self, activity: Activity, mood: Mood) -> list[frozenset[int]]:
        """Sets of clips that can stand for what is asked, the best first."""
        worth: dict[tuple[int, int], set[int]] = {}
        for clip, (_, _, doing, felt) in enumerate(self.clips.tolist()):
            astray = 0 if MOODS[felt] == mood else 1 if MOODS[felt] == "neutral" else 2
            worth.setdefault((astray, _IN_PLACE[activity][DOINGS[doing]]), set()).add(clip)
        return [frozenset(worth[key]) for key in sorted(worth)]

    def ways(self, count: int) -> list[tuple[int, ...]]:
        """For each of the film's `count` frames which may come next, the plain one first."""
        after: list[list[int]] = [[] for _ in range(count)]
        turns = set(self.turns.tolist())
        for number, (leave, first, end, arrive) in enumerate(self.jumps.tolist()):
            way = arrive if first == end else first
            after[leave].insert(0 if number in turns else len(after[leave]), way)
            for frame in range(first, end):
                after[frame] = [frame + 1 if frame + 1 < end else arrive]
        for clip, (first, end, _, _) in enumerate(self.clips.tolist()):
            last = int(self.jumps[self.turns[clip], 0])
            for frame in range(first, end - 1):
                if frame != last:
                    after[frame].insert(0, frame + 1)
        return [tuple(ways) for ways in after]

    def clip_of(self, count: int) -> Ints:
        """The clip of each of the film's frames; -1 in a bridge."""
        found = np.full(count, -1, np.int32)
        for clip, (first, end, _, _) in enumerate(self.clips.tolist()):
            found[first:end] = clip
        return found


def distances(ways: list[tuple[int, ...]], goal: npt.NDArray[np.bool_]) -> Ints:
    """How many frames it is from each to the nearest of `goal` (n,); NEVER where no way leads there."""
    back: list[list[int]] = [[] for _ in ways]
    for frame, following in enumerate(ways):
        for after in following:
            back[after].append(frame)
    far = np.where(goal, 0, NEVER).astype(np.int32)
    waiting = deque(np.flatnonzero(goal).tolist())
    while waiting:
        frame = waiting.popleft()
        for before in back[frame]:
            if far[before] == NEVER:
                far[before] = far[frame] + 1
                waiting.append(before)
    return far
