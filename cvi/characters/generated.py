"""A generated character: parameters drawn from a seed, baked into a replica of the user's own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import yaml

from cvi.errors import CviError, MissingError, UsageError
from cvi.face.replica import CARD, find_replica
from cvi.face.replica_store import check_name
from cvi.files import sha256_of, write_bytes
from cvi.paths import replicas_dir

_PARAMETERS_FILE = "character.yaml"


def generate_character(name: str, seed: int, like: str | None, threads: int) -> Path:
    """Generate a character from `seed` and bake it; returns its replica folder. Takes minutes.

    `like` names a stock replica whose features are varied; None starts from nobody. `threads` bake. A bake
    that was stopped is resumed by the same arguments. Raises UsageError where the name is taken by another
    replica, MissingError without numba, CviError where baking fails.
    """
    check_name(name)
    if find_spec("numba") is None:
        raise MissingError("Baking a face needs numba.", "Install it with: pip install 'cvi[train]'")
    if not 1 <= threads <= 64:
        raise UsageError(f"--threads {threads} cannot be.", "Give a number from 1 to 64.")
    from cvi.characters.people import invent

    folder = replicas_dir() / name
    parent = find_replica(like) if like is not None else None
    parameters = invent(seed, parent.name if parent else None)
    person = yaml.safe_dump(parameters, sort_keys=False, allow_unicode=True)
    if (folder / CARD).exists() or (folder.exists() and _stored_parameters(folder) != person):
        raise UsageError(f"There is a replica '{name}' already.", "Choose another name, or delete it first.")
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / _PARAMETERS_FILE, person.encode())
    done = subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", "cvi.characters", str(folder), "--threads", str(threads)],
        check=False,
    )
    if done.returncode or not (folder / "atlas.npz").exists():
        raise CviError(f"Baking {name} was not finished.", "Give the same command again to go on.")
    card = {
        "name": name.replace("-", " ").title(),
        "kind": "stock",
        "renderer": "sculpted",
        "description": f"Invented from seed {seed}" + (f", after {parent.name}." if parent else "."),
        "source": "modelled by code, no person's likeness",
        "licence": "Apache-2.0",
        "files": {file: sha256_of(folder / file) for file in ("atlas.npz", _PARAMETERS_FILE)},
    }
    # The card comes last: without it nobody finds the folder.
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100)
    write_bytes(folder / CARD, text.encode())
    return folder


def _stored_parameters(folder: Path) -> str | None:
    file = folder / _PARAMETERS_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None
