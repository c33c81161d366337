"""The mouth's interior: teeth above, tongue below, darkness, and nothing behind closed lips."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from puppet import FACE_PX, posed, template

from cvi.training.footage.face_geometry import LIPS
from cvi.training.footage.mouth_space import INTERIOR_VALUES, mouth_interior

SIDE = 96
NOSE = np.array([48.0, 30.0])


def mouth(opening: float, upper: int, lower: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """A crop whose lips are `opening` apart, with a grey each in the upper and the lower half between them."""
    points = posed(template(opening), NOSE, 0.0, FACE_PX)
    inner = points[list(LIPS[20:]), :2]
    picture = np.full((SIDE, SIDE, 3), 150, np.uint8)
    middle = (inner[:11] + inner[[0, *range(19, 9, -1)]]) / 2
    for edge, grey in ((inner[:11], upper), (inner[[0, *range(19, 9, -1)]], lower)):
        outline = np.concatenate([edge, middle[::-1]])
        cv2.fillPoly(picture, [np.rint(outline).astype(np.int32)], (grey, grey, grey))
    return picture, points


def test_teeth_and_darkness_differ_at_the_same_outline() -> None:
    shapes = [
        (0.16, 220, 30),
        (0.16, 30, 30),
        (0.16, 220, 120),
        (0.1, 220, 30),
        (0.1, 30, 120),
        (0.0, 220, 220),
    ]
    made = [mouth(*shape) for shape in shapes]
    crops = np.stack([picture for picture, _ in made])
    landmarks = np.stack([points for _, points in made])
    matrices = np.repeat(np.eye(2, 3, dtype=np.float32)[None], len(shapes), 0)
    found = mouth_interior(crops, landmarks, matrices, np.ones(len(shapes), np.bool_))
    assert found.shape == (len(shapes), INTERIOR_VALUES)
    assert np.array_equal(found[5], [0, 0])
    teeth, dark = found[[0, 2, 3], 0], found[[1, 4], 0]
    assert teeth.min() > 0.3 > -0.3 > dark.max()
    assert found[[2, 4], 1].min() > found[[0, 1, 3], 1].max() + 1
    # The same teeth behind a smaller opening are as bright.
    assert abs(found[0, 0] - found[3, 0]) < 0.4


def test_closed_lips_have_no_interior() -> None:
    picture, points = mouth(0.0, 220, 220)
    found = mouth_interior(
        picture[None], points[None], np.eye(2, 3, dtype=np.float32)[None], np.ones(1, np.bool_)
    )
    assert not found.any()
