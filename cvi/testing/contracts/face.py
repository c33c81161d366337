"""What every face engine must do."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import numpy as np

from cvi.face.base import Activity, Controls, FaceEngine
from cvi.media.frames import Frame

EVERYTHING = ("jaw", "wide", "round", "lid_left", "lid_right", "gaze_x", "yaw", "pitch", "roll", "smile")


def check_face(engine: FaceEngine, moves: tuple[str, ...] = EVERYTHING) -> None:
    """Raise `AssertionError` unless `engine` keeps the Protocol's promises.

    `moves` are the controls that must change the picture: a renderer of footage has eyes and head of its own.
    """
    assert engine.name and engine.width % 2 == 0 and engine.height % 2 == 0
    rest = _check_frame(engine, engine.render(Controls()))
    kept = rest.copy()
    rest[:] = 0  # the array is ours: what we do to it must not show in the next frame
    assert np.array_equal(engine.render(Controls()), kept), "the same controls gave another frame"
    assert kept.std() > 5, "the frame is empty"
    for activity in get_args(Activity):
        _check_frame(engine, engine.render(Controls(activity=activity)))
    for name in (field.name for field in fields(Controls) if field.name != "activity"):
        for value in (-1.0, 0.37, 1.0, 50.0):
            _check_frame(engine, engine.render(_posed(name, value)))
    for name in moves:
        amount = 6.0 if name in ("yaw", "pitch", "roll") else 1.0
        moved = engine.render(_posed(name, amount))
        assert not np.array_equal(moved, kept), f"'{name}' changes nothing"
    assert np.array_equal(engine.render(Controls()), kept), "the face does not come back to rest"


def _posed(name: str, value: float) -> Controls:
    pose: dict[str, Any] = {name: value}
    return Controls(**pose)


def _check_frame(engine: FaceEngine, frame: Frame) -> Frame:
    assert frame.dtype == np.uint8
    assert frame.shape == (engine.height * 3 // 2, engine.width)
    luma, chroma = frame[: engine.height], frame[engine.height :]
    assert luma.min() >= 15 and luma.max() <= 236, "luma leaves the limited range"
    assert chroma.min() >= 15 and chroma.max() <= 241, "chroma leaves the limited range"
    return frame
