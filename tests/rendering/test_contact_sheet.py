"""The sheet shows every shape, each different from rest."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.face.base import REST, FaceSettings
from cvi.face.replica import find_replica
from cvi.face.sculpted import build
from cvi.rendering.previews import (
    COLUMNS,
    EMOTIONS,
    VISEMES,
    as_png,
    contact_sheet,
    settled_emotion,
    sheet_poses,
    viseme,
)


def test_visemes_and_emotions_differ() -> None:
    shapes = {name: viseme(ipa) for name, ipa in VISEMES.items()}
    assert shapes.pop("rest") == REST
    assert REST not in shapes.values() and len(set(shapes.values())) > 0.7 * len(shapes)
    assert shapes["P B M"].press > 0.8 and shapes["P B M"].jaw == 0.0
    assert shapes["F V"].tuck > 0.8 and shapes["OO"].round > 0.6 < shapes["AH"].jaw + 0.1
    smiles = {emotion: settled_emotion(emotion).smile for emotion in EMOTIONS}
    assert max(smiles, key=lambda emotion: smiles[emotion]) in ("happy", "excited") and min(smiles.values()) < 0


def test_the_sheet_has_a_tile_for_every_pose(tmp_path: object) -> None:
    face = build(FaceSettings(find_replica("june"), 320, 180))
    sheet = contact_sheet(face)
    count = len(list(sheet_poses()))
    tile = round(0.72 * 180)
    assert sheet.shape == (-(-count // COLUMNS) * tile, COLUMNS * tile, 3)
    again = cv2.imdecode(np.frombuffer(as_png(sheet), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(again, sheet)
