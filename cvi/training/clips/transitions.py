"""The ways between the chosen clips: jumps where two frames match, and the frames that lead over."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvi.face.neural.clip_graph import CLIP_ACTIVITIES, MOODS, ClipGraph
from cvi.training.clips.pose_features import FARTHEST, pose_distances
from cvi.training.clips.selection import Clip

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

_NEAR, _SOON_S = 0.05, 1.2
"""Where frames no farther apart than the first, widths of the face, come within the second, none that are
farther apart are joined."""
_SLOW = 0.005
"""Widths of the face a frame that a bridge may move what it joins; heads move so in ordinary speech."""
_SHORTEST_S, _LONGEST_S = 0.16, 0.56
_EVERY_S = 0.8
"""Each clip is left for each other at least so often, where it can be."""
_TRIED = 60
"""So many pairs of each stretch are looked at, the nearest first, for one with room for a bridge."""
_MEETS = 0.03
"""Widths of the face: the ends of a clip that goes round."""
_SHORTER = 0.02
"""What a round that shrinks to nothing costs, in widths of the face."""
_LEAST_ROUND = 0.7
"""Of a clip: a round that leaves more of it out is none."""


@dataclass(frozen=True, slots=True)
class FilmShot:
    """One frame of the film: that of the footage, or where `share` is above 0 so much of the way from
    `frame` to `other`."""

    frame: int
    other: int
    share: float


@dataclass(frozen=True, slots=True)
class ClipGraphPlan:
    """The film to be written, frame by frame; its `reel`; `keys`, the frames that are jumped to."""

    shots: tuple[FilmShot, ...]
    reel: ClipGraph
    keys: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A clip as it is played: its `number`, its `order`, `cyclic` where after the last frame comes the first;
    `last` is the place beyond which it is only seen in bridges."""

    number: int
    order: Ints
    cyclic: bool
    last: int

    def wrapped(self, place: int) -> int:
        return place % len(self.order) if self.cyclic else place

    def ahead(self, place: int, other: int) -> int:
        """Steps from one place to another."""
        return self.wrapped(other - place)


@dataclass(frozen=True, slots=True, eq=False)
class _Jump:
    """After place `leave` of `one`, in `length` steps, to place `arrive` of `other`; `gap` in widths of the
    face."""

    one: _Side
    other: _Side
    leave: int
    arrive: int
    length: int
    gap: float

    @property
    def has_room(self) -> bool:
        """Are there frames to make the bridge of, and is what it joins ever shown?"""
        goes_on = self.one.cyclic or self.leave + self.length <= len(self.one.order)
        comes_from = self.other.cyclic or self.arrive - self.length + 1 >= 0
        return goes_on and comes_from and 0 <= self.leave <= self.one.last and self.arrive < self.other.last


def plan_clip_graph(clips: list[Clip], place: Floats, fps: float) -> ClipGraphPlan:
    """Lay out the clips and every good way between them. Clips that cannot be come to from the first and left
    for it again are left out. `place` as in `Bearing`."""
    rounds = [_round(number, clip, place, fps) for number, clip in enumerate(clips)]
    jumps = [
        jump
        for one, _ in rounds
        for other, _ in rounds
        if one.number != other.number
        for jump in _between(one, other, place, fps)
    ]
    kept = [rounds[number] for number in _joined(len(clips), jumps)]
    shots: list[FilmShot] = []
    begins: dict[int, int] = {}
    for side, _ in kept:
        begins[side.number] = len(shots)
        shots += [FilmShot(frame, frame, 0.0) for frame in side.order.tolist()]
    used = [turn for _, turn in kept]
    used += [jump for jump in jumps if jump.one.number in begins and jump.other.number in begins]
    table = np.array([_laid(jump, begins, shots) for jump in used], np.int32)
    listed = [
        (
            begins[side.number],
            begins[side.number] + len(side.order),
            CLIP_ACTIVITIES.index(clips[side.number].doing),
            MOODS.index(clips[side.number].mood),
        )
        for side, _ in kept
    ]
    reel = ClipGraph(np.array(listed, np.int32), table, np.arange(len(kept), dtype=np.int32))
    bridges = [first for _, first, end, _ in table.tolist() if first < end]
    keys = {*begins.values(), *table[:, 3].tolist(), *bridges}
    return ClipGraphPlan(tuple(shots), reel, frozenset(keys))


def _laid(jump: _Jump, begins: dict[int, int], shots: list[FilmShot]) -> tuple[int, int, int, int]:
    """Put the jump's bridge at the film's end; its row of `ClipGraph.transitions`."""
    before, after = jump.one.order, jump.other.order
    first = len(shots)
    for step in range(1, jump.length):
        x = step / jump.length
        leaving = int(before[(jump.leave + step) % len(before)])
        coming = int(after[(jump.arrive - jump.length + step) % len(after)])
        shots.append(FilmShot(leaving, coming, x * x * (3 - 2 * x)))
    return begins[jump.one.number] + jump.leave, first, len(shots), begins[jump.other.number] + jump.arrive


def _round(number: int, clip: Clip, place: Floats, fps: float) -> tuple[_Side, _Jump]:
    """A clip, and the jump by which it goes round. One whose ends do not meet is made to turn."""
    order = clip.order
    if not clip.turns:
        found = pose_distances(place, order, order, fps, (False, False))
        index = np.arange(len(order))
        found[index[:, None] - index[None] < _LEAST_ROUND * len(order)] = np.inf
        # A round that is hardly shorter is worth more than one that meets a little better.
        found += _SHORTER * (1 - (index[:, None] - index[None]) / len(order))
        whole = _Side(number, order, False, len(order) - 1)
        jumps = _best(found, whole, whole, [(0, len(order))], fps)
        if jumps and jumps[0].gap < _MEETS:
            return replace(whole, last=jumps[0].leave), jumps[0]
        order = np.concatenate([order, order[-2:0:-1]])
    side = _Side(number, order, True, len(order) - 1)
    return side, _Jump(side, side, len(order) - 1, 0, 1, 0.0)


def _between(one: _Side, other: _Side, place: Floats, fps: float) -> list[_Jump]:
    """The best jumps from one clip to another, one for each stretch of the first that has any."""
    found = pose_distances(place, one.order, other.order, fps, (one.cyclic, other.cyclic))
    every = max(1, round(_EVERY_S * fps))
    blocks = [(first, min(first + every, len(one.order))) for first in range(0, len(one.order), every)]
    jumps = _best(found, one, other, blocks, fps)
    good = [jump.leave for jump in jumps if jump.gap <= _NEAR]
    soon = round(_SOON_S * fps)
    return [
        jump
        for jump in jumps
        if jump.gap <= _NEAR or not any(0 < one.ahead(jump.leave, leave) <= soon for leave in good)
    ]


def _best(found: Floats, one: _Side, other: _Side, blocks: list[tuple[int, int]], fps: float) -> list[_Jump]:
    """For each block of rows the nearest pair, where one is near enough and there is room for the bridge."""
    jumps: list[_Jump] = []
    for first, end in blocks:
        block = found[first:end]
        for pick in np.argsort(block, axis=None)[:_TRIED].tolist():
            row, column = divmod(pick, block.shape[1])
            gap = float(block[row, column])
            if gap > FARTHEST:
                break
            half = round(min(max(gap / _SLOW / fps, _SHORTEST_S), _LONGEST_S) * fps / 2)
            # The bridge's middle is where the two are nearest.
            leave, arrive = one.wrapped(first + row - half), other.wrapped(column + half)
            jump = _Jump(one, other, leave, arrive, 2 * half, gap)
            if jump.has_room:
                jumps.append(jump)
                break
    return jumps


def _joined(count: int, jumps: list[_Jump]) -> list[int]:
    """The clips that can be come to from the first and left for it again."""

    def reached(ways: list[tuple[int, int]]) -> set[int]:
        seen, waiting = {0}, [0]
        while waiting:
            here = waiting.pop()
            new = {b for a, b in ways if a == here} - seen
            seen |= new
            waiting += new
        return seen

    there = reached([(jump.one.number, jump.other.number) for jump in jumps])
    back = reached([(jump.other.number, jump.one.number) for jump in jumps])
    return [clip for clip in range(count) if clip in there & back]
