"""The transitions between the chosen clips: pairs of frames that match, and the blended frames in between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cvi.face.neural.clip_graph import CLIP_ACTIVITIES, MOODS, ClipGraph
from cvi.training.arrays import Floats, Ints
from cvi.training.clips.pose_features import FARTHEST, pose_distances
from cvi.training.clips.selection import Clip

_NEAR, _SOON_S = 0.05, 1.2
"""Face widths and seconds: frames farther apart than the first are joined only where none nearer follow
within the second."""
_SLOW = 0.005
"""Face widths a frame that a transition may move the head; heads move so in ordinary speech."""
_SHORTEST_S, _LONGEST_S = 0.16, 0.56
_EVERY_S = 0.8
"""Each clip gets a transition to each other one at least this often, where frames match."""
_TRIED = 60
"""Pairs of each stretch that are tried, the nearest first, for one with room for a transition."""
_MEETS = 0.03
"""Face widths between the ends of a clip that loops."""
_SHORTER = 0.02
"""Face widths that a loop's length is worth: what a loop of length zero costs against the whole clip."""
_LEAST_LOOP = 0.7
"""Of a clip: the share that a loop must contain."""


@dataclass(frozen=True, slots=True)
class FilmShot:
    """One frame of the film: frame `frame` of the footage, or, where `share` is above 0, a blend that is this
    share of the way from `frame` to `other`."""

    frame: int
    other: int
    share: float


@dataclass(frozen=True, slots=True)
class ClipGraphPlan:
    """The base film to be written, frame by frame; its `graph`; `keys`, the frames that must be key frames
    since playback seeks to them."""

    shots: tuple[FilmShot, ...]
    graph: ClipGraph
    keys: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class _PlayedClip:
    """A clip as it is played: its `number`, its `order`, `cyclic` where the first frame follows the last;
    frames after position `last` are seen in transitions only."""

    number: int
    order: Ints
    cyclic: bool
    last: int

    def wrapped(self, position: int) -> int:
        """The position within the order, for one beyond a cyclic clip's end."""
        return position % len(self.order) if self.cyclic else position

    def ahead(self, position: int, other: int) -> int:
        """Steps from one position to another."""
        return self.wrapped(other - position)


@dataclass(frozen=True, slots=True, eq=False)
class _Transition:
    """After position `leave` of `one`, in `length` steps, to position `arrive` of `other`; `gap` in face
    widths."""

    one: _PlayedClip
    other: _PlayedClip
    leave: int
    arrive: int
    length: int
    gap: float

    @property
    def has_room(self) -> bool:
        """Whether both clips have the frames to blend, and both ends are ever shown."""
        has_after = self.one.cyclic or self.leave + self.length <= len(self.one.order)
        has_before = self.other.cyclic or self.arrive - self.length + 1 >= 0
        return has_after and has_before and 0 <= self.leave <= self.one.last and self.arrive < self.other.last


def plan_clip_graph(clips: list[Clip], pose: Floats, fps: float) -> ClipGraphPlan:
    """Lay out the clips and every good transition between them. Clips that cannot be reached from the first
    one and left for it again are left out. `pose` as in `PoseFeatures`."""
    loops = [_loop(number, clip, pose, fps) for number, clip in enumerate(clips)]
    transitions = [
        transition
        for one, _ in loops
        for other, _ in loops
        if one.number != other.number
        for transition in _transitions_between(one, other, pose, fps)
    ]
    connected = [loops[number] for number in _connected(len(clips), transitions)]
    shots: list[FilmShot] = []
    starts: dict[int, int] = {}
    for played, _ in connected:
        starts[played.number] = len(shots)
        shots += [FilmShot(frame, frame, 0.0) for frame in played.order.tolist()]
    used = [loop for _, loop in connected]
    used += [
        transition
        for transition in transitions
        if transition.one.number in starts and transition.other.number in starts
    ]
    table = np.array([_append_transition(transition, starts, shots) for transition in used], np.int32)
    clip_rows = [
        (
            starts[played.number],
            starts[played.number] + len(played.order),
            CLIP_ACTIVITIES.index(clips[played.number].activity),
            MOODS.index(clips[played.number].mood),
        )
        for played, _ in connected
    ]
    graph = ClipGraph(np.array(clip_rows, np.int32), table, np.arange(len(connected), dtype=np.int32))
    blended = [first for _, first, end, _ in table.tolist() if first < end]
    keys = {*starts.values(), *table[:, 3].tolist(), *blended}
    return ClipGraphPlan(tuple(shots), graph, frozenset(keys))


def _append_transition(
    transition: _Transition, starts: dict[int, int], shots: list[FilmShot]
) -> tuple[int, int, int, int]:
    """Append the transition's frames to the film; its row of `ClipGraph.transitions`."""
    before, after = transition.one.order, transition.other.order
    first = len(shots)
    for step in range(1, transition.length):
        x = step / transition.length
        leaving = int(before[(transition.leave + step) % len(before)])
        arriving = int(after[(transition.arrive - transition.length + step) % len(after)])
        shots.append(FilmShot(leaving, arriving, x * x * (3 - 2 * x)))
    return (
        starts[transition.one.number] + transition.leave,
        first,
        len(shots),
        starts[transition.other.number] + transition.arrive,
    )


def _loop(number: int, clip: Clip, pose: Floats, fps: float) -> tuple[_PlayedClip, _Transition]:
    """A clip, and the transition that loops it. One whose ends do not match is played forward and back."""
    order = clip.order
    if not clip.reverses:
        found = pose_distances(pose, order, order, fps, (False, False))
        index = np.arange(len(order))
        found[index[:, None] - index[None] < _LEAST_LOOP * len(order)] = np.inf
        # A longer loop is preferred to a slightly better match.
        found += _SHORTER * (1 - (index[:, None] - index[None]) / len(order))
        whole = _PlayedClip(number, order, False, len(order) - 1)
        transitions = _best(found, whole, whole, [(0, len(order))], fps)
        if transitions and transitions[0].gap < _MEETS:
            return replace(whole, last=transitions[0].leave), transitions[0]
        order = np.concatenate([order, order[-2:0:-1]])
    played = _PlayedClip(number, order, True, len(order) - 1)
    return played, _Transition(played, played, len(order) - 1, 0, 1, 0.0)


def _transitions_between(one: _PlayedClip, other: _PlayedClip, pose: Floats, fps: float) -> list[_Transition]:
    """The best transitions from one clip to another, at most one for each stretch of the first."""
    found = pose_distances(pose, one.order, other.order, fps, (one.cyclic, other.cyclic))
    every = max(1, round(_EVERY_S * fps))
    blocks = [(first, min(first + every, len(one.order))) for first in range(0, len(one.order), every)]
    transitions = _best(found, one, other, blocks, fps)
    good = [transition.leave for transition in transitions if transition.gap <= _NEAR]
    soon = round(_SOON_S * fps)
    return [
        transition
        for transition in transitions
        if transition.gap <= _NEAR
        or not any(0 < one.ahead(transition.leave, leave) <= soon for leave in good)
    ]


def _best(
    found: Floats, one: _PlayedClip, other: _PlayedClip, blocks: list[tuple[int, int]], fps: float
) -> list[_Transition]:
    """For each block of rows the nearest pair that is near enough and has room for the transition."""
    transitions: list[_Transition] = []
    for first, end in blocks:
        block = found[first:end]
        for pick in np.argsort(block, axis=None)[:_TRIED].tolist():
            row, column = divmod(pick, block.shape[1])
            gap = float(block[row, column])
            if gap > FARTHEST:
                break
            half = round(min(max(gap / _SLOW / fps, _SHORTEST_S), _LONGEST_S) * fps / 2)
            # The two are nearest in the transition's middle.
            leave, arrive = one.wrapped(first + row - half), other.wrapped(column + half)
            transition = _Transition(one, other, leave, arrive, 2 * half, gap)
            if transition.has_room:
                transitions.append(transition)
                break
    return transitions


def _connected(count: int, transitions: list[_Transition]) -> list[int]:
    """The clips that can be reached from the first one and left for it again."""

    def reached(edges: list[tuple[int, int]]) -> set[int]:
        seen, waiting = {0}, [0]
        while waiting:
            clip = waiting.pop()
            new = {b for a, b in edges if a == clip} - seen
            seen |= new
            waiting += new
        return seen

    forward = reached([(transition.one.number, transition.other.number) for transition in transitions])
    back = reached([(transition.other.number, transition.one.number) for transition in transitions])
    return [clip for clip in range(count) if clip in forward & back]
