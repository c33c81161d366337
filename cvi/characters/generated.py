"""A generated character: parameters drawn from a seed, baked into a replica of the user's own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import yaml

from cvi.characters import PARAMETERS_FILE
from cvi.characters.appearance import (
    EYES,
    LIGHTINGS,
    LINEAGES,
    ROOMS,
    Lineage,
    beard_of,
    brows_of,
    clothes_of,
    hair_of,
    lashes_of,
)
from cvi.errors import CviError, MissingError, UsageError
from cvi.face.replica import CARD, check_name, find_replica
from cvi.face.sculpted.atlas import ATLAS_FILE
from cvi.files import sha256_of, write_text
from cvi.paths import replicas_dir
from cvi.yaml_document import read_yaml


def generate_character(name: str, seed: int, like: str | None, threads: int) -> Path:
    """Generate a character from `seed` and bake it; returns its replica folder. Takes minutes.

    `like` names a stock replica whose features are varied; None starts from nobody. `threads` bake. A bake
    that was stopped is resumed by the same arguments. Raises UsageError where the name is taken by another
    replica, MissingError without numba, CviError where baking fails.
    """
    check_name(name)
    if find_spec("numba") is None:
        raise MissingError("Baking a face needs numba.", "Install it with: pip install 'cvi-local[train]'")
    if not 1 <= threads <= 64:
        raise UsageError(f"--threads {threads} cannot be.", "Give a number from 1 to 64.")
    from cvi.characters.baker import BakeOptions, made_of

    folder = replicas_dir() / name
    parent = find_replica(like) if like is not None else None
    parameters = generate_parameters(seed, parent.name if parent else None)
    source = yaml.safe_dump(parameters, sort_keys=False, allow_unicode=True)
    if (folder / CARD).exists() or (folder.exists() and _stored_parameters(folder) != source):
        raise UsageError(f"There is a replica '{name}' already.", "Choose another name, or delete it first.")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / PARAMETERS_FILE, source)
    done = subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", "cvi.characters", str(folder), "--threads", str(threads)],
        check=False,
    )
    if done.returncode or not (folder / ATLAS_FILE).exists():
        raise CviError(f"Baking {name} was not finished.", "Give the same command again to go on.")
    card = {
        "name": name.replace("-", " ").title(),
        "kind": "stock",
        "renderer": "sculpted",
        "description": f"Invented from seed {seed}" + (f", after {parent.name}." if parent else "."),
        "source": "modelled by code, no person's likeness",
        "licence": "Apache-2.0",
        "files": {file: sha256_of(folder / file) for file in (ATLAS_FILE, PARAMETERS_FILE)},
        "made_of": made_of(parameters, BakeOptions()),
    }
    # The card is written last: a folder without it is not a replica yet.
    write_text(folder / CARD, yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100))
    return folder


def _stored_parameters(folder: Path) -> str | None:
    file = folder / PARAMETERS_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None


Parameters = dict[str, Any]
# Standard deviations of a varied character's features about those of the one named.
VARIATION_SPREAD = {"factor": 0.045, "amount": 0.14}
_AMOUNTS = (
    "jaw_angle chin_out cheekbone temple brow_ridge cheek_fat ear_out nose_out nose_hump nose_up hood "
    "eye_depth eye_round crease"
).split()
_FACTORS = (
    "face_width face_length forehead jaw_width chin_width neck nose_length nose_width nose_bridge nose_tip "
    "eye_size lip_upper lip_lower mouth_width ear_size torso_width"
).split()


def generate_parameters(seed: int, like: str | None = None) -> Parameters:
    """Parameters of a new character, as in a `character.yaml`; the same seed gives the same ones.

    `like` names a stock replica to vary: bones, skin and hair stay near its own, while cut, clothes and room
    are new. Raises MissingError for an unknown replica, UsageError for one that was not sculpted.
    """
    rng = Random(f"cvi person {seed}")
    return _new_character(rng) if like is None else _variation(rng, like)


@dataclass(frozen=True, slots=True)
class _Build:
    """`strong` 0 a soft face .. 1 a rugged one; `years` 20 .. 75."""

    strong: float
    years: float
    woman: bool

    @property
    def age(self) -> float:
        return min(max((self.years - 38) / 30, 0.0), 1.0)


def _new_character(rng: Random) -> Parameters:
    woman = rng.random() < 0.5
    years = min(max(rng.gauss(40, 15), 20), 75)
    strong = min(max(rng.gauss(0.25 if woman else 0.70, 0.13), 0.0), 1.0)
    build = _Build(strong, years, woman)
    lineage = rng.choice(LINEAGES)
    shape = _bones(rng, build, lineage)
    shape.update(_colours(rng, build, lineage))
    return _dressed(rng, build, lineage, shape)


def _bones(rng: Random, build: _Build, lineage: Lineage) -> Parameters:
    strong, age = build.strong, build.age

    def near(middle: float, spread: float, low: float, high: float) -> float:
        return min(max(rng.gauss(middle, spread), low), high)

    heavy = near(0.5, 0.22, 0.05, 1.0)  # one measure of plumpness behind many
    shape = {
        "smile": near(0.27, 0.05, 0.15, 0.38),
        "face_width": near(0.97 + 0.04 * strong + 0.03 * (heavy - 0.5), 0.02, 0.92, 1.07),
        "face_length": near(0.92 + 0.10 * strong, 0.03, 0.88, 1.09),
        "forehead": near(1.0, 0.015, 0.97, 1.04),
        "jaw_width": near(0.80 + 0.26 * strong, 0.03, 0.80, 1.12),
        "jaw_angle": near(0.05 + 0.75 * strong, 0.15, 0.0, 1.0),
        "chin_width": near(0.70 + 0.45 * strong, 0.07, 0.72, 1.22),
        "chin_out": near(0.45 + 0.2 * strong, 0.12, 0.2, 0.9),
        "chin_cleft": near(-0.4 + 0.6 * strong, 0.4, 0.0, 0.8),
        "cheekbone": near(lineage.cheekbone, 0.15, 0.2, 1.0),
        "cheek_fat": near(0.15 + 0.6 * heavy + 0.25 * (1 - strong), 0.10, 0.1, 1.0),
        "hollow": near(0.8 * (0.6 - heavy) + 0.3 * strong, 0.15, 0.0, 0.8),
        "temple": near(0.5, 0.15, 0.1, 0.9),
        "brow_ridge": near(0.15 + 0.8 * strong, 0.12, 0.1, 1.0),
        "double_chin": near(0.9 * (heavy - 0.6) + 0.3 * age, 0.12, 0.0, 0.7),
        "jowl": near(0.8 * age - 0.15, 0.12, 0.0, 0.8),
        "bags": near(0.8 * age, 0.15, 0.0, 1.0),
        "ear_size": near(0.98 + 0.08 * age, 0.05, 0.88, 1.15),
        "ear_out": near(0.5, 0.2, 0.1, 1.0),
        "neck": near(0.80 + 0.36 * strong + 0.08 * (heavy - 0.5), 0.03, 0.82, 1.26),
        "adam": 0.0 if build.woman else near(0.6 - 0.4 * heavy, 0.25, 0.0, 1.0),
        "torso_width": near(0.82 + 0.34 * strong, 0.04, 0.82, 1.2),
        "shoulder_slope": near(0.5, 0.15, 0.1, 0.9),
        "nose_length": near(0.90 + 0.12 * strong + 0.05 * age, 0.05, 0.84, 1.17),
        "nose_width": near(lineage.nose_width + 0.10 * (strong - 0.5), 0.06, 0.80, 1.36),
        "nose_bridge": near(lineage.nose_bridge + 0.12 * (strong - 0.5), 0.05, 0.80, 1.22),
        "nose_out": near(lineage.nose_out, 0.12, 0.2, 1.0),
        "nose_hump": near(lineage.nose_hump, 0.2, -0.2, 0.9),
        "nose_tip": near(0.98, 0.05, 0.88, 1.12),
        "nose_up": near(0.62 - 0.3 * strong, 0.15, 0.1, 0.95),
        "eye_size": near(0.99 - 0.14 * strong - 0.03 * age, 0.03, 0.82, 1.03),
        "eye_x": near(0.30, 0.006, 0.288, 0.312),
        "eye_cant": near(0.085 - 0.06 * age, 0.03, -0.02, 0.14),
        "eye_round": near(0.5, 0.18, 0.1, 0.95),
        "eye_depth": near(lineage.eye_depth, 0.12, 0.1, 0.95),
        "lid_open": near(0.40 - 0.05 * lineage.epicanthus, 0.018, 0.34, 0.435),
        "lid_low": near(0.43 - 0.06 * lineage.epicanthus, 0.015, 0.36, 0.46),
        "epicanthus": near(lineage.epicanthus, 0.12, 0.0, 0.9) if lineage.epicanthus else 0.0,
        "crease": near(0.7 - 0.5 * lineage.epicanthus, 0.12, 0.1, 0.9),
        "hood": near(0.08 + 0.3 * strong + 0.4 * age, 0.12, 0.0, 0.7),
        "lip_upper": near(lineage.lips - 0.10 * strong - 0.12 * age, 0.08, 0.70, 1.32),
        "lip_lower": near(lineage.lips - 0.04 * strong - 0.08 * age, 0.07, 0.75, 1.30),
        "mouth_width": near(0.95 + 0.07 * strong, 0.03, 0.90, 1.07),
        "mouth_out": near(lineage.mouth_out, 0.12, 0.2, 1.0),
        "age": age if build.years > 30 else 0.0,
    }
    return {name: round(value, 3) for name, value in shape.items()}


def _colours(rng: Random, build: _Build, lineage: Lineage) -> Parameters:
    place = rng.random()
    light, deep = lineage.skin
    skin = [round(a + (b - a) * place, 3) for a, b in zip(light, deep, strict=True)]
    pale = skin[0] > 0.45
    redder = rng.uniform(0.9, 1.1)
    lips = [round(skin[0] * 0.70 + 0.03, 3), round(skin[1] * 0.38 * redder, 3), round(skin[2] * 0.50, 3)]
    made_up = build.woman and rng.random() < 0.6
    return {
        "skin": skin,
        "lips": lips,
        "iris": list(EYES[rng.choice(lineage.eyes)]),
        "freckles": round(rng.uniform(0.3, 1.0), 2) if pale and rng.random() < 0.3 else 0.0,
        "blush": round((1.0 if pale else 0.6) * rng.uniform(0.8, 1.25), 2),
        "oil": round(rng.uniform(0.75, 1.0) if pale else rng.uniform(0.5, 0.75), 2),
        "liner": round(rng.uniform(0.6, 0.95) if made_up else rng.uniform(0.2, 0.45), 2),
        "eye_shadow": round(rng.uniform(0.1, 0.5), 2) if made_up else 0.0,
        "earrings": round(rng.uniform(0.28, 0.45), 2) if build.woman and rng.random() < 0.4 else 0.0,
    }


def _dressed(rng: Random, build: _Build, lineage: Lineage, shape: Parameters) -> Parameters:
    """Add hair, clothes, glasses, room and light to `shape`."""
    hair, look, scalp = hair_of(rng, build.woman, build.years, lineage)
    if scalp[0] > 0.26:  # under light hair skin shows
        scalp = (shape["skin"][0] * 0.72, shape["skin"][1] * 0.72, shape["skin"][2] * 0.72)
    beard = beard_of(rng, build.woman, build.years)
    shape = {**shape, **clothes_of(rng, build.woman), "scalp": [round(c, 3) for c in scalp]}
    if beard is None and not build.woman:
        shape["stubble"] = round(rng.uniform(0.2, 0.85), 2)
    if rng.random() < 0.15 + 0.25 * build.age:
        shape.update(
            glasses=1,
            glasses_round=round(rng.uniform(2.0, 3.8), 1),
            glasses_height=round(rng.uniform(0.86, 1.02), 2),  # brows above them are free to rise
            glasses_rim=round(rng.uniform(0.7, 1.1), 2),
            frame=rng.choice([[0.02, 0.016, 0.014], [0.10, 0.035, 0.015], [0.03, 0.04, 0.09]]),
        )
    kind = rng.choice(sorted(ROOMS))
    parameters = {
        "shape": shape,
        "hair": hair,
        "look": look,
        "brows": brows_of(rng, build.strong),
        "lashes": lashes_of(rng, build.woman),
        "lights": {name: list(value) for name, value in rng.choice(LIGHTINGS).items()},
        "room": {
            "kind": kind,
            "wall": list(rng.choice(ROOMS[kind])),
            "seed": rng.randrange(100),
            "mirror": rng.random() < 0.5,
        },
    }
    return parameters if beard is None else {**parameters, "beard": beard}


def _variation(rng: Random, like: str) -> Parameters:
    path = find_replica(like) / PARAMETERS_FILE
    if not path.is_file():
        raise UsageError(f"The replica '{like}' was not modelled by parameters.", "Choose a stock one.")
    known: Parameters = read_yaml(path)
    shape: Parameters = dict(known.get("shape") or {})
    for name in _FACTORS:
        shape[name] = round(float(shape.get(name, 1.0)) * (1 + rng.gauss(0, VARIATION_SPREAD["factor"])), 3)
    for name in _AMOUNTS:
        moved = float(shape.get(name, 0.4)) + rng.gauss(0, VARIATION_SPREAD["amount"])
        shape[name] = round(min(max(moved, 0.0), 1.0), 3)
    tone = rng.uniform(0.92, 1.08)
    if "skin" in shape:
        shape["skin"] = [round(channel * tone, 3) for channel in shape["skin"]]
    woman = float(shape.get("jaw_width", 1.0)) < 0.93
    for name in ("garment", "knit", "stripes", "cloth", "undershirt"):
        shape.pop(name, None)
    shape.update(clothes_of(rng, woman))
    hair: Parameters = dict(known.get("hair") or {})
    hair["seed"] = rng.randrange(1000)
    if hair.get("count") and "length" in hair:
        hair["length"] = round(float(hair["length"]) * rng.uniform(0.8, 1.15), 3)
    kind = rng.choice(sorted(ROOMS))
    room = {"kind": kind, "wall": list(rng.choice(ROOMS[kind])), "seed": rng.randrange(100)}
    return {**known, "shape": shape, "hair": hair, "room": room}
