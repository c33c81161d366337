"""The replicas of this machine by the ids that the API knows them by; ids come from the folders' names."""

from __future__ import annotations

import copy
import glob
import hashlib
import json
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from cvi.errors import UsageError
from cvi.face.replica import CARD, list_replicas
from cvi.face.replica_ids import replica_id, stand_in
from cvi.files import write_bytes
from cvi.paths import home, replicas_dir
from cvi.server.catalog.deleted_ids import deleted_ids, note_deleted
from cvi.server.catalog.well_known_ids import substitution
from cvi.server.contract import HttpProblem, in_both_vocabularies, invalid, iso
from cvi.server.store.owners import FileOwners
from cvi.yaml_document import read_yaml

TRASH = ".deleted"
"""The folder, inside that of the replicas, for replicas that are deleted without `hard`."""


@dataclass(frozen=True, slots=True)
class StoredReplica:
    """A replica's folder. `card` is what its `replica.yaml` says, hashes unchecked.

    `id` is the one that it was asked for by, where it stands for a foreign one (`substitute`).
    """

    id: str
    name: str
    folder: Path
    card: Mapping[str, Any]
    created_at: float
    updated_at: float
    substitute: bool = False

    @property
    def own(self) -> bool:
        """Whether it is the user's; the others ship."""
        return self.folder.parent == replicas_dir()

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any of its files and cannot be guessed without them."""
        identity = json.dumps([self.name, self.card.get("files")], sort_keys=True, default=str)
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """What people call it."""
        return str(self.card.get("name", self.name))


class ReplicaStore:
    """Reads cards when they change. Blocks on the disk: call it on a thread.

    `url` is the server's own address. With `strict`, nothing stands for an id that is not known.
    """

    def __init__(self, url: str = "", owners: FileOwners | None = None, *, strict: bool = False) -> None:
        self._url = url
        self._owners = owners or FileOwners()
        self._owner: str | None = None
        self._strict = strict
        self._lock = threading.RLock()
        self._read: dict[Path, tuple[int, StoredReplica | None]] = {}

    def seen_by(self, owner: str) -> ReplicaStore:
        """The same store as one owner sees it: their replicas and those that ship."""
        seen = copy.copy(self)
        seen._owner = owner
        return seen

    def every(self) -> list[StoredReplica]:
        """All whose card can be read, the user's own first."""
        with self._lock:
            found = [self._shelved(name, folder) for name, folder in list_replicas().items()]
        found_items = [item for item in found if item is not None and self._sees(item)]
        return sorted(found_items, key=lambda item: (not item.own, item.name))

    def find(self, id: str) -> StoredReplica | None:
        """By id, or by the name that the command line takes; a foreign id finds what stands for it.

        What is found by a foreign id has that id, so that a client is answered what it sent.
        """
        items = self.every()
        for item in items:
            if id in (item.id, item.name):
                return item
        if self._strict or id in deleted_ids(self._owner):
            return None
        name = stand_in(id, [item.name for item in items if not item.own])
        found = next((item for item in items if item.name == name), None)
        return None if found is None else replace(found, id=id, substitute=True)

    def erase_deleted(self, id: str) -> bool:
        """Erase a replica that was deleted without `hard`; whether there was one of this id and owner."""
        with self._lock:
            trash = replicas_dir() / TRASH
            for folder in list(trash.iterdir()) if trash.is_dir() else ():
                mine = self._owner is None or self._owners.of("replica", folder.name) == self._owner
                if mine and id in (folder.name, replica_id(folder.name)):
                    shutil.rmtree(folder)
                    self._owners.disclaim("replica", folder.name)
                    return True
        return False

    def get(self, id: str) -> StoredReplica:
        """Raises the contract's 400 for an unknown id."""
        found = self.find(id)
        if found is None:
            raise invalid("replica_id")
        return found

    def taken(self) -> set[str]:
        """The names that a new replica cannot have: those of existing, deleted and unfinished ones."""
        roots = (replicas_dir(), replicas_dir() / TRASH, home() / "training")
        folders = [folder for root in roots if root.is_dir() for folder in root.iterdir()]
        return {*list_replicas(), *(folder.name for folder in folders)}

    def rename(self, item: StoredReplica, title: str) -> None:
        """Give it another title; its folder, and so its id, stays. Raises `HttpProblem`."""
        _own(item)
        with self._lock:
            card = {**item.card, "name": title}
            text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True)
            write_bytes(item.folder / CARD, text.encode())
            self._read.pop(item.folder, None)

    def delete(self, item: StoredReplica, hard: bool) -> None:
        """Move it to `TRASH`, or erase it. Raises `HttpProblem` for one that ships."""
        _own(item)
        with self._lock:
            for picture in (home() / "thumbnails").glob(f"{glob.escape(item.name)}-*.jpg"):
                picture.unlink(missing_ok=True)
            if hard:
                shutil.rmtree(item.folder)
                self._owners.disclaim("replica", item.name)
            else:
                trash = replicas_dir() / TRASH
                trash.mkdir(mode=0o700, exist_ok=True)
                shutil.rmtree(trash / item.name, ignore_errors=True)
                item.folder.rename(trash / item.name)
            note_deleted(item.id, self._owner)

    def substituted(self, item: StoredReplica) -> list[Mapping[str, Any]]:
        """What an answer says under `substituted_for` of a replica that stands for a foreign id."""
        if not item.substitute:
            return []
        return [substitution("replica", item.id, replica_id(item.name), item.name)]

    def _sees(self, item: StoredReplica) -> bool:
        return self._owner is None or not item.own or self._owners.of("replica", item.name) == self._owner

    def show(self, item: StoredReplica) -> dict[str, Any]:
        """The replica as the API answers it, in both vocabularies."""
        noted = self.substituted(item)
        return in_both_vocabularies(
            {
                "replica_id": item.id,
                "replica_name": item.title,
                "replica_type": "user" if item.own else "system",
                "status": "completed",
                "training_progress": "100/100",
                "error_message": None,
                "thumbnail_video_url": None,
                "thumbnail_image_url": f"{self._url}/thumbnails/{item.id}-{item.fingerprint}.jpg",
                "model_name": str(item.card.get("renderer", "")),
                "created_at": iso(item.created_at),
                "updated_at": iso(item.updated_at),
                **({"substituted_for": noted} if noted else {}),
            }
        )

    def _shelved(self, name: str, folder: Path) -> StoredReplica | None:
        path = folder / CARD
        try:
            status = path.stat()
            known = self._read.get(folder)
            if known is not None and known[0] == status.st_mtime_ns:
                return known[1]
            card = read_yaml(path)
            # A card is written anew when its replica is renamed; what it is made of is not.
            made = min(file.stat().st_mtime for file in folder.iterdir())
        except (OSError, UsageError):
            return None
        item = None
        if isinstance(card, dict):
            item = StoredReplica(replica_id(name), name, folder, card, made, status.st_mtime)
        self._read[folder] = (status.st_mtime_ns, item)
        return item


def _own(item: StoredReplica) -> None:
    if not item.own:
        raise HttpProblem(400, "A replica that ships with cvi cannot be changed.")
