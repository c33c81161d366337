"""The mouth for any control vector, blended from baked patches."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.planes import Box, Floats, Planes, feather, mixed, to_planes
from cvi.face.sculpted.atlas import Atlas, FrameFit
from cvi.face.sculpted.mouth_basis import MouthBasis
from cvi.face.sculpted.patch_warp import PatchCurves, PatchWarp, bend_planes
from cvi.face.sculpted.pose import jaw_share

DARK = 0.25  # share of the light that reaches what lies behind the narrowest gap
LIT_PX = 18.0  # of 720: gap from which on all light does
BEND = 1.6  # exponent between the two; all three tuned with `cvi bench lips`, with white teeth in a smile
SOFT_PX = 0.8  # of 720
WARM = 5.0  # tint of the dark: added to Cr, and half of it subtracted from Cb
_BLACK, _GREY = 16, 128


class MouthShade:
    """Darkens what lies between hardly parted lips.

    Patches show teeth as bright as they were baked; warped to a narrow gap they would be a bright line where
    real mouths show a dark one, and MediaPipe's mesh takes that for closed lips.
    """

    def __init__(self, unit: float) -> None:
        """`unit`: pixels for one pixel of a picture 720 high."""
        self._unit = unit

    def shade(self, mouth: Planes, x: Floats, upper: Floats, lower: Floats, share: float) -> None:
        """Darken `mouth`, in place, between the inner edges of the lips.

        `upper`, `lower` (t,): rows of the edges at columns `x`, pixels. `share`: strength, 0..1.
        """
        if float((lower - upper).max()) < 0.25 or share < 0.01:
            return
        box = self._shaded_box(mouth, x, upper, lower)
        columns = np.arange(box.x0, box.x1, dtype=np.float32)
        rows = np.arange(box.y0, box.y1, dtype=np.float32)[:, None]
        above, below = (np.interp(columns, x, edge).astype(np.float32) for edge in (upper, lower))
        inside = np.clip(rows - above + 0.5, 0, 1) * np.clip(below - rows + 0.5, 0, 1)
        inside *= (columns > x[0]) & (columns < x[-1])
        # Light comes from above: below the upper lip it is darkest.
        gap = below - above
        reach = 0.5 * gap + np.clip(rows - above, 0, 0.5 * gap)
        dark = share * (1 - DARK) * (1 - np.clip(reach / (LIT_PX * self._unit), 0, 1) ** BEND)
        dark = cv2.GaussianBlur((inside * dark).astype(np.float32), (0, 0), SOFT_PX * self._unit)
        half = cv2.resize(dark, (dark.shape[1] // 2, dark.shape[0] // 2), interpolation=cv2.INTER_AREA)
        luma, cb, cr = mouth.part(box)
        luma[:] = _BLACK + (luma - np.float32(_BLACK)) * (1 - dark) + np.float32(0.5)
        for plane, tint in ((cb, _GREY - 0.5 * WARM), (cr, _GREY + WARM)):
            plane[:] = plane + half * (np.float32(tint) - plane) + np.float32(0.5)

    def _shaded_box(self, mouth: Planes, x: Floats, upper: Floats, lower: Floats) -> Box:
        """The even box that the shading can reach."""
        height, width = mouth.luma.shape
        reach = 3 * SOFT_PX * self._unit + 1
        left, right = max(int(x[0] - reach), 0), min(int(x[-1] + reach) + 2, width)
        top, bottom = max(int(upper.min() - reach), 0), min(int(lower.max() + reach) + 2, height)
        return Box(left // 2 * 2, top // 2 * 2, right // 2 * 2, bottom // 2 * 2)


MOST = 3  # patches mixed in one frame; the lips' position is exact whatever their number
FAINT = 0.04  # patches of a smaller share are left out
FEATHER_PX = 16


class BakedMouth:
    """Draws the mouth's patch `box`, to be laid on the head by `weight`. The same controls give the same
    pixels."""

    def __init__(self, atlas: Atlas, fit: FrameFit) -> None:
        baked = atlas.box("mouth_rect")
        self.box = fit.box(baked)
        width, height = self.box.x1 - self.box.x0, self.box.y1 - self.box.y0
        names = tuple(str(name) for name in atlas.array("mouth_families"))
        self._basis = MouthBasis(names, atlas.floats("mouth_jaws"))
        self._patches = [
            to_planes(fit.image(atlas.image(f"mouth_{k:02d}"), baked)) for k in range(len(names))
        ]
        x, y = atlas.floats("mouth_columns"), atlas.floats("mouth_curves")
        curves = PatchCurves(fit.x(x, self.box), fit.y(y, self.box), True)
        unit = fit.scale * atlas.fineness
        self.weight = feather(self.box, FEATHER_PX * unit)
        sag = jaw_share(atlas, fit, self.box) * (self.weight * np.float32(1 / 255))
        self._warp = PatchWarp(curves, width, height, unit, sag)
        self._warp.align([patch.luma for patch in self._patches], self._basis.references)
        self._shade = MouthShade(unit)
        self._tucked = np.array([name == "tuck" for name in names], np.float32)
        self._last: tuple[bytes, Planes] | None = None

    def draw(self, controls: Controls) -> Planes:
        """The mouth in `box`. Read-only; the same object as before if nothing changed."""
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
        for patch, maps in zip(patches, self._warp.maps(weights, patches), strict=True):
            bent = bend_planes(self._patches[patch], maps)
            total += float(shares[patch])
            part = float(shares[patch]) / total
            drawn = bent if drawn is None else mixed(drawn, bent, part)
        assert drawn is not None
        return drawn

    def _lit(self, drawn: Planes, weights: Floats) -> Planes:
        """With the gap shaded; teeth that rest on the lower lip are in front of it and stay bright."""
        x, upper, lower = self._warp.gap(weights)
        shaded = drawn.copy()
        self._shade.shade(shaded, x, upper, lower, 1 - float(weights @ self._tucked))
        return shaded


def few(weights: Floats) -> Floats:
    """Weights (n,), at most MOST of them not zero, that change continuously with `weights`.

    Strong weights gain on weak ones. In a tie of more than MOST, where no choice is continuous, the first
    win.
    """
    order = np.argsort(-weights, kind="stable")
    strongest, floor = order[:MOST], float(weights[order[MOST]]) if len(order) > MOST else 0.0
    shares = np.zeros_like(weights)
    shares[strongest] = np.square(np.maximum(weights[strongest] - floor, 1e-3 * weights[strongest]))
    shares = np.maximum(shares / shares.sum() - FAINT, 0)
    return np.asarray(shares / shares.sum(), np.float32)
