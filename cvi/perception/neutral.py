"""This person's own neutral face, to which everything else refers.

It is the median of the first seconds, and later of the calm moments of the last two minutes, in which people
mostly look at the screen with a face at rest.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from cvi.perception.face_measures import FaceMeasures

CALIBRATION_S = 3.0
_LONGEST_LOOK_BACK_S = 120.0
_SAMPLE_EVERY_S = 0.25
_RECALCULATE_S = 2.0
_MEASURES = (
    "brows", "yaw", "pitch", "roll", "width", "eyes", "iris_x", "iris_y", "mouth_width", "corners",
)  # fmt: skip


class NeutralFace:
    """The usual measures of one face. Frames in order of time."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, npt.NDArray[np.float64]]] = deque()
        self._usual: dict[str, float] = {}
        self._calculated_s = 0.0
        self.since_s: float | None = None
        """When this face was seen first, seconds."""

    @property
    def known(self) -> bool:
        """Whether the first seconds are over."""
        return bool(self._usual)

    def usual(self, face: FaceMeasures) -> dict[str, float]:
        """The usual measures by their names; before they are known, those of `face` itself."""
        return self._usual or {name: float(getattr(face, name)) for name in _MEASURES}

    def learn(self, face: FaceMeasures, t_s: float, calm: bool) -> None:
        """Take a frame into account. Later only calm ones: long smiles and looks aside are no new neutral."""
        if self.since_s is None:
            self.since_s = t_s
        samples = self._samples
        calibrating = t_s - self.since_s < CALIBRATION_S
        if calibrating or not samples or (calm and t_s - samples[-1][0] >= _SAMPLE_EVERY_S):
            samples.append((t_s, np.array([getattr(face, name) for name in _MEASURES], np.float64)))
        while t_s - samples[0][0] > _LONGEST_LOOK_BACK_S:
            samples.popleft()
        if not calibrating and (not self._usual or t_s - self._calculated_s > _RECALCULATE_S):
            self._calculated_s = t_s
            middle = np.median([values for _, values in samples], axis=0)
            self._usual = dict(zip(_MEASURES, middle.tolist(), strict=True))

    def forget(self) -> None:
        """Somebody else may come."""
        self._samples.clear()
        self._usual = {}
        self.since_s = None
