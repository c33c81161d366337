"""Calibration: a replica that draws less than requested gets a larger jaw gain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from puppet import FACE_PX, FPS, SIZE, Puppet, posed, template

from cvi.face.base import Controls, FaceSettings
from cvi.face.neural.rig import HINTS, JAW_TERMS, TERMS, MouthMap
from cvi.media.frames import Frame
from cvi.perception.face_detection import FaceDetection
from cvi.training.evaluation import calibration
from cvi.training.footage.mouth_space import learn_space, opening


@dataclass(frozen=True)
class StandIn:
    """A rig without pictures."""

    size: tuple[int, int]
    fps: float
    mouth: MouthMap


@pytest.mark.parametrize(("drawn", "wanted"), [(0.8, 1.25), (1.0, 1.0), (1.2, 1.0), (0.4, 1.35)])
def test_the_jaw_is_scaled_by_what_the_lips_fall_short(
    drawn: float, wanted: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    puppet = Puppet.make(4.0)
    space = learn_space(puppet.track().landmarks)
    shut, wide = (
        space.encode(posed(template(gap), np.array([96.0, 74.0]), 0.0, FACE_PX)[None])[0]
        for gap in (0.0, 0.16)
    )
    weights = np.zeros((TERMS, len(shut)), np.float32)
    weights[JAW_TERMS[0]] = wide - shut
    far = np.full_like(shut, 1e3)
    mouth = MouthMap(shut, shut, weights, np.zeros_like(shut), -far, far, np.array([1e3], np.float32))
    rig = StandIn(SIZE, FPS, mouth)
    kept: list[StandIn] = []

    class Face:
        last = Controls()

        def __init__(self, settings: FaceSettings) -> None:
            assert settings.replica == tmp_path

        def render(self, controls: Controls) -> Frame:
            Face.last = controls
            return np.zeros((SIZE[1] * 3 // 2, SIZE[0]), np.uint8)

        def close(self) -> None: ...

    class Eyes:
        name = "told"

        def see(self, rgb: np.ndarray) -> FaceDetection:
            asked = opening(space.decode(mouth(Face.last)[None]))[0]
            return FaceDetection(
                posed(template(drawn * float(asked)), np.array([96.0, 74.0]), 0.0, FACE_PX), 1
            )

        def close(self) -> None: ...

    monkeypatch.setattr(calibration, "load_rig", lambda path: rig)
    monkeypatch.setattr(calibration, "NeuralEngine", Face)
    monkeypatch.setattr(calibration, "rig_bytes", lambda rig: kept.append(rig) or b"")
    prepared = knowing(space)
    spoken = [Controls(jaw=0.8 * abs(np.sin(0.7 * k))) for k in range(300)]
    gain = calibration.calibrate(tmp_path, prepared, spoken, Eyes)  # type: ignore[arg-type]
    assert gain == pytest.approx(wanted, abs=0.04)
    grown = kept[0].mouth.weights
    assert np.allclose(grown[JAW_TERMS[0]], gain * weights[JAW_TERMS[0]], atol=1e-5)
    assert not grown[list(HINTS)].any()


def knowing(space: object) -> object:
    """As much of `Prepared` as is looked at."""

    @dataclass
    class Known:
        space: object

    return Known(space)
