"""A character's parameters: `character.yaml` in the replica's folder, and the record that compiled code
reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cvi.characters.backdrop import RoomOptions
from cvi.characters.face_hair import BeardOptions, BrowOptions, LashOptions
from cvi.characters.hairstyles import HairOptions
from cvi.characters.kernel import Params
from cvi.errors import MissingError, UsageError
from cvi.yaml_document import read_yaml

Options = TypeVar("Options")
Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class HairLook:
    """How strands take light; colours linear. `tip`, `brow` and `beard` default to `colour`."""

    colour: Rgb = (0.13, 0.048, 0.022)
    tip: Rgb | None = None
    brow: Rgb | None = None
    beard: Rgb | None = None
    grey: float = 0.0  # share of strands that are grey
    width_px: float = 1.05
    gloss: tuple[float, float] = (0.5, 0.35)
    root: float = 0.62
    thick: float = 1.5


@dataclass(frozen=True, slots=True)
class Character:
    """All of a character. `shape`: values of SCALARS, COLOURS and the resting POSE; `lights` as in
    `camera.DEFAULTS`."""

    shape: dict[str, Any]
    hair: HairOptions
    look: HairLook
    brows: BrowOptions
    lashes: LashOptions
    beard: BeardOptions
    room: RoomOptions
    lights: dict[str, list[float]]


def load_parameters(path: Path) -> dict[str, Any]:
    """The mapping in a parameter file, its values not checked. Raises MissingError, UsageError."""
    if not path.is_file():
        raise MissingError(
            f"There is no character file at {path}.", "Copy a shipped one and change its numbers."
        )
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no mapping.", "Begin with 'shape:'.")
    return data


def load_character(path: Path) -> Character:
    """Read and check a parameter file. Raises MissingError, UsageError."""
    data = load_parameters(path)
    sections = [field.name for field in fields(Character)]
    for name in data:
        _known(str(name), sections, path)
    return Character(
        shape=data.get("shape") or {},
        hair=_options(HairOptions, data.get("hair"), path),
        look=_options(HairLook, data.get("look"), path),
        brows=_options(BrowOptions, data.get("brows"), path),
        lashes=_options(LashOptions, data.get("lashes"), path),
        beard=_options(BeardOptions, data.get("beard"), path),
        room=_options(RoomOptions, data.get("room"), path),
        lights=data.get("lights") or {},
    )


def _known(name: str, names: list[str], path: Path) -> None:
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(names)}."
        raise UsageError(f"{path}: there is no '{name}'.", hint)


def _options(kind: type[Options], data: Any, path: Path) -> Options:
    given = data or {}
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        _known(str(name), names, path)
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})


# Zero is neutral for all of these; the same meaning as in `cvi.face.base.Controls`, in radians-free units.
POSE = (
    "jaw wide round press tuck tongue smile lip_raise lid_left lid_right squint gaze_x gaze_y "
    "brow_left brow_right furrow"
).split()
# Factors are 1 as a rule and useful within about 0.8 .. 1.25; amounts are 0 .. 1.
SCALARS: dict[str, float] = {
    # bones: factors
    "face_width": 1.0,
    "face_length": 1.0,  # from the mouth down
    "forehead": 1.0,  # height of the skull above the eyes
    "jaw_width": 1.0,
    "chin_width": 1.0,
    # bones: amounts
    "jaw_angle": 0.5,  # how much the corner of the jaw stands out
    "chin_out": 0.5,
    "chin_cleft": 0.0,
    "cheekbone": 0.5,
    "temple": 0.4,  # hollow of the temples
    "brow_ridge": 0.4,
    # flesh: amounts
    "cheek_fat": 0.5,
    "hollow": 0.0,  # under the cheekbones
    "jowl": 0.0,
    "double_chin": 0.0,
    "bags": 0.0,  # under the eyes
    "philtrum": 0.5,
    # ears, neck, shoulders
    "ear_size": 1.0,
    "ear_out": 0.5,
    "neck": 1.0,
    "adam": 0.0,
    "sinew": 0.5,  # how clear the neck's muscles and the collarbones are
    "torso_width": 1.0,
    "shoulder_slope": 0.5,
    # nose
    "nose_length": 1.0,
    "nose_width": 1.0,  # across the wings
    "nose_bridge": 1.0,  # width of the bridge
    "nose_out": 0.5,  # how far it stands out
    "nose_hump": 0.0,
    "nose_tip": 1.0,
    "nose_up": 0.4,  # tip turned up
    # eyes
    "eye_size": 0.92,
    "eye_x": 0.30,
    "eye_y": 0.02,
    "eye_depth": 0.5,  # how deep they lie
    "eye_cant": 0.08,
    "eye_round": 0.5,
    "lid_open": 0.40,
    "lid_low": 0.43,
    "lid_peak": 0.0,  # where the upper lid is highest: -1 inside .. 1 outside
    "crease": 0.6,
    "crease_high": 0.30,
    "hood": 0.2,  # fold of skin over the upper lid
    "epicanthus": 0.0,
    "iris_size": 1.0,
    # lips
    "lip_upper": 1.0,
    "lip_lower": 1.0,
    "mouth_width": 1.0,
    "bow": 1.0,  # depth of Cupid's bow
    "mouth_out": 0.5,  # how far the teeth carry the lips forward
    # skin
    "age": 0.0,
    "freckles": 0.0,
    "blush": 1.0,
    "stubble": 0.0,
    "stubble_low": 0.0,  # upper edge of the stubble, lower by this
    "eye_shadow": 0.0,
    "liner": 0.6,
    "oil": 1.0,
    # clothes and glasses
    "garment": 0.0,  # see `garments.GARMENTS`
    "knit": 1.0,
    "stripes": 0.0,
    "earrings": 0.0,  # radius, in 0.1 head units
    "glasses": 0.0,
    "glasses_width": 1.0,
    "glasses_height": 1.0,
    "glasses_round": 3.2,  # exponent of the rim: 2 an ellipse, 4 nearly a box
    "glasses_rim": 1.0,
}
COLOURS: dict[str, tuple[float, float, float]] = {
    "skin": (0.60, 0.335, 0.235),
    "lips": (0.46, 0.13, 0.13),
    "iris": (0.10, 0.26, 0.30),
    "cloth": (0.05, 0.16, 0.20),
    "undershirt": (0.70, 0.66, 0.60),
    "scalp": (0.11, 0.045, 0.02),
    "frame": (0.02, 0.016, 0.014),
    "metal": (0.75, 0.52, 0.22),
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
                f"Did you mean '{near[0]}'?" if near else "See cvi/characters/character.py.",
            )
        try:
            record[name] = np.asarray(value, dtype=float)
        except (TypeError, ValueError) as error:
            raise UsageError(f"The shape number '{name}' cannot be {value!r}.", "Give a number.") from error
    for name, added in (pose or {}).items():
        record[name] = float(record[name]) + added if name != "eye_mode" else added
    return record
