"""The numbers that make a head: one record per character and pose, read by name in compiled code."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import numpy as np

from cvi.errors import UsageError
from cvi.face.sculpted.bake.kernel import Params

# Zero is neutral for all of these; the same meaning as in `cvi.face.base.Controls`, in radians-free units.
POSE = (
    "jaw wide round press tuck tongue smile lip_raise lid_left lid_right squint gaze_x gaze_y "
    "brow_left brow_right furrow"
).split()
SCALARS: dict[str, float] = {
    "face_width": 1.0,
    "face_length": 0.84,
    "jaw_width": 1.0,
    "taper": 0.20,
    "chin": 1.0,
    "cheek": 1.0,
    "brow_ridge": 0.5,
    "ear_size": 1.0,
    "neck": 1.0,
    "torso_width": 1.0,
    "nose_length": 1.0,
    "nose_width": 1.0,
    "nose_tip": 1.0,
    "eye_size": 1.0,
    "eye_x": 0.30,
    "eye_y": 0.02,
    "eye_cant": 0.06,
    "lid_open": 0.345,
    "iris_size": 1.0,
    "lip_upper": 1.0,
    "lip_lower": 1.0,
    "mouth_width": 1.0,
    "age": 0.0,
    "freckles": 0.0,
    "blush": 1.0,
    "stubble": 0.0,
    "eye_shadow": 0.0,
    "liner": 1.0,
    "oil": 1.0,
    "blazer": 0.0,
    "glasses": 0.0,
}
COLOURS: dict[str, tuple[float, float, float]] = {
    "skin": (0.60, 0.335, 0.235),
    "lips": (0.46, 0.13, 0.13),
    "iris": (0.10, 0.26, 0.30),
    "cloth": (0.05, 0.16, 0.20),
    "undershirt": (0.70, 0.66, 0.60),
    "scalp": (0.11, 0.045, 0.02),
    "frame": (0.02, 0.016, 0.014),
}
RECORD = np.dtype(
    [(name, "f8") for name in POSE]
    + [(name, "f8") for name in SCALARS]
    + [("eye_mode", "f8")]  # 0 as seen, 1 eyeballs emit nothing, 2 emit one, 3 are white and lit
    + [(name, "f8", (3,)) for name in COLOURS]
)

NAMES = tuple(RECORD.names or ())


def make_params(shape: Mapping[str, object], pose: Mapping[str, float] | None = None) -> Params:
    """Defaults, then the character's `shape`, then `pose` added to it.

    Raises `UsageError` for a name or a value that is not one of the above.
    """
    record = np.zeros(1, RECORD)[0]
    for name, value in {**SCALARS, **COLOURS}.items():
        record[name] = value
    for name, value in shape.items():
        if name not in NAMES or name == "eye_mode":
            near = get_close_matches(name, NAMES, n=1)
            raise UsageError(
                f"A character has no shape number '{name}'.",
                f"Did you mean '{near[0]}'?" if near else "See cvi/face/sculpted/bake/params.py.",
            )
        try:
            record[name] = np.asarray(value, dtype=float)
        except (TypeError, ValueError) as error:
            raise UsageError(f"The shape number '{name}' cannot be {value!r}.", "Give a number.") from error
    for name, added in (pose or {}).items():
        record[name] = float(record[name]) + added if name != "eye_mode" else added
    return record
