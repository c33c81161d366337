"""Moves from frame to frame, on landmarks that are known exactly; and a film of ours read by the mesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvi.bench.layers.landmarks import (
    LEFT_CHEEK,
    LOWER_LIP,
    MESH,
    RIGHT_CHEEK,
    UPPER_LIP,
    Landmarks,
    blinking,
    counted_steps,
    lip_moves,
    measure_film,
    opening_steps,
    steady_moves,
)
from cvi.errors import MissingError, UsageError
from cvi.face.base import Controls, FaceSettings
from cvi.face.replica import find_replica
from cvi.face.sculpted import build
from cvi.perception.face_mesh import find_packages
from cvi.rendering.output import encode_segment

FRAMES = 30
LIDS = {159: (140, 145), 145: (140, 155), 33: (120, 150), 133: (160, 150),
        386: (240, 145), 374: (240, 155), 362: (220, 150), 263: (260, 150)}  # fmt: skip


def face() -> Landmarks:
    """A still one, 200 pixels wide."""
    spots = np.random.default_rng(1).uniform(100, 300, (1, MESH, 2))
    spots[:, LEFT_CHEEK], spots[:, RIGHT_CHEEK] = (100, 200), (300, 200)
    spots[:, UPPER_LIP], spots[:, LOWER_LIP] = (200, 240), (200, 240)
    for place, spot in LIDS.items():
        spots[:, place] = spot
    points = np.repeat(spots, FRAMES, axis=0).astype(np.float32)
    return Landmarks(points, np.ones(FRAMES, bool))


def test_lips_that_part_move_the_lips_alone() -> None:
    landmarks = face()
    landmarks.points[10:, LOWER_LIP, 1] += 12
    assert steady_moves(landmarks).max() < 1e-5
    assert lip_moves(landmarks)[9] == pytest.approx(6.0, abs=0.01)
    assert opening_steps(landmarks)[9] == pytest.approx(6.0, abs=0.01)
    assert opening_steps(landmarks).sum() == pytest.approx(6.0, abs=0.02)


def test_blinks_cuts_and_lost_faces_are_no_jumps() -> None:
    landmarks = face()
    for upper in (159, 386):
        landmarks.points[5:7, upper, 1] += 8
    landmarks.points[15:] += np.float32(60)
    landmarks.points[20] = np.nan
    landmarks.found[20] = False
    steps = counted_steps(landmarks, ~blinking(landmarks))
    assert np.flatnonzero(~steps).tolist() == [4, 5, 6, 14, 19, 20]
    assert steady_moves(landmarks)[steps].max() < 1e-5


def test_a_file_that_is_no_film_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(UsageError):
        measure_film(tmp_path / "text.mp4", 5.0)


def test_a_face_that_speaks_moves_its_lips_and_one_at_rest_does_not(tmp_path: Path) -> None:
    try:
        find_packages()
    except MissingError:
        pytest.skip("the face mesh is not here (`cvi replica setup`)")
    drawn = build(FaceSettings(find_replica("june"), 640, 360))
    spoken = [Controls(jaw=0.5 * (k // 2 % 2)) for k in range(24)]
    encode_segment(drawn, [*[Controls()] * 24, *spoken], 25, tmp_path / "film.mp4", lambda: False)
    drawn.close()
    variant = measure_film(tmp_path / "film.mp4", 10.0)
    found = {figure.name: figure.values for figure in variant.figures}
    assert np.mean(found["face_found"]) == 1.0 and len(found["face_found"]) == 48
    assert max(found["lip_jump_percent"][:20]) < 1.5 and max(found["jump_percent"][:20]) < 1.5
    assert sorted(found["opening_step_percent"])[-8] > 4.0
