"""The lamps: key, fill, two rims from behind, sky and ground. Directions point from the head outwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cvi.characters.kernel import Array
from cvi.errors import UsageError

KEY, FILL, RIM, RIM2, AMBIENT, CATCH = range(6)
DEFAULTS: dict[str, Sequence[float]] = {
    "key": (-0.68, 0.60, 0.68),
    "key_colour": (2.15, 1.88, 1.62),
    "fill": (0.8, 0.05, 0.6),
    "fill_colour": (0.26, 0.33, 0.46),
    "rim": (0.75, 0.35, -0.55),
    "rim_colour": (1.5, 1.4, 1.4),
    "rim2": (-0.8, 0.3, -0.6),
    "rim2_colour": (0.7, 0.85, 1.1),
    "sky": (0.42, 0.46, 0.54),
    "ground": (0.30, 0.22, 0.19),
    "catch": (-0.26, 0.38, 0.88),
}


def make_lights(given: Mapping[str, Sequence[float]]) -> Array:
    """Rows (6, 6): direction xyz and colour rgb of KEY, FILL, RIM, RIM2; sky and ground; the catchlight."""
    unknown = set(given) - set(DEFAULTS)
    if unknown:
        raise UsageError(f"There is no lamp named '{unknown.pop()}'.", f"Lamps: {', '.join(DEFAULTS)}.")
    value = {**DEFAULTS, **given}
    lights = np.zeros((6, 6))
    for row, name in enumerate(("key", "fill", "rim", "rim2")):
        lights[row, :3] = _unit(value[name])
        lights[row, 3:] = value[f"{name}_colour"]
    lights[AMBIENT, :3] = value["sky"]
    lights[AMBIENT, 3:] = value["ground"]
    lights[CATCH, :3] = _unit(value["catch"])
    return lights


def _unit(vector: Sequence[float]) -> Array:
    array = np.asarray(vector, dtype=float)
    return np.asarray(array / np.linalg.norm(array))
