"""The mouth, drawn for any control vector from the baked basis."""

from __future__ import annotations

import numpy as np

from cvi.face.base import Controls
from cvi.face.planes import Planes, to_planes
from cvi.face.sculpted.atlas import Atlas
from cvi.face.sculpted.morph import Curves, Floats, Morph, bend_planes
from cvi.face.sculpted.planes import Fit, feather, mixed
from cvi.face.sculpted.pose import jaw_share
from cvi.face.sculpted.shapes import Basis
from cvi.face.sculpted.slit import Slit

# Patches mixed in one frame. Where the lips lie is exact whatever their number: only what is seen
# between and around them comes from the patches that weigh most.
MOST = 3
FAINT = 0.04  # a patch that would count for less is left out
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
        curves = Curves(fit.x(x, self.box), fit.y(y, self.box), True)
        unit = fit.scale * atlas.fineness
        self.weight = feather(self.box, FEATHER_PX * unit)
        sag = jaw_share(atlas, fit, self.box) * (self.weight * np.float32(1 / 255))
        self._morph = Morph(curves, width, height, unit, sag)
        self._morph.align([patch.luma for patch in self._patches], self._basis.likest)
        self._slit = Slit(unit)
        self._tucked = np.array([name == "tuck" for name in names], np.float32)
        self._last: tuple[bytes, Planes] | None = None

    def draw(self, controls: Controls) -> Planes:
        """The mouth as it lies in `self.box`. Not to be written to; the same object if nothing changed."""
        weights = self._basis.weights(controls)
        key = weights.tobytes()
        if self._last is None or self._last[0] != key:
            self._last = key, self._lit(self._mix(weights), weights)
        return self._last[1]

    def _mix(self, weights: Floats) -> Planes:
        shares = few(self._basis.pictures(weights))
        patches = [int(k) for k in np.argsort(-shares) if shares[k] > 0]
        if weights[patches[0]] > 0.9999:
            return self._patches[patches[0]]
        drawn: Planes | None = None
        total = 0.0
        for patch, maps in zip(patches, self._morph.maps(weights, patches), strict=True):
            bent = bend_planes(self._patches[patch], maps)
            total += float(shares[patch])
            part = float(shares[patch]) / total
            drawn = bent if drawn is None else mixed(drawn, bent, part)
        assert drawn is not None
        return drawn

    def _lit(self, drawn: Planes, weights: Floats) -> Planes:
        """With what lies behind narrow lips in the dark; teeth that rest on a lip are in front."""
        x, upper, lower = self._morph.gap(weights)
        shaded = drawn.copy()
        self._slit.shade(shaded, x, upper, lower, 1 - float(weights @ self._tucked))
        return shaded


def few(weights: Floats) -> Floats:
    """Weights of which at most `MOST` count, changing continuously with the ones given.

    The strong gain on the weak, so that there is less to mix. Near a tie of all, which no continuous choice
    could break, the first ones win.
    """
    order = np.argsort(-weights, kind="stable")
    kept, floor = order[:MOST], float(weights[order[MOST]]) if len(order) > MOST else 0.0
    shares = np.zeros_like(weights)
    shares[kept] = np.square(np.maximum(weights[kept] - floor, 1e-3 * weights[kept]))
    shares = np.maximum(shares / shares.sum() - FAINT, 0)
    return np.asarray(shares / shares.sum(), np.float32)
