"""The mouth, drawn for any control vector from the baked basis."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.sculpted.atlas import Atlas
from cvi.face.sculpted.morph import Bytes, Curves, Floats, Morph, fetch
from cvi.face.sculpted.planes import Fit, Planes, feather, to_planes
from cvi.face.sculpted.shapes import Basis

MOST = 4  # patches mixed in one frame: two openings of two shapes are exact
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
        mixed: list[Bytes] = []
        total = 0.0
        for patch, maps in zip(patches, self._morph.maps(weights, patches), strict=True):
            luma, *chroma = self._patches[patch]
            bent = fetch([luma], maps) + fetch(chroma, maps, halved=True)
            total += float(shares[patch])
            part = float(shares[patch]) / total
            if mixed:
                bent = [
                    np.asarray(cv2.addWeighted(old, 1 - part, new, part, 0), np.uint8)
                    for old, new in zip(mixed, bent, strict=True)
                ]
            mixed = bent
        return Planes(*mixed)


def _few(weights: Floats) -> Floats:
    """Weights of which at most `MOST` count, changing continuously with the ones given."""
    if len(weights) <= MOST:
        return weights
    floor = np.partition(weights, -MOST - 1)[-MOST - 1]
    shares = np.maximum(weights - floor, 0)
    total = float(shares.sum())
    return weights if total <= 1e-6 else np.asarray(shares / total, np.float32)
