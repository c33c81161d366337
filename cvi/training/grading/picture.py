"""What is wrong in the picture: from per-frame measures to truth values a frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cvi.training.grading.geometry import leaps
from cvi.training.grading.looks import Looks
from cvi.training.grading.spans import Flags, moving_median
from cvi.training.grading.standards import Standards

Series = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

_LEAST_CHANGE = 0.5
"""Grey levels: what noise and compression change."""
_LEAST_LEAP = 0.012
"""Face widths: what the points' own tremble leaps."""
_SURE_CHANGE = 12.0
_PARTS = 12
_KEPT_SHARE = 0.9
_MOST_EXAMPLES = 400
_STRETCH_S, _MOST_STRETCHES = 6.0, 24
_COVERS_S = 0.4
"""Half of the stretch whose median tells."""


def cuts(looks: Looks, standards: Standards) -> list[int]:
    """Frames before which the film was cut: picture and face leap at once, and only once."""
    fresh = np.concatenate([[True], np.diff(looks.source_s) > 1e-6])
    change, leap = looks.change.copy(), np.nan_to_num(leaps(looks.track.landmarks), nan=0.0)
    half = max(round(0.5 * looks.track.fps), 2)
    index = np.flatnonzero(fresh)
    change_over = _over_usual(change[index], half, _LEAST_CHANGE)
    leap_over = _over_usual(leap[index], half, _LEAST_LEAP / 4)
    unusual = change_over > standards.cut_ratio
    both = unusual & (leap_over > standards.cut_ratio) & (leap[index] > _LEAST_LEAP)
    alone = unusual & (change[index] > _SURE_CHANGE)
    found: list[int] = []
    for place in np.flatnonzero(both | alone):
        # A quick movement leaps in several frames; a cut in one. The larger of two neighbours counts.
        neighbours = [n for n in (place - 1, place + 1) if 0 < n < len(index)]
        if all(change[index[n]] < 0.6 * change[index[place]] for n in neighbours):
            found.append(int(index[place]))
    return found


def _over_usual(values: Series, half: int, least: float) -> Series:
    return np.asarray(values / np.maximum(moving_median(values, half), least), np.float64)


def flickers(looks: Looks, standards: Standards) -> Flags:
    """Seconds in which the brightness of everything goes up and down."""
    change = np.abs(looks.brightness)
    half = max(round(looks.track.fps / 2), 2)
    return np.asarray(moving_median(change, half) > standards.most_flicker, np.bool_)


def strangeness(looks: Looks, usable: Flags) -> Series:
    """How far the lower face of each frame is from anything it looks like elsewhere in the film: the mean
    difference, as a share of its brightness, its median over 0.8 s; 0 where not `usable`.

    Each stretch of some seconds is held against principal components of the others, of the nearest nine
    tenths of them: what covers a mouth for a tenth of a short film would else be learned as usual. A mouth
    opened wider than ever passes in less than 0.4 s; a hand does not.
    """
    strange = np.zeros(len(looks.track))
    rows = np.flatnonzero(usable)
    if len(rows) < 4 * _PARTS:
        return strange
    values = looks.patches[rows].reshape(len(rows), -1).astype(np.float32)
    # The light's changes are not the face's.
    values = values / np.maximum(values.mean(1, keepdims=True), 1.0)
    distance = np.linalg.norm(values - np.median(values, axis=0), axis=1)
    stretches = int(np.clip(len(looks.track) / looks.track.fps / _STRETCH_S, 3, _MOST_STRETCHES))
    stretch = rows * stretches // len(looks.track)
    # Nor is its beginning to be learned from its end: the neighbours are left out, where enough is left.
    reach = 1 if stretches >= 5 else 0
    apart = np.zeros(len(rows))
    for number in range(stretches):
        here = stretch == number
        others = np.flatnonzero(np.abs(stretch - number) > reach)
        if not here.any() or len(others) < 2 * _PARTS:
            continue
        others = others[:: max(len(others) // (4 * _MOST_EXAMPLES), 1)]
        middle, basis = _usual(values[others], distance[others])
        apart[here] = _rest(values[here], middle, basis)
    strange[rows] = moving_median(apart, round(_COVERS_S * looks.track.fps))
    return strange


def _usual(values: Floats, distance: Series) -> tuple[Floats, Floats]:
    """Middle (576,) and principal components [parts, 576] of the nearest nine tenths of `values`."""
    for _ in range(2):
        near = values[distance <= np.quantile(distance, _KEPT_SHARE)]
        near = near[:: max(len(near) // _MOST_EXAMPLES, 1)]
        middle = near.mean(0)
        basis = np.linalg.svd(near - middle, full_matrices=False)[2][:_PARTS]
        distance = _rest(values, middle, basis)
    return middle, basis


def _rest(values: Floats, middle: Floats, basis: Floats) -> Series:
    """What the components leave of each row: root of the mean square."""
    rest = values - middle
    return np.asarray(np.sqrt(np.mean((rest - (rest @ basis.T) @ basis) ** 2, axis=1)), np.float64)


def stalled(looks: Looks) -> Flags:
    """Frames that show the film's frame before once more."""
    return np.concatenate([[False], np.diff(looks.source_s) < 1e-6])
