"""Baking a replica's folder: step by step, each kept on disk until the atlas is whole."""

from __future__ import annotations

import hashlib
import io
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvi.characters.bakery import Bakery
from cvi.characters.camera import HEIGHT_PX
from cvi.characters.character import load_character
from cvi.errors import UsageError
from cvi.face.replica import write_hashes
from cvi.face.sculpted.atlas import FORMAT
from cvi.files import write_bytes

REVISION = 4  # raise when the baker draws differently, so that half-baked steps are not mixed
HEIGHTS = (720, 900, 1080)  # all patches have whole sides at these
Report = Callable[[int, int, str], None]  # steps done, steps in all, what comes next


@dataclass(frozen=True, slots=True)
class BakeOptions:
    """`height`: pixels of the whole picture, one of `HEIGHTS`; `quality`: WebP's, of the mouths, 1..100."""

    height: int = 720
    quality: int = 96

    def __post_init__(self) -> None:
        if self.height not in HEIGHTS:
            known = ", ".join(map(str, HEIGHTS))
            raise UsageError(
                f"An atlas cannot be baked {self.height} pixels high.", f"Choose one of {known}."
            )


def bake_key(source: bytes, options: BakeOptions) -> str:
    """What an atlas was made of, in 16 hex digits: the parameter file, the baker's revision, the options.

    It stands in the atlas as `made_of`, so that an atlas older than its parameters can be told.
    """
    told = f"{REVISION} {FORMAT} {options.height} {options.quality} "
    return hashlib.sha256(told.encode() + source).hexdigest()[:16]


def bake(
    folder: Path,
    threads: int = 2,
    options: BakeOptions | None = None,
    report: Report | None = None,
    seconds: float | None = None,
) -> Path | None:
    """Bake `folder/character.yaml` into `folder/atlas.npz`, and renew the hashes in `replica.yaml`.

    Steps are kept in `folder/.bake` until the atlas is written, so an interrupted bake goes on where it
    was. `seconds`: stop after about so long; returns None when steps are left. Raises `MissingError`,
    `UsageError` for the parameter file.
    """
    options = options or BakeOptions()
    source = folder / "character.yaml"
    character = load_character(source)
    key = bake_key(source.read_bytes(), options)
    kept = folder / ".bake" / key
    kept.mkdir(parents=True, exist_ok=True)
    for other in (folder / ".bake").iterdir():
        if other != kept:
            shutil.rmtree(other)
    began = time.monotonic()
    bakery = Bakery(character, threads, options.quality, options.height / HEIGHT_PX)
    steps = bakery.steps()
    arrays: dict[str, Any] = {"made_of": np.array(key)}
    for number, (name, action) in enumerate(steps):
        path = kept / f"{number:02d}.npz"
        found = _load(path)
        if found is None:
            if seconds is not None and time.monotonic() - began > seconds:
                return None
            if report is not None:
                report(number, len(steps), name)
            found = action()
            write_bytes(path, _packed(found))
        elif number == 0:
            bakery.remember(found)
        arrays.update({n: value for n, value in found.items() if not n.startswith("_")})
    atlas = folder / "atlas.npz"
    write_bytes(atlas, _packed(arrays))
    if (folder / "replica.yaml").exists():
        write_hashes(folder)
    shutil.rmtree(folder / ".bake")
    return atlas


def _packed(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _load(path: Path) -> dict[str, Any] | None:
    """A kept step, or None when it is not here or was not written whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
