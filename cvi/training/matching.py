"""Where one stretch of footage can go on as another without being seen to: "video textures" (Schoedl et al.
2000), with what is compared taken from landmarks: head, eyelids, gaze, and through some frames around, the
speed of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

FARTHEST = 0.13
"""Widths of the face: frames farther apart are not joined. A head that speaks covers it in half a second."""
_AROUND_S = 0.08
"""So far before and after two frames theirs are compared as well: who moves otherwise is elsewhere then."""


def gaps(place: Floats, before: Ints, after: Ints, fps: float, cyclic: tuple[bool, bool]) -> Floats:
    """How far apart the person is at every frame of `before` (a,) and of `after` (b,): (a, b), widths of the
    face. Both are frame numbers in the order they are played; `cyclic` ones go on at their beginning, others
    end, and there the gap is infinite. `place` (n, m) as in `Bearing`."""
    reach = max(1, round(_AROUND_S * fps))
    total = np.zeros((len(before), len(after)), np.float32)
    for step in (-reach, 0, reach):
        one, other = _at(place, before, step, cyclic[0]), _at(place, after, step, cyclic[1])
        total += ((one[:, None] - other[None]) ** 2).sum(2)
    return np.sqrt(np.where(np.isfinite(total), total, np.inf) / 3)


def _at(place: Floats, order: Ints, step: int, cyclic: bool) -> Floats:
    index = np.arange(len(order)) + step
    if cyclic:
        return place[order[index % len(order)]]
    there = (index >= 0) & (index < len(order))
    found = place[order[np.clip(index, 0, len(order) - 1)]].copy()
    # Not infinite: the difference of two would be no number, and so is this, but then everywhere.
    found[~there] = np.nan
    return found
