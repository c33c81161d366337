"""The models on this machine.

A model is a folder `models_dir()/<id>/` with its files and a `model.json`, its card, with their names, sizes
and hashes. The card is written last and in one step, so a folder without one is an unfinished download.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cvi.errors import CviError, MissingError, UsageError
from cvi.files import locked, sha256_of, write_text
from cvi.models.manifest import find_model
from cvi.paths import models_dir

CARD = "model.json"
SPEECH_ENCODER = "smart-turn-v3"

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

FileState = Literal["ok", "missing", "changed"]


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """`pinned`: the hash was known before the download, not only recorded after it."""

    path: str
    size: int
    sha256: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class Installed:
    """What `model.json` holds. `source` is an address or the file it was added from."""

    id: str
    purpose: str
    title: str
    licence: str
    source: str
    entry: str
    files: tuple[InstalledFile, ...]

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return model_folder(self.id)

    @property
    def path(self) -> Path:
        """What the engine gets: a file, or the folder."""
        return self.folder if self.entry == "." else self.folder / self.entry

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def complete(self) -> bool:
        """Whether every file exists with its size. Cheap; `verify_model` hashes them."""
        return all(_size(self.folder / file.path) == file.size for file in self.files)


def model_folder(model_id: str) -> Path:
    """Where the model lies or will lie. Raises UsageError for an id that is not a plain name."""
    if not _ID.fullmatch(model_id):
        raise UsageError(
            f"'{model_id}' cannot be a model's id.",
            "Use up to 64 lower-case letters, digits, dots, dashes and underscores.",
        )
    return models_dir() / model_id


def is_model_id(text: str) -> bool:
    """Whether `text` can be a model's id: a plain name, and no path."""
    return _ID.fullmatch(text) is not None


def find_installed(model_id: str) -> Installed | None:
    """The model's card, or None when it is not installed or files of it are gone.

    Raises CviError for a card that cannot be read.
    """
    card = read_card(model_id)
    return card if card and card.complete else None


def read_card(model_id: str) -> Installed | None:
    """The model's card, even where files of it are missing; None without a card. Raises CviError."""
    path = model_folder(model_id) / CARD
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(InstalledFile(**file) for file in document.pop("files"))
        return Installed(files=files, **document)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CviError(
            f"{path} cannot be read as the card of a model ({error}).",
            f"Remove the model and pull or add it again: cvi models remove {model_id}",
        ) from error


def list_installed() -> list[Installed]:
    """Every model that has a card, by id."""
    if not models_dir().is_dir():
        return []
    folders = sorted(path for path in models_dir().iterdir() if path.is_dir() and _ID.fullmatch(path.name))
    cards = (read_card(folder.name) for folder in folders)
    return [card for card in cards if card]


def model_path(model_id: str) -> Path:
    """The file or folder to give to the engine of an installed model.

    Raises MissingError when it is not installed or files of it are gone.
    """
    card = installed_card(model_id)
    if not card.complete:
        raise MissingError(
            f"Files of the model '{model_id}' are gone.",
            f"Mend it with: cvi models remove {model_id} && cvi models pull {model_id}",
        )
    return card.path


def installed_card(model_id: str) -> Installed:
    """The card of a model, even where files of it are missing.

    Raises MissingError for a model that can be pulled and is not here, UsageError for an unknown one.
    """
    card = read_card(model_id)
    if card is None and find_model(model_id) is None:
        raise UsageError(f"There is no model '{model_id}'.", "See: cvi models list")
    if card is None:
        raise MissingError(
            f"The model '{model_id}' is not installed.", f"Get it with: cvi models pull {model_id}"
        )
    return card


def write_card(card: Installed) -> None:
    """Write the card of a model, which is installed from then on."""
    write_text(card.folder / CARD, json.dumps(asdict(card), indent=2) + "\n")


def remove_model(model_id: str) -> None:
    """Delete a model, installed or unfinished. The originals of linked files stay. Raises MissingError."""
    folder = model_folder(model_id)
    if not folder.is_dir():
        raise UsageError(f"The model '{model_id}' is not installed.", "See: cvi models list")
    with model_lock(model_id):
        # The card first: if the rest fails, what remains is no model.
        (folder / CARD).unlink(missing_ok=True)
        shutil.rmtree(folder)


def verify_model(card: Installed, on_bytes: Callable[[int], None] = lambda _: None) -> dict[str, FileState]:
    """Hash every file and compare with the card; path -> state. `on_bytes` gets the size of each block."""
    states: dict[str, FileState] = {}
    for file in card.files:
        path = card.folder / file.path
        if not path.is_file():
            states[file.path] = "missing"
        else:
            states[file.path] = "ok" if sha256_of(path, on_bytes) == file.sha256 else "changed"
    return states


@contextmanager
def model_lock(model_id: str) -> Iterator[None]:
    """Hold a model's folder for writing. Raises CviError where another process holds it."""
    busy = CviError(
        f"Another process is working on the model '{model_id}'.", "Wait until it has ended, then try again."
    )
    with locked(models_dir() / f".{model_id}.lock", busy):
        yield


def installed_speech_encoder() -> Path | None:
    """The file of the encoder that recorded speech is read through, Smart Turn's; None where it is absent."""
    found = find_installed(SPEECH_ENCODER)
    return None if found is None else found.path


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
