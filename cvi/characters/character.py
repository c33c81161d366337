"""A character's parameter file: `character.yaml` in the replica's folder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml

from cvi.characters.face_hair import BeardOptions, BrowOptions, LashOptions
from cvi.characters.hairstyles import HairOptions
from cvi.characters.room import RoomOptions
from cvi.errors import MissingError, UsageError

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
    """`shape`: the numbers of `params.SCALARS`, `COLOURS` and the resting pose."""

    shape: dict[str, Any]
    hair: HairOptions
    look: HairLook
    brows: BrowOptions
    lashes: LashOptions
    beard: BeardOptions
    room: RoomOptions
    lights: dict[str, list[float]]


def load_character(path: Path) -> Character:
    """Read and check a parameter file. Raises `MissingError`, `UsageError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingError(
            f"There is no character file at {path}.", "Copy a shipped one and change its numbers."
        ) from error
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}.", "Mend the line named.") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no mapping.", "Begin with 'shape:'.")
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
