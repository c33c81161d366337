"""The mouth's basis: which shapes are baked, and how a control vector is made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.face.base import Controls

# Families of mouth shapes; a family is baked at several openings of the jaw.
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


FUSED = 0.2
"""Lips baked with the jaw less open than this stick together in the picture, whatever their curves say."""
PARTED = 0.08
"""From here on an open mouth's picture alone is seen, bent as narrow as the lips' curves say."""

LIPS_FIRST, LIPS_WITHIN = 0.06, 0.04
"""Lips part a little before the jaw falls: by so much of its way, and most of it within so much of it."""


@dataclass(frozen=True, slots=True)
class MouthBasis:
    """What each baked patch shows: `families` (n,) names, `jaws` (n,) openings."""

    families: tuple[str, ...]
    jaws: npt.NDArray[np.float32]

    def weights(self, controls: Controls) -> npt.NDArray[np.float32]:
        """Weights (n,) over the patches, non-negative, summing to one; continuous in every control.

        Contacts win: lips that press stay shut whatever the jaw does, then the tuck, the tongue, the round.
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
        """How much of each patch's picture is seen where the lips lie as `weights` say; continuous in them.

        Patches of hardly open mouths are passed over: between the shut one and the first that shows its
        teeth nothing is gained by them, and lips would open only when the jaw is well on its way.
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
    def likest(self) -> list[int]:
        """For each patch one before it that looks most alike: the first for itself, for the neutral ones the
        next smaller opening, for every other the neutral one whose jaw is next to its own."""
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
    """Which of the baked openings shows a jaw asked to open so far, 0..1; 0 is 0 and 1 is 1.

    A jaw that falls alone leaves lips that rest on each other hardly parted for a fifth of what speech asks
    of it: people's part as soon as they speak. Tuned on `cvi bench lips`: opening against the asked.
    """
    jaw = _unit(jaw)
    return jaw + LIPS_FIRST * (1 - math.exp(-jaw / LIPS_WITHIN)) * (1 - jaw) ** 2


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)
