"""What lies behind the lips is as dark as they are narrow; and lips part before the jaw falls."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cvi.face.planes import Planes
from cvi.face.sculpted.mouth import DARK, MouthShade, drawn_jaw

X = np.linspace(20, 80, 41).astype(np.float32)
TEETH, MIDDLE = 200, 40


def mouth(gap: float, share: float = 1.0) -> Planes:
    """A mouth of nothing but teeth, shaded where lips `gap` pixels apart show them."""
    whole = Planes(np.full((80, 100), TEETH, np.uint8), *(np.full((40, 50), 128, np.uint8) for _ in "br"))
    arc = np.sqrt(1 - np.linspace(-1, 1, 41) ** 2).astype(np.float32) * np.float32(gap / 2)
    MouthShade(1.0).shade(whole, X, MIDDLE - arc, MIDDLE + arc, share)
    return whole


def test_narrower_gaps_are_darker() -> None:
    seen = [float(mouth(gap).luma[MIDDLE, 50]) for gap in (4, 8, 16, 24, 60)]
    assert seen == sorted(seen)
    assert seen[0] < 16 + (DARK + 0.15) * (TEETH - 16) and seen[-1] == TEETH


def test_it_is_darkest_below_the_upper_lip() -> None:
    column = mouth(24.0).luma[MIDDLE - 10 : MIDDLE + 9, 50].astype(int)
    assert column[2] < column[9] - 10 and column[9] <= column[-1]


def test_nothing_beside_the_gap_changes() -> None:
    shaded = mouth(10.0)
    assert np.all(shaded.luma[: MIDDLE - 12] == TEETH) and np.all(shaded.luma[MIDDLE + 12 :] == TEETH)
    assert np.all(shaded.luma[:, :14] == TEETH) and np.all(shaded.luma[:, 86:] == TEETH)
    assert np.all(shaded.cb[:8] == 128) and np.all(shaded.cr[32:] == 128)


def test_shut_and_tucked_lips_are_not_shaded() -> None:
    assert np.all(mouth(0.0).luma == TEETH) and np.all(mouth(10.0, share=0.0).luma == TEETH)


def test_shading_changes_smoothly_with_the_gap() -> None:
    seen = [mouth(gap).luma.astype(float).mean() for gap in np.arange(0, 40, 0.25)]
    assert max(abs(b - a) for a, b in pairwise(seen)) < 0.6


def test_drawn_jaw_is_ahead_of_small_jaws_and_keeps_the_ends() -> None:
    assert drawn_jaw(0.0) == 0.0 and drawn_jaw(1.0) == pytest.approx(1.0) and drawn_jaw(3.0) == drawn_jaw(1.0)
    drawn = [drawn_jaw(jaw) for jaw in np.linspace(0, 1, 201)]
    assert all(b > a for a, b in pairwise(drawn))
    assert drawn_jaw(0.05) > 0.085 and drawn_jaw(0.6) < 0.62
