"""Calibration of the jaw: a finished replica's drawings are tracked, and the requested jaw is scaled up where
the lips part less than requested.

A network draws a mouth that it never saw with the same head a little too closed. How much is measured with
the face tracker that read the footage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cvi.face.base import Controls, FaceSettings
from cvi.face.neural.renderer import NeuralEngine
from cvi.face.neural.rig import RIG, load_rig, rig_bytes
from cvi.face.planes import to_rgb
from cvi.files import write_bytes
from cvi.perception.face_detection import FaceTracker
from cvi.training.arrays import Floats
from cvi.training.audio.mouth_controls import scaled_jaw
from cvi.training.footage.mouth_space import opening, upright_opening
from cvi.training.footage.preparation import PreparedFootage

_FRAMES, _EVERY_S = 80, 0.2
_LEAST_FOUND = 40
_MOST = 1.35
"""The largest gain; a fit that exceeds it is wrong."""


def calibrate(
    folder: Path, prepared: PreparedFootage, spoken: Sequence[Controls], tracker: Callable[[], FaceTracker]
) -> float:
    """Scale the jaw in the rig of the replica in `folder`; returns the gain, 1 for none.

    `spoken` are the requested mouths of speech, the only ones that matter.
    Raises EngineError from the tracker, CviError where the disk refuses.
    """
    rig = load_rig(folder / RIG)
    face = NeuralEngine(FaceSettings(folder, int(rig.size[0]), int(rig.size[1]), round(rig.fps)))
    face_tracker = tracker()
    requested: list[Floats] = []
    tracked: list[Floats] = []
    try:
        for index in range(_FRAMES):
            mouth = spoken[index * len(spoken) // _FRAMES]
            controls = replace(mouth, moment_s=index * _EVERY_S, activity="speaking")
            found = face_tracker.see(np.ascontiguousarray(to_rgb(face.render(controls)))).landmarks
            if found is not None:
                requested.append(rig.mouth(controls))
                tracked.append(found)
    finally:
        face_tracker.close()
        face.close()
    if len(tracked) < _LEAST_FOUND:
        return 1.0
    wanted = opening(prepared.space.decode(np.stack(requested)))
    shown = upright_opening(np.stack(tracked), prepared.space.reference)
    slope = float(np.polyfit(wanted, shown, 1)[0])
    gain = min(max(1.0 / max(slope, 1e-6), 1.0), _MOST)
    wider = replace(rig.mouth, weights=scaled_jaw(rig.mouth.weights, gain, 0.0))
    write_bytes(folder / RIG, rig_bytes(replace(rig, mouth=wider)))
    return gain
