"""The mouth for any control vector, blended from baked mouth shapes by weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.base import Controls
from cvi.face.planes import Box, Floats, Planes, feather, mixed, to_planes
from cvi.face.sculpted.atlas import Atlas, FrameFit
from cvi.face.sculpted.patch_warp import PatchCurves, PatchWarp, bend_planes
from cvi.face.sculpted.pose import jaw_share

FAMILIES: dict[str, tuple[float, ...]] = {
    "neutral": (0.0, 0.05, 0.12, 0.22, 0.35, 0.5, 0.7, 1.0),
    "neutral_smile": (0.0, 0.05, 0.12, 0.22, 0.35, 0.5, 0.7, 1.0),
    "wide": (0.0, 0.05, 0.12, 0.22, 0.35, 0.5, 0.75),
    "wide_smile": (0.0, 0.05, 0.12, 0.22, 0.35, 0.55),
    "round": (0.0, 0.05, 0.12, 0.22, 0.35, 0.5, 0.75),
    "frown": (0.0, 0.05, 0.12, 0.25, 0.5),
    "tongue": (0.15, 0.25, 0.4, 0.55),
    "tuck": (0.0,),
    "press": (0.0,),
    "press_smile": (0.0,),
}
"""Families of mouth shapes, and the openings of the jaw at which each is baked."""

FUSED = 0.2
"""In patches baked with a smaller jaw the lips stick together, whatever their curves say."""
PARTED = 0.08
"""From this jaw on only the picture of an open mouth is used, warped to the gap of the curves."""

LIPS_FIRST, LIPS_WITHIN = 0.06, 0.04
"""Lips part slightly before the jaw falls: by the first share of the jaw's way, most of it within the
second."""


@dataclass(frozen=True, slots=True)
class MouthBasis:
    """The n baked patches: `families` (n,) names, `jaws` (n,) openings."""

    families: tuple[str, ...]
    jaws: npt.NDArray[np.float32]

    def weights(self, controls: Controls) -> npt.NDArray[np.float32]:
        """Weights (n,) of the patches, non-negative, summing to one; continuous in every control.

        Earlier shapes win: press (shut whatever the jaw does), then tuck, tongue, round, wide.
        """
        out = np.zeros(len(self.families), np.float32)
        jaw = drawn_jaw(controls.jaw)
        smile = _unit(controls.smile)
        frown = _unit(-controls.smile)
        left = 1.0
        for family, share in (
            ("press", controls.press),
            ("tuck", controls.tuck),
            ("tongue", controls.tongue),
            ("round", controls.round),
            ("wide", controls.wide),
            ("neutral", 1.0),
        ):
            weight = left * _unit(share)
            left -= weight
            if weight <= 0:
                continue
            if family in ("press", "wide", "neutral") and smile > 0:
                self._spread(out, f"{family}_smile", jaw, weight * smile)
                weight *= 1 - smile
            if family == "neutral" and frown > 0:
                self._spread(out, "frown", jaw, weight * frown)
                weight *= 1 - frown
            self._spread(out, family, jaw, weight)
        return out

    def pictures(self, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Weights (n,) for mixing pictures, while the curves blend by `weights`; continuous in them.

        Patches between the shut mouth and the first one that shows teeth are skipped: in them the lips stick
        together, so that they would part late.
        """
        out = weights.copy()
        for family in set(self.families):
            first = self.families.index(family)
            jaws = self.jaws[first : first + self.families.count(family)]
            if jaws[0] > 0 or jaws[-1] < FUSED:
                continue
            open_ = int(np.argmax(jaws >= FUSED))
            low = weights[first : first + open_ + 1]
            total = float(low.sum())
            if total <= 0:
                continue
            part = min(float(low @ jaws[: open_ + 1]) / total / PARTED, 1.0)
            shown = part * part * (3 - 2 * part)
            out[first : first + open_ + 1] = 0
            out[first], out[first + open_] = total * (1 - shown), total * shown
        return out

    @property
    def references(self) -> list[int]:
        """For each patch the index of a similar one, for `PatchWarp.align`: for neutral ones the next smaller
        opening, for the others the neutral one with the nearest jaw, for the first itself."""
        neutral = [k for k, family in enumerate(self.families) if family == "neutral"]
        nearest = [min(neutral, key=lambda k: abs(float(self.jaws[k] - jaw))) for jaw in self.jaws]
        return [max(k - 1, neutral[0]) if k in neutral else nearest[k] for k in range(len(self.jaws))]

    def _spread(self, out: npt.NDArray[np.float32], family: str, jaw: float, weight: float) -> None:
        """Share `weight` between the two baked openings around `jaw`."""
        first = self.families.index(family)
        levels = self.jaws[first : first + self.families.count(family)]
        place = float(np.interp(jaw, levels, np.arange(len(levels), dtype=np.float32)))
        low = min(int(place), len(levels) - 1)
        high = min(low + 1, len(levels) - 1)
        out[first + low] += weight * (1 - (place - low))
        out[first + high] += weight * (place - low)


def drawn_jaw(jaw: float) -> float:
    """The baked opening that shows `jaw`, both 0..1; 0 -> 0 and 1 -> 1.

    A linear jaw would leave resting lips closed for a fifth of its range, where people's part at once. Tuned
    with `cvi bench lips`: measured opening against requested.
    """
    jaw = _unit(jaw)
    return jaw + LIPS_FIRST * (1 - math.exp(-jaw / LIPS_WITHIN)) * (1 - jaw) ** 2


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)


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
