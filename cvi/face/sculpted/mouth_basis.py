"""The baked mouth shapes, and the weights by which a control vector blends them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.face.base import Controls

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
