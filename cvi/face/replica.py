"""Replica folders: found by name, checked whole; and those of the user renamed, deleted, exported, imported.

A replica is a folder with `replica.yaml`: its name, the engine that draws it, its source and licence, and the
sha256 of every file it consists of. Shipped replicas belong to the program and never change. Archives are not
trusted: names, sizes and hashes are checked before a replica can be found.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from cvi.errors import CviError, MissingError, UsageError
from cvi.face.consent import require_consent
from cvi.face.replica_ids import replica_id, stand_in
from cvi.files import is_file, is_folder, replacing, sha256_of, write_text
from cvi.paths import replicas_dir, shared_dir, user_path
from cvi.yaml_document import read_yaml

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
    path = user_path(name_or_path)
    if is_file(path / CARD):
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
    if is_folder(path):
        raise MissingError(
            f"{path} is no replica: it holds no {CARD}.", "Name a folder made by training or baking."
        )
    near = get_close_matches(name.lower(), known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Here are: {', '.join(known) or 'none'}."
    raise MissingError(f"There is no replica '{name[:80]}'.", hint)


def load_replica_card(folder: Path) -> ReplicaCard:
    """Read `replica.yaml`, check every file's hash and, of a replica of a person, their consent.

    Whatever draws, exports, imports or speaks with a replica begins here. Raises MissingError for a file that
    is not there, UsageError for a card, a file or a consent that is wrong.
    """
    card = folder / CARD
    if not card.is_file():
        raise MissingError(f"There is no replica at {folder}.", f"A replica is a folder with a {CARD}.")
    data = read_yaml(card)
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
    require_consent(folder, data)
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
        raise UsageError(
            f"{folder / CARD} names a file outside the replica: '{name[:80]}'.", "Do not use it."
        )
    if not is_file(path):
        raise MissingError(f"The replica at {folder} lacks {name[:80]}.", "Fetch or bake it again.")
    if sha256_of(path) != expected:
        raise UsageError(
            f"{path} is not the file its replica was made with: its sha256 differs from {CARD}.",
            "Fetch the replica again, or bake it anew if you changed it.",
        )


MOST_BYTES = 1 << 30
MOST_FILES = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_COPY = 1 << 20
# What every program writes; the others cost far more memory or time to unpack.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def check_name(name: str) -> str:
    """`name` itself. Raises UsageError if it is not a valid name of a replica."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"A replica cannot be called '{name}'.",
            "Use up to 64 lower-case letters, digits, dashes and underscores.",
        )
    return name


def free_folder(name: str) -> Path:
    """The folder of a new replica `name`, which does not exist yet. Raises UsageError for an invalid or taken
    name."""
    folder = replicas_dir() / check_name(name)
    if folder.exists():
        raise UsageError(f"There is a replica '{name}' already.", "Choose another name, or delete it first.")
    return folder


def is_shipped(folder: Path) -> bool:
    """Whether the replica in `folder` came with the program."""
    return shared_dir("replicas").resolve() in folder.resolve().parents


def own_replica(name: str) -> Path:
    """The folder of one of the user's own replicas. Raises MissingError, and UsageError for a shipped one."""
    folder = find_replica(name)
    if is_shipped(folder) or folder.name not in list_replicas():
        raise UsageError(f"'{name}' is not a replica of your own.", "Shipped ones stay as they are.")
    return folder


def rename_replica(name: str, new_name: str) -> Path:
    """Rename one of the user's own replicas; returns its new folder. Raises MissingError, UsageError."""
    folder = own_replica(name)
    new = free_folder(new_name)
    folder.rename(new)
    card = new / CARD
    data = read_yaml(card)
    data["name"] = new_name
    write_text(card, yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))
    return new


def delete_replica(name: str) -> Path:
    """Remove one of the user's own replicas; returns where it was. Raises MissingError, UsageError."""
    folder = own_replica(name)
    # Hidden in one step, so that a kill half-way leaves no half replica.
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}.deleted")
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
    return folder


def export_replica(name_or_path: str | Path, output: Path) -> ReplicaCard:
    """Write a replica into the zip `output`, whole or not at all. Raises MissingError, UsageError,
    CviError."""
    card = load_replica_card(find_replica(name_or_path))
    if output.suffix.lower() != ".zip":
        raise UsageError(f"{output} is not the name of a zip.", "Give a name ending in .zip.")
    if not output.parent.is_dir():
        raise CviError(f"Cannot write {output}: there is no folder {output.parent}.", "Create it first.")
    with (
        replacing(output, remedy="Check the folder and the disk.") as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name in (CARD, *sorted(card.files)):
            archive.write(card.folder / name, name)
    return card


def import_replica(archive: Path, name: str | None = None) -> ReplicaCard:
    """Store the replica in a zip, called `name` or after the archive's file name.

    Every file is checked against its hash before the replica can be found. Raises UsageError for an archive
    that is damaged, too large, or holds anything but a replica; nothing is left of it then.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = _members(source, archive)
            folder = free_folder(name or check_name(archive.stem.lower().replace(" ", "-")))
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".import-") as work:
                whole = Path(work) / "whole"
                whole.mkdir()
                for member in members:
                    _extract(source, member, whole / member.filename)
                load_replica_card(whole)
                whole.rename(folder)
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {archive}.", "Check the path.") from error
    except (
        *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error),
        *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError),
    ) as error:
        raise UsageError(f"{archive} is not a zip that can be read ({error}).", "Fetch it again.") from error
    except OSError as error:
        raise UsageError(
            f"{archive} cannot be imported ({error.strerror or error}).", "Fetch it again, or free space."
        ) from error
    return load_replica_card(folder)


def _members(source: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    """The archive's files, after checks: plain names, one card, not too many and not too large."""
    members = source.infolist()
    names = [member.filename for member in members]
    for member in members:
        plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", member.filename)
        link = (member.external_attr >> 16) & 0o170000 == 0o120000
        if plain is None or member.is_dir() or link:
            raise UsageError(
                f"{archive} holds '{member.filename[:80]}', which is no plain file.", "Do not use it."
            )
    if CARD not in names or len(set(names)) != len(names) or len(names) > MOST_FILES:
        raise UsageError(f"{archive} holds no replica.", f"A replica's zip has one {CARD} and its files.")
    if any(member.compress_type not in _METHODS for member in members):
        raise UsageError(f"{archive} is compressed in an unusual way.", "Pack it as a plain zip.")
    size = sum(member.file_size for member in members)
    if size > MOST_BYTES:
        raise UsageError(f"{archive} would take {size / 1e9:.1f} GB.", f"At most {MOST_BYTES / 1e9:.0f} GB.")
    return members


def _extract(source: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path) -> None:
    """Copy one member, at most as many bytes as its header announces."""
    left = member.file_size
    with source.open(member) as packed, to.open("xb") as file:
        while block := packed.read(min(_COPY, left + 1)):
            left -= len(block)
            if left < 0:
                raise zipfile.BadZipFile(f"{member.filename} is larger than announced")
            file.write(block)


def folder_size(folder: Path) -> int:
    """Bytes of all its files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def fingerprint(card: ReplicaCard) -> str:
    """Twelve hex digits that identify exactly these files."""
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(card.files.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
