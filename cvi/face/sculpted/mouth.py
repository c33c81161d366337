"""The mouth, drawn for any control vector from the baked basis."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.sculpted.atlas import Atlas
from cvi.face.sculpted.morph import Bytes, Curves, Floats, Morph, fetch
from cvi.face.sculpted.planes import Fit, Planes, feather, to_planes
from cvi.face.sculpted.shapes import Basis

MOST = 4  # patches mixed in one frame
FEATHER_PX = 16


class Mouth:
    """`draw` depends on its controls alone: the same controls give the same pixels."""

    def __init__(self, atlas: Atlas, fit: Fit) -> None:
        baked = atlas.box("mouth_rect")
        self.box = fit.box(baked)
        width, height = self.box.x1 - self.box.x0, self.box.y1 - self.box.y0
        names = tuple(str(name) for name in atlas.array("mouth_families"))
        self._basis = Basis(names, atlas.floats("mouth_jaws"))
        self._patches = [
            to_planes(fit.image(atlas.image(f"mouth_{k:02d}"), baked)) for k in range(len(names))
        ]
        x, y = atlas.floats("mouth_columns"), atlas.floats("mouth_curves")
        self._morph = Morph(Curves(fit.x(x, self.box), fit.y(y, self.box), True), width, height)
        self.weight = feather(self.box, FEATHER_PX * fit.scale)
        self._last: tuple[bytes, Planes] | None = None

    def draw(self, controls: Controls) -> Planes:
        """The mouth's patch for `self.box`. Not to be written to."""
        weights = self._basis.weights(controls)
        key = weights.tobytes()
        if self._last is None or self._last[0] != key:
            self._last = key, self._mix(weights)
        return self._last[1]

    def _mix(self, weights: Floats) -> Planes:
        shares = _few(weights)
        patches = [int(k) for k in np.argsort(-shares) if shares[k] > 1e-4]
        if len(patches) == 1 and weights[patches[0]] > 0.9999:
            return self._patches[patches[0]]
        luma: Bytes | None = None
        chroma: Bytes | None = None
        total = 0.0
        for patch, maps in zip(patches, self._morph.maps(weights, patches), strict=True):
            bent_luma = fetch(self._patches[patch].luma, maps)
            bent_chroma = fetch(self._patches[patch].chroma, maps, halved=True)
            share = float(shares[patch])
            total += share
            if luma is None or chroma is None:
                luma, chroma = bent_luma, bent_chroma
            else:
                part = share / total
                luma = np.asarray(cv2.addWeighted(luma, 1 - part, bent_luma, part, 0), np.uint8)
                chroma = np.asarray(cv2.addWeighted(chroma, 1 - part, bent_chroma, part, 0), np.uint8)
        assert luma is not None and chroma is not None
        return Planes(luma, chroma)


def _few(weights: Floats) -> Floats:
    """Weights of which at most `MOST` count, changing continuously with the ones given."""
    if len(weights) <= MOST:
        return weights
    floor = np.partition(weights, -MOST - 1)[-MOST - 1]
    shares = np.maximum(weights - floor, 0)
    total = float(shares.sum())
    return weights if total <= 1e-6 else np.asarray(shares / total, np.float32)
