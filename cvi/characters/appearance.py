"""Appearance of generated characters: lineages, hair, beards, clothes, rooms and lamps that go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

Rgb = tuple[float, float, float]
Parameters = dict[str, Any]

EYES: dict[str, Rgb] = {
    "black": (0.045, 0.020, 0.009),
    "brown": (0.075, 0.034, 0.014),
    "hazel": (0.110, 0.070, 0.028),
    "green": (0.085, 0.115, 0.055),
    "grey": (0.16, 0.21, 0.26),
    "blue": (0.10, 0.22, 0.34),
}
HAIR: dict[str, tuple[Rgb, Rgb]] = {  # at the root, at the tip
    "black": ((0.016, 0.012, 0.011), (0.026, 0.019, 0.016)),
    "dark": ((0.035, 0.020, 0.012), (0.060, 0.034, 0.020)),
    "brown": ((0.075, 0.036, 0.018), (0.14, 0.068, 0.034)),
    "auburn": ((0.13, 0.048, 0.022), (0.27, 0.11, 0.05)),
    "red": ((0.24, 0.070, 0.020), (0.40, 0.14, 0.05)),
    "blond": ((0.32, 0.20, 0.09), (0.50, 0.35, 0.18)),
    "grey": ((0.15, 0.145, 0.14), (0.27, 0.265, 0.26)),
    "white": ((0.36, 0.35, 0.34), (0.50, 0.49, 0.47)),
}


@dataclass(frozen=True, slots=True)
class Lineage:
    """Features that occur together. `skin`: the lighter and the deeper end; `curl`: 0 straight .. 1 coily."""

    skin: tuple[Rgb, Rgb]
    hair: tuple[str, ...]
    eyes: tuple[str, ...]
    curl: tuple[float, float]
    nose_width: float
    nose_bridge: float
    nose_out: float
    nose_hump: float
    cheekbone: float
    eye_depth: float
    epicanthus: float
    lips: float
    mouth_out: float


LINEAGES = (
    Lineage(
        ((0.60, 0.345, 0.26), (0.53, 0.295, 0.21)), ("blond", "red", "auburn", "brown", "dark"),
        ("blue", "grey", "green", "hazel", "brown"), (0.0, 0.55), 0.92, 0.92, 0.65, 0.15, 0.5, 0.6, 0.0,
        0.95, 0.4,
    ),
    Lineage(
        ((0.52, 0.285, 0.19), (0.38, 0.195, 0.12)), ("black", "dark", "brown"),
        ("brown", "hazel", "green"), (0.1, 0.7), 1.0, 1.02, 0.75, 0.45, 0.6, 0.8, 0.0, 0.98, 0.5,
    ),
    Lineage(
        ((0.58, 0.345, 0.235), (0.45, 0.25, 0.16)), ("black", "black", "dark"), ("black", "brown"),
        (0.0, 0.2), 1.0, 1.0, 0.30, -0.05, 0.8, 0.15, 0.65, 0.98, 0.5,
    ),
    Lineage(
        ((0.40, 0.21, 0.125), (0.24, 0.115, 0.065)), ("black", "black", "dark"), ("black", "brown", "hazel"),
        (0.0, 0.5), 1.0, 0.98, 0.60, 0.20, 0.5, 0.65, 0.0, 1.05, 0.6,
    ),
    Lineage(
        ((0.24, 0.115, 0.064), (0.10, 0.045, 0.026)), ("black",), ("black", "brown"), (0.75, 1.0), 1.24,
        1.10, 0.38, 0.0, 0.75, 0.5, 0.0, 1.22, 0.85,
    ),
    Lineage(
        ((0.44, 0.23, 0.145), (0.28, 0.135, 0.080)), ("black", "dark", "brown"), ("brown", "black", "hazel"),
        (0.0, 0.8), 1.10, 1.04, 0.50, 0.15, 0.75, 0.45, 0.1, 1.08, 0.65,
    ),
)  # fmt: skip
ROOMS: dict[str, tuple[Rgb, ...]] = {
    "study": ((0.10, 0.155, 0.17), (0.085, 0.10, 0.14), (0.13, 0.14, 0.10)),
    "office": ((0.20, 0.15, 0.11), (0.13, 0.16, 0.15), (0.17, 0.18, 0.20)),
    "living": ((0.28, 0.25, 0.20), (0.34, 0.36, 0.38), (0.22, 0.26, 0.25)),
    "kitchen": ((0.22, 0.24, 0.22), (0.30, 0.31, 0.30), (0.18, 0.22, 0.25)),
    "loft": ((0.20, 0.085, 0.055), (0.16, 0.17, 0.20)),
    "garden": ((0.30, 0.30, 0.26),),
    "studio": ((0.16, 0.165, 0.20), (0.20, 0.16, 0.14), (0.10, 0.16, 0.17)),
}
LIGHTINGS: tuple[Mapping[str, Sequence[float]], ...] = (
    {"key": (-0.58, 0.52, 0.78), "fill_colour": (0.36, 0.42, 0.54)},
    {"key": (0.55, 0.5, 0.75), "fill": (-0.8, 0.05, 0.6), "catch": (0.26, 0.38, 0.88)},
    {"key": (-0.62, 0.55, 0.70), "key_colour": (2.3, 1.95, 1.6), "rim_colour": (1.8, 1.5, 1.2)},
    {
        "key": (0.60, 0.5, 0.72), "key_colour": (2.05, 1.9, 1.75), "fill": (-0.8, 0.05, 0.6),
        "catch": (0.26, 0.38, 0.88), "rim": (-0.75, 0.35, -0.55), "rim2": (0.8, 0.3, -0.6),
    },
)  # fmt: skip
CLOTHS: tuple[Rgb, ...] = (
    (0.045, 0.15, 0.17), (0.03, 0.042, 0.075), (0.22, 0.03, 0.05), (0.055, 0.085, 0.06), (0.42, 0.30, 0.50),
    (0.50, 0.10, 0.085), (0.16, 0.165, 0.175), (0.55, 0.30, 0.05), (0.55, 0.53, 0.48), (0.10, 0.20, 0.36),
    (0.30, 0.14, 0.06), (0.02, 0.022, 0.025),
)  # fmt: skip


def hair_of(rng: Random, woman: bool, years: float, lineage: Lineage) -> tuple[Parameters, Parameters, Rgb]:
    """The sections `hair` and `look`, and the scalp's colour."""
    colour = rng.choice(lineage.hair)
    if years > 55 or (years > 46 and rng.random() < 0.4):
        colour = rng.choice(("grey", "grey", "white"))
    root, tip = HAIR[colour]
    brow = tuple(round(0.55 * channel, 4) for channel in root)
    pale = root[0] > 0.2
    look: Parameters = {
        "colour": list(root),
        "tip": list(tip),
        "brow": list(brow),
        "root": 0.88 if pale else 0.65,
        "gloss": [round(rng.uniform(0.4, 0.7), 2), 0.42],
        "width_px": 0.8,
        "grey": round(rng.uniform(0.05, 0.3), 2) if years > 40 and colour in ("black", "dark") else 0.0,
    }
    scalp: Rgb = (round(root[0] * 1.3, 3), round(root[1] * 1.3, 3), round(root[2] * 1.3, 3))
    curl, seed = rng.uniform(*lineage.curl), rng.randrange(1000)
    common: Parameters = {"seed": seed}
    if not woman and rng.random() < (years - 25) / 110:
        return {"count": 0}, look, scalp
    if curl > 0.72:
        big = rng.uniform(0.30, 0.44) if woman else rng.uniform(0.06, 0.16)
        style = {
            "style": "coily", "count": 44000, "length": round(big, 3), "guides": 3200, "turns": 6.0,
            "curl": round(0.020 + 0.03 * big, 3), "lift": 0.85, "sides": round(rng.uniform(0.55, 0.85), 2),
        }  # fmt: skip
        look["width_px"], look["gloss"] = 0.75, [0.3, 0.3]
    elif curl > 0.60:
        style = {
            "style": "coily", "count": 32000, "length": round(rng.uniform(0.30, 0.42), 3), "guides": 520,
            "turns": 2.6, "curl": 0.062, "lift": 0.45, "sides": 0.4, "frizz": 0.014,
        }  # fmt: skip
        look["root"] = max(look["root"], 0.8)
    elif woman and rng.random() < 0.2:
        style = {
            "style": "bun", "count": 44000, "volume": 0.06, "curl": 0.02, "frame": round(rng.random(), 2),
        }  # fmt: skip
    elif woman:
        style = {
            "style": "long", "count": 50000, "length": round(rng.choice((1.0, 1.1, 1.6, 1.8, 2.05)), 2),
            "part": round(rng.choice((0.0, 0.14, -0.16)), 2), "volume": round(rng.uniform(0.07, 0.11), 3),
            "curl": round(0.01 + 0.08 * curl, 3), "turns": round(1 + 1.5 * curl, 2),
            "fringe": 1.0 if rng.random() < 0.2 else 0.0, "frame": round(rng.uniform(0.3, 0.9), 2),
            "tuck": round(rng.choice((0.0, 0.0, 0.8)), 1),
        }  # fmt: skip
    else:
        style = {
            "style": "short", "count": 28000, "length": round(rng.uniform(0.18, 0.60), 3),
            "volume": round(rng.uniform(0.05, 0.16), 3), "sides": round(rng.uniform(0.2, 0.45), 2),
            "sweep": round(rng.uniform(-0.8, 0.8), 2), "lift": round(rng.uniform(0.4, 1.0), 2),
            "forward": round(rng.choice((0.0, 0.1, 0.7)), 2), "part": round(rng.choice((0.0, -0.2, 0.2)), 2),
            "recede": round(max(rng.gauss((years - 35) / 90, 0.08), 0.0), 2), "guides": 650,
            "curl": round(0.008 + 0.05 * curl, 3), "turns": 1.4,
        }  # fmt: skip
    return {**common, **style}, look, scalp


def beard_of(rng: Random, woman: bool, years: float) -> Parameters | None:
    """`BeardOptions` of a generated character; None for no beard."""
    if woman or rng.random() < 0.55:
        return None
    kind = rng.choice(("full", "full", "short", "goatee", "moustache"))
    grey = round(min(max((years - 40) / 40, 0.0), 0.6), 2)
    seed = rng.randrange(1000)
    if kind == "moustache":
        return {"count": 2600, "length": 0.050, "sides": 0.0, "chin": 0.0, "grey": grey, "seed": seed}
    if kind == "goatee":
        return {"count": 4800, "length": 0.052, "sides": 0.0, "grey": grey, "seed": seed}
    length = rng.uniform(0.035, 0.05) if kind == "short" else rng.uniform(0.055, 0.08)
    high = round(rng.uniform(0.1, 0.6), 2)
    return {"count": 13000, "length": round(length, 3), "high": high, "grey": grey, "seed": seed}


def brows_of(rng: Random, strong: float) -> Parameters:
    """`BrowOptions` of a generated character; `strong` 0 a soft face .. 1 a rugged one."""
    return {
        "thick": round(0.028 + 0.018 * strong + rng.gauss(0, 0.003), 4),
        "arch": round(min(max(0.058 - 0.04 * strong + rng.gauss(0, 0.006), 0.01), 0.07), 4),
        "height": round(0.248 - 0.014 * strong + rng.gauss(0, 0.004), 4),
        "count": round(650 + 200 * strong),
        "seed": rng.randrange(1000),
    }


def lashes_of(rng: Random, woman: bool) -> Parameters:
    """`LashOptions` of a generated character."""
    length = rng.uniform(0.030, 0.042) if woman else rng.uniform(0.018, 0.027)
    return {"length": round(length, 4), "count": 110 if woman else 95, "width_px": 0.7 if woman else 0.55}


def clothes_of(rng: Random, woman: bool) -> Parameters:
    """Shape parameters of a garment (`garments.GARMENTS`) and its colours."""
    garment = rng.choice((0, 1, 3, 4, 5, 6, 6) if woman else (0, 0, 1, 2, 3, 4, 7))
    cloth = rng.choice(CLOTHS)
    if garment == 2:
        cloth = rng.choice(((0.42, 0.50, 0.62), (0.60, 0.60, 0.60), (0.25, 0.33, 0.30)))
    if garment in (1, 7):
        cloth = rng.choice(((0.03, 0.042, 0.075), (0.10, 0.075, 0.055), (0.06, 0.062, 0.07)))
    return {
        "garment": garment,
        "cloth": list(cloth),
        "undershirt": list(rng.choice(((0.60, 0.64, 0.70), (0.045, 0.05, 0.055), (0.55, 0.50, 0.44)))),
        "knit": 1 if garment in (0, 3, 5) and rng.random() < 0.6 else 0,
        "stripes": 1.0 if garment == 0 and rng.random() < 0.2 else 0.0,
    }
