"""Where a person's eyes are in their footage, and how far they were seen to look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cvi.face.neural.gaze import Eyes
from cvi.training.blinks import Blink
from cvi.training.geometry import moved, smoothed

Floats = npt.NDArray[np.float32]

EDGES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
"""Of each eye the upper and the lower lid's edge, from the viewer's left to the right."""
RINGS = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
"""Middle of each iris, and four points on its edge."""
_STEADY_FRAMES = 1.0
_RARE = 0.01
"""The share of frames in which the eyes look farther aside than is shown: trackers err."""


def eyes_of(
    landmarks: Floats,
    matrices: Floats,
    usable: npt.NDArray[np.bool_],
    blinks: Sequence[Blink],
    pieces: Sequence[tuple[int, int]],
) -> Eyes:
    """Of every frame of the footage. `landmarks` (n, 478, 3), gaps filled; `matrices` (n, 2, 3) of the lower
    face's crops; `usable` (n,) frames that may be shown; `blinks`, which are shown open; `pieces` as in
    `Prepared`."""
    points = [point for eye in EDGES for edge in eye for point in edge] + [
        point for ring in RINGS for point in ring
    ]
    spots = moved(landmarks[:, points, :2], matrices)
    opened = usable.copy()
    for blink in blinks:
        opened[blink.first : blink.end] = False
        # As what is shown of them: the eyes before and after, held by the head.
        before, after = spots[blink.first - 1], spots[min(blink.end, len(spots) - 1)]
        for index in range(blink.first, blink.end):
            share = (index - blink.first + 1) / (blink.end - blink.first + 1)
            spots[index] = before * (1 - share) + after * share
    spots = smoothed(spots, list(pieces), _STEADY_FRAMES)
    back = np.stack([_inverse(matrix) for matrix in matrices])
    spots = moved(spots, back)
    count = len(spots)
    lids = spots[:, :36].reshape(count, 2, 2, 9, 2)
    rings = spots[:, 36:].reshape(count, 2, 5, 2)
    middles = rings[:, :, 0]
    radii = np.linalg.norm(rings[:, :, 1:] - middles[:, :, None], axis=3).mean(2)
    irises = np.concatenate([middles, radii[..., None]], 2)
    looks = _looks(lids, middles)[opened if opened.any() else usable]
    least, most = np.quantile(looks, (_RARE, 1 - _RARE), axis=0)
    return Eyes(lids, irises.astype(np.float32), least.astype(np.float32), most.astype(np.float32))


def _looks(lids: Floats, middles: Floats) -> Floats:
    """(n, 2) right and down from the middle between the corners, half lengths of the eye, both eyes' mean."""
    left, right = lids[:, :, :, 0].mean(2), lids[:, :, :, -1].mean(2)
    along = (right - left) / 2
    square = (along**2).sum(2)
    away = middles - (left + right) / 2
    across = np.stack([-along[..., 1], along[..., 0]], -1)
    found = (
        np.stack([(away * along).sum(2), (away * across).sum(2)], -1) / np.maximum(square, 1e-6)[..., None]
    )
    return np.asarray(found.mean(1), np.float32)


def _inverse(matrix: Floats) -> Floats:
    turn = np.linalg.inv(matrix[:, :2].astype(np.float64))
    return np.hstack([turn, -turn @ matrix[:, 2:]]).astype(np.float32)
