"""Finding a replica by name, and checking that it is whole.

A replica is a folder with `replica.yaml`: its name, the engine that draws it, its source and licence, and the
sha256 of every file it consists of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from cvi.errors import MissingError, UsageError
from cvi.face.replica_ids import replica_id, stand_in
from cvi.files import sha256_of
from cvi.paths import replicas_dir, shared_dir

CARD = "replica.yaml"
REQUIRED = ("name", "kind", "renderer", "source", "licence", "files")


@dataclass(frozen=True, slots=True)
class ReplicaCard:
    """The content of `replica.yaml` in `folder`; `files`: name -> sha256 in hex."""

    folder: Path
    name: str
    kind: str
    renderer: str
    source: str
    licence: str
    files: dict[str, str]
    description: str = ""
    voices: Mapping[str, str] = field(default_factory=dict)
    """The voice to use with it, by tts engine."""
    pitch: Mapping[str, float] = field(default_factory=dict)
    """By tts engine, a factor on the voice's own pitch; 1 where an engine is not named."""
    made_of: str = ""
    """Of a stock character: what its atlas was baked from (`cvi.characters.baker.made_of`)."""


def list_replicas() -> dict[str, Path]:
    """Name -> folder of every replica on this machine; the user's own hide shipped ones of the same name."""
    found: dict[str, Path] = {}
    for root in (shared_dir("replicas"), replicas_dir()):
        if root.is_dir():
            found.update({card.parent.name: card.parent for card in sorted(root.glob(f"*/{CARD}"))})
    return found


def find_replica(name_or_path: str | Path) -> Path:
    """The folder of a replica, by its name, path, or id (`cvi.face.replica_ids`). Raises MissingError."""
    path = Path(name_or_path).expanduser()
    if (path / CARD).is_file():
        return path.absolute()
    known = list_replicas()
    name = str(name_or_path)
    if name in known:
        return known[name]
    shipped = shared_dir("replicas")
    by_id = next((each for each in known if replica_id(each) == name), None)
    by_id = by_id or stand_in(name, [each for each, folder in known.items() if folder.parent == shipped])
    if by_id is not None:
        return known[by_id]
    if path.is_dir():
        raise MissingError(
            f"{path} is no replica: it holds no {CARD}.", "Name a folder made by training or baking."
        )
    near = get_close_matches(name.lower(), known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Here are: {', '.join(known) or 'none'}."
    raise MissingError(f"There is no replica '{name}'.", hint)


def load_replica_card(folder: Path) -> ReplicaCard:
    """Read `replica.yaml` and check every file's hash.

    Raises MissingError for a file that is not there, UsageError for a card or a file that is wrong.
    """
    card = folder / CARD
    if not card.is_file():
        raise MissingError(f"There is no replica at {folder}.", f"A replica is a folder with a {CARD}.")
    try:
        data = yaml.safe_load(card.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{card} cannot be read: {error}.", "Mend it or fetch the replica again.") from error
    if not isinstance(data, dict):
        raise UsageError(f"{card} holds no mapping.", f"It needs: {', '.join(REQUIRED)}.")
    for required in REQUIRED:
        if required not in data:
            raise UsageError(f"{card} lacks '{required}'.", f"It needs: {', '.join(REQUIRED)}.")
    files = data["files"]
    if not isinstance(files, dict) or not files:
        raise UsageError(f"{card}: 'files' must map file names to sha256 hashes.", "Write it anew by baking.")
    for name, expected in files.items():
        _check(folder, str(name), str(expected))
    texts = {key: str(data[key]) for key in REQUIRED if key != "files"}
    return ReplicaCard(
        folder=folder,
        files={str(name): str(value) for name, value in files.items()},
        description=str(data.get("description", "")),
        voices=_voices(card, data.get("voices") or {}),
        pitch=_pitch(card, data.get("pitch") or {}),
        made_of=str(data.get("made_of", "")),
        **texts,
    )


def check_drawn_by(renderer: str, folder: Path, instead: str) -> None:
    """Check that a replica is whole and made for the face engine `renderer`.

    Raises as `load_replica_card`, and UsageError for a replica of another engine; `instead` goes into its
    remedy.
    """
    card = load_replica_card(folder)
    if card.renderer != renderer:
        raise UsageError(
            f"The replica {card.name} is drawn by '{card.renderer}', not by '{renderer}'.",
            f"Choose the face engine '{card.renderer}', or {instead}.",
        )


def _voices(card: Path, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f"{card}: 'voices' must map tts engines to voices.", "For example: {flite: slt}")
    return {str(engine): str(voice) for engine, voice in value.items()}


def _pitch(card: Path, value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or not all(
        isinstance(factor, int | float) and 0.5 <= factor <= 2 for factor in value.values()
    ):
        raise UsageError(
            f"{card}: 'pitch' must map tts engines to factors from 0.5 to 2.", "For example: {flite: 1.1}"
        )
    return {str(engine): float(factor) for engine, factor in value.items()}


def _check(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if Path(name).name != name:
        raise UsageError(f"{folder / CARD} names a file outside the replica: '{name}'.", "Do not use it.")
    if not path.is_file():
        raise MissingError(f"The replica at {folder} lacks {name}.", "Fetch or bake it again.")
    if sha256_of(path) != expected:
        raise UsageError(
            f"{path} is not the file its replica was made with: its sha256 differs from {CARD}.",
            "Fetch the replica again, or bake it anew if you changed it.",
        )
