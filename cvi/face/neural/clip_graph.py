"""The clips of a trained replica's base film, the transitions between them, and their playback.

A clip is a stretch of the person's own footage. It is left only where a frame of another clip looks like its
next one, through a transition: frames blended from both (`cvi.training.clips.transitions`). So the film,
clips and transition frames, is a graph of frames, most of which have one successor.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from cvi.face.base import Activity, Controls
from cvi.face.motion import SeededRandom

Mood = Literal["neutral", "happy", "concerned", "surprised"]
MOODS: tuple[Mood, ...] = get_args(Mood)
_ONSET: dict[Mood, float] = {"happy": 0.35, "concerned": 0.30, "surprised": 0.75}
"""Level at which a mood starts. Brows raised with a stressed word stay below that of surprise."""
_OFFSET = 0.6
"""A mood ends below this share of its onset, so that a wavering level does not toggle it."""


class MoodTracker:
    """The mood that a sequence of control vectors expresses, judged by the upper face, with hysteresis."""

    def __init__(self) -> None:
        self._mood: Mood = "neutral"

    def advance(self, controls: Controls) -> Mood:
        """The mood once `controls` follow those before."""
        levels = {mood: _level(mood, controls) / begins for mood, begins in _ONSET.items()}
        strongest = max(levels, key=lambda mood: levels[mood])
        if levels[strongest] >= 1.0:
            self._mood = strongest
        elif levels.get(self._mood, 0.0) < _OFFSET:
            self._mood = "neutral"
        return self._mood


def _level(mood: Mood, controls: Controls) -> float:
    if mood == "happy":
        return (controls.smile + controls.cheek) / 2
    if mood == "concerned":
        return controls.worry
    return (controls.brow_left + controls.brow_right) / 2


ClipActivity = Literal["idle", "listening", "speaking"]
CLIP_ACTIVITIES: tuple[ClipActivity, ...] = get_args(ClipActivity)
UNREACHABLE = 1 << 30
_SUBSTITUTES: dict[Activity, dict[ClipActivity, int]] = {
    "idle": {"idle": 0, "listening": 1, "speaking": 2},
    "listening": {"listening": 0, "idle": 1, "speaking": 2},
    # Footage has no clips of thinking: the gaze shows it, and the head goes on as it was.
    "thinking": {"idle": 0, "listening": 0, "speaking": 2},
    "speaking": {"speaking": 0, "idle": 1, "listening": 1},
}
"""Distance of each kind of clip from what an activity asks for."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ClipGraph:
    """The graph of frames of a base film.

    `clips` int32 (c, 4): first frame, end frame, index in CLIP_ACTIVITIES, index in MOODS. `transitions`
    int32 (m, 4): leave, first, end, arrive: after frame `leave`, frames [first, end) may be shown and then
    frame `arrive`; where first == end, `arrive` follows at once. `loops` int32 (c,): the transition by which
    each clip returns into itself; no frame of the clip after the one it leaves is shown.
    """

    clips: Ints
    transitions: Ints
    loops: Ints

    def goals(self, activity: Activity, mood: Mood) -> list[frozenset[int]]:
        """Sets of clips that can show `activity` and `mood`, the best match first."""
        by_distance: dict[tuple[int, int], set[int]] = {}
        for clip, (_, _, activity_index, mood_index) in enumerate(self.clips.tolist()):
            by_mood = 0 if MOODS[mood_index] == mood else 1 if MOODS[mood_index] == "neutral" else 2
            by_activity = _SUBSTITUTES[activity][CLIP_ACTIVITIES[activity_index]]
            by_distance.setdefault((by_mood, by_activity), set()).add(clip)
        return [frozenset(by_distance[key]) for key in sorted(by_distance)]

    def successors(self, count: int) -> list[tuple[int, ...]]:
        """For each of the film's `count` frames the frames that may follow it, the clip's own next frame
        first."""
        after: list[list[int]] = [[] for _ in range(count)]
        loops = set(self.loops.tolist())
        for number, (leave, first, end, arrive) in enumerate(self.transitions.tolist()):
            following = arrive if first == end else first
            after[leave].insert(0 if number in loops else len(after[leave]), following)
            for frame in range(first, end):
                after[frame] = [frame + 1 if frame + 1 < end else arrive]
        for clip, (first, end, _, _) in enumerate(self.clips.tolist()):
            last = int(self.transitions[self.loops[clip], 0])
            for frame in range(first, end - 1):
                if frame != last:
                    after[frame].insert(0, frame + 1)
        return [tuple(following) for following in after]

    def clip_of(self, count: int) -> Ints:
        """The clip of each of the film's `count` frames, (count,); -1 in a transition."""
        found = np.full(count, -1, np.int32)
        for clip, (first, end, _, _) in enumerate(self.clips.tolist()):
            found[first:end] = clip
        return found


def distances(successors: list[tuple[int, ...]], goal: npt.NDArray[np.bool_]) -> Ints:
    """Frames from each frame to the nearest of `goal` (n,); UNREACHABLE where none can be reached."""
    back: list[list[int]] = [[] for _ in successors]
    for frame, following in enumerate(successors):
        for after in following:
            back[after].append(frame)
    far = np.where(goal, 0, UNREACHABLE).astype(np.int32)
    waiting = deque(np.flatnonzero(goal).tolist())
    while waiting:
        frame = waiting.popleft()
        for before in back[frame]:
            if far[before] == UNREACHABLE:
                far[before] = far[frame] + 1
                waiting.append(before)
    return far


_REPEAT_S = 1.0
"""A step back by at most this repeats the last frame; a larger one restarts playback."""
_MOST_S = 20.0
"""Of a longer step ahead only this much is played."""
_STAY_S, _LEAVE_CHANCE = 3.0, 0.3
"""How long a clip is played at least, and the chance that a transition to another one of its kind is then
taken."""


class ClipPlayer:
    """Chooses the frame of a base film for each control vector.

    Plays a clip that shows the activity and mood of the controls; when they change, takes the shortest path
    to one that does. Only edges of the graph are taken. The same sequence of controls gives the same frames.
    Not thread-safe.
    """

    def __init__(self, graph: ClipGraph, count: int, fps: float) -> None:
        """`count` and `fps`: frames of the film and their rate."""
        self._graph, self._fps = graph, fps
        self._successors, self._clip = graph.successors(count), graph.clip_of(count)
        self._to_goal: dict[frozenset[int], Ints] = {}
        self._position: int | None = None
        self._restart()

    def _restart(self) -> None:
        self._rng, self._moods = SeededRandom(1), MoodTracker()
        self._played = 0
        self._frame = 0

    def at(self, controls: Controls) -> int:
        """The frame of the film at `controls.moment_s`.

        A moment up to a second before the last one gives the last frame again. At the first call, and after a
        larger step back, playback starts at the first frame of a clip that shows what the controls ask for.
        """
        position = round(max(controls.moment_s, 0.0) * self._fps)
        if self._position is None or position < self._position - _REPEAT_S * self._fps:
            self._restart()
            best = self._graph.goals(controls.activity, self._moods.advance(controls))[0]
            self._frame = int(self._graph.clips[min(best), 0])
        elif position <= self._position:
            return self._frame
        else:
            goals = self._graph.goals(controls.activity, self._moods.advance(controls))
            for _ in range(min(position - self._position, round(_MOST_S * self._fps))):
                self._step(goals)
        self._position = position
        return self._frame

    def _step(self, goals: list[frozenset[int]]) -> None:
        following = self._successors[self._frame]
        after = following[0]
        if len(following) > 1:
            far = next(far for goal in goals if (far := self._distances(goal))[self._frame] < UNREACHABLE)
            if far[self._frame] > 0:
                after = min(following, key=lambda frame: int(far[frame]))
            elif self._played > _STAY_S * self._fps and self._rng.chance(_LEAVE_CHANCE):
                # Vary the order of clips of one kind, so that repetition is not noticed.
                after = next((frame for frame in following[1:] if far[self._arrival(frame)] == 0), after)
        self._played = 0 if self._clip[after] < 0 else self._played + 1
        self._frame = after

    def _arrival(self, frame: int) -> int:
        """The first frame of a clip at or after `frame`."""
        while self._clip[frame] < 0:
            (frame,) = self._successors[frame]
        return frame

    def _distances(self, goal: frozenset[int]) -> Ints:
        if goal not in self._to_goal:
            self._to_goal[goal] = distances(self._successors, np.isin(self._clip, list(goal)))
        return self._to_goal[goal]
