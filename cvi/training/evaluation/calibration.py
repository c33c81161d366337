"""What is drawn, against what was asked: a finished replica is watched, and its jaw asked for more where its
lips part less than they should.

A network that is told a mouth with a head it never saw it with draws a little less of it. How much less is
seen by the same face tracker that read the footage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.face.base import Controls, FaceSettings
from cvi.face.neural.renderer import NeuralEngine
from cvi.face.neural.rig import RIG, load_rig, rig_bytes
from cvi.face.planes import to_rgb
from cvi.files import write_bytes
from cvi.training.audio.mouth_controls import scaled_jaw
from cvi.training.footage.mouth_space import opening, upright_opening
from cvi.training.footage.preparation import PreparedFootage
from cvi.training.footage.tracking import FaceTracker

_LOOKS, _EVERY_S = 80, 0.2
_LEAST_FOUND = 40
_MOST = 1.35
"""More than this no drawing falls short; a fit that says so is wrong."""


def calibrate(
    folder: Path, prepared: PreparedFootage, spoken: Sequence[Controls], tracker: Callable[[], FaceTracker]
) -> float:
    """Scale the jaw in the rig of the replica in `folder`; how much it is asked for more, 1 for nothing.

    `spoken` are mouths as they are asked for in speech: what is drawn of any others does not matter.
    Raises EngineError from the tracker, CviError where the disk refuses.
    """
    rig = load_rig(folder / RIG)
    face = NeuralEngine(FaceSettings(folder, int(rig.size[0]), int(rig.size[1]), round(rig.fps)))
    eyes = tracker()
    asked: list[npt.NDArray[np.float32]] = []
    seen: list[npt.NDArray[np.float32]] = []
    try:
        for look in range(_LOOKS):
            mouth = spoken[look * len(spoken) // _LOOKS]
            controls = replace(mouth, moment_s=look * _EVERY_S, activity="speaking")
            found = eyes.see(np.ascontiguousarray(to_rgb(face.render(controls)))).landmarks
            if found is not None:
                asked.append(rig.mouth(controls))
                seen.append(found)
    finally:
        eyes.close()
        face.close()
    if len(seen) < _LEAST_FOUND:
        return 1.0
    wanted = opening(prepared.space.decode(np.stack(asked)))
    shown = upright_opening(np.stack(seen), prepared.space.reference)
    slope = float(np.polyfit(wanted, shown, 1)[0])
    gain = min(max(1.0 / max(slope, 1e-6), 1.0), _MOST)
    wider = replace(rig.mouth, weights=scaled_jaw(rig.mouth.weights, gain, 0.0))
    write_bytes(folder / RIG, rig_bytes(replace(rig, mouth=wider)))
    return gain
