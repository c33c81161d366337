"""The personas of this machine by the ids that the API knows them by.

They are the files that the command line reads; the id is made from the file's name, so that it is the
same on every start, and changes only when the file is renamed.
"""

from __future__ import annotations

import copy
import hashlib
import secrets
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cvi.errors import UsageError
from cvi.paths import personas_dir
from cvi.persona.field_effects import NotInEffect, not_in_effect
from cvi.persona.findings import embedded_file
from cvi.persona.loading import file_name, list_personas, load_embedded_document
from cvi.server.catalog.deleted_ids import deleted_ids, note_deleted
from cvi.server.catalog.engine_fallback import with_installed_engines
from cvi.server.catalog.persona_document import (
    WRITTEN,
    accepted,
    check_references,
    shown,
    without_bookkeeping,
    write_persona,
)
from cvi.server.catalog.replica_store import ReplicaStore
from cvi.server.catalog.well_known_ids import PERSONAS, persona_stand_in, substitution
from cvi.server.contract import HttpProblem, in_both_vocabularies, in_our_vocabulary, invalid, iso
from cvi.server.store.keys import DEFAULT_OWNER
from cvi.server.store.owners import FileOwners
from cvi.yaml_document import DocumentFault, parse


@dataclass(frozen=True, slots=True)
class StoredPersona:
    """A persona's file. `document` is what it says, in our vocabulary; `path` None: it has no file.

    `embedded` is what the file beside it says for very small models, None where there is none. `id` is the
    one that it was asked for by, where it stands for a foreign one (`substitute`).
    """

    id: str
    name: str
    path: Path | None
    shipped: bool
    document: Mapping[str, Any]
    created_at: float
    updated_at: float
    embedded: Mapping[str, Any] | None = None
    foreign: bool = False
    """Whether it came through the API, so that a stranger may have named the addresses in it."""
    substitute: bool = False

    @property
    def whole(self) -> dict[str, Any]:
        """The document with the texts for very small models, as a conversation needs it."""
        return dict(self.document) | ({"embedded": self.embedded} if self.embedded else {})


def persona_id(name: str) -> str:
    """The id of the persona in `name.yaml`."""
    return f"p{hashlib.sha256(f'persona:{name}'.encode()).hexdigest()[:12]}"


class PersonaStore:
    """Reads the files when they change and writes the user's own. Blocks on the disk: call it on a thread."""

    def __init__(
        self,
        replicas: ReplicaStore,
        owners: FileOwners | None = None,
        *,
        small_model: bool = False,
        strict: bool = False,
    ) -> None:
        """`small_model`: the server's profile has a very small language model. With `strict`, nothing stands
        for an id that is not known."""
        self._replicas = replicas
        self._owners = owners or FileOwners()
        self._owner: str | None = None
        self._strict = strict
        self._small_model = small_model
        self._lock = threading.RLock()
        self._read: dict[Path, tuple[tuple[int, ...], StoredPersona | None]] = {}

    def seen_by(self, owner: str) -> PersonaStore:
        """The same store as one owner sees it: their personas and those that ship."""
        seen = copy.copy(self)
        seen._owner = owner
        seen._replicas = self._replicas.seen_by(owner)
        return seen

    def every(self) -> list[StoredPersona]:
        """All that can be read, the user's own first, each part newest first."""
        with self._lock:
            files = [file for file in list_personas() if file.shipped or self._sees(file.name)]
            found = [self._shelved(file.name, file.path, file.shipped) for file in files]
        found_items = [item for item in found if item is not None]
        return sorted(found_items, key=lambda item: (item.shipped, -item.created_at, item.name))

    def find(self, id: str) -> StoredPersona | None:
        """By id, or by the bare name that the command line takes; a foreign id finds what stands for it.

        What is found by a foreign id has that id, so that a client is answered what it sent.
        """
        stored = self.every()
        for item in stored:
            if id in (item.id, item.name):
                return item
        if id in PERSONAS:
            return StoredPersona(id, id, None, True, PERSONAS[id], 0.0, 0.0)
        if self._strict or id in deleted_ids(self._owner):
            return None
        name = persona_stand_in(id)
        found = next((item for item in stored if item.shipped and item.name == name), None)
        return None if found is None else replace(found, id=id, path=None, substitute=True)

    def get(self, id: str) -> StoredPersona:
        """Raises the contract's 400 for an unknown id."""
        found = self.find(id)
        if found is None:
            raise invalid("persona_id")
        return found

    def create(self, body: Mapping[str, Any]) -> StoredPersona:
        """Write a new persona's file. Raises `HttpProblem`."""
        given = in_our_vocabulary(body)
        given["persona_name"] = given.get("persona_name") or "Persona"
        document = self._with_replica(accepted(given))
        check_references(document, {})
        try:
            stem = file_name(str(document["persona_name"]))[:60].strip("_")
        except UsageError:
            stem = "persona"
        owner = self._owner or DEFAULT_OWNER
        if owner != DEFAULT_OWNER:  # a number would tell what others have called theirs
            stem = f"{stem}_{secrets.token_hex(6)}"
        with self._lock:
            taken = {file.name for file in list_personas()}
            number, name = 1, stem
            while True:
                path = personas_dir() / f"{name}.yaml"
                if name not in taken and not path.exists():  # a faulty file is not listed
                    self._owners.claim("persona", name, owner)
                    write_persona(path, document, new=True)
                    return self.get(persona_id(name))
                number += 1
                name = f"{stem}_{number}"

    def replace(self, item: StoredPersona, document: Mapping[str, Any]) -> StoredPersona:
        """Write a changed document over the user's own persona. Raises `HttpProblem`."""
        path = _own(item)
        with self._lock:
            changed = self._with_replica(accepted(document))
            check_references(changed, item.document)
            write_persona(path, changed, new=False)
            return self.get(item.id)

    def delete(self, item: StoredPersona) -> None:
        """Raises `HttpProblem` for a persona that ships."""
        with self._lock:
            path = _own(item)
            beside = embedded_file(path)
            path.unlink(missing_ok=True)
            if beside is not None:
                beside.unlink(missing_ok=True)
            note_deleted(item.id, self._owner)
            self._owners.disclaim("persona", path.stem)

    def substituted(self, item: StoredPersona) -> list[Mapping[str, Any]]:
        """What an answer says under `substituted_for` of a persona that stands for a foreign id."""
        if not item.substitute:
            return []
        return [substitution("persona", item.id, persona_id(item.name), item.name)]

    def _sees(self, name: str) -> bool:
        return self._owner is None or self._owners.of("persona", name) == self._owner

    def show(self, item: StoredPersona) -> dict[str, Any]:
        """The persona as the API answers it, in both vocabularies, secrets masked."""
        document = dict(item.document)
        replica = self._replicas.find(str(document.get("default_replica_id", "")))
        noted = self.substituted(item)
        if replica is not None:
            document["default_replica_id"] = replica.id
            noted += self._replicas.substituted(replica)
        return in_both_vocabularies(
            {
                "persona_id": item.id,
                **shown(document),
                "pipeline_mode": document.get("pipeline_mode", "full"),
                "persona_type": "system" if item.shipped else "user",
                "created_at": iso(item.created_at),
                "updated_at": iso(item.updated_at),
                "not_in_effect": [
                    asdict(each)
                    for each in (*self._not_in_effect(document), *with_installed_engines(document)[1])
                ],
                **({"substituted_for": noted} if noted else {}),
            }
        )

    def _not_in_effect(self, document: Mapping[str, Any]) -> list[NotInEffect]:
        llm = (document.get("layers") or {}).get("llm") or {}
        own = any(llm.get(name) for name in ("engine", "base_url"))
        return not_in_effect(document, served=True, small_model=self._small_model and not own)

    def _with_replica(self, document: dict[str, Any]) -> dict[str, Any]:
        """Files name a replica as the command line does; a foreign id stays, for the command line knows what
        stands for it, too. Raises the contract's 400 for an unknown one."""
        wanted = document.get("default_replica_id")
        if wanted is None:
            return document
        replica = self._replicas.find(str(wanted))
        if replica is None:
            raise invalid("replica_id")
        return {**document, "default_replica_id": replica.id if replica.substitute else replica.name}

    def _shelved(self, name: str, path: Path, shipped: bool) -> StoredPersona | None:
        try:
            status = path.stat()
            beside = embedded_file(path)
            mark: tuple[int, ...] = (status.st_mtime_ns, status.st_size)
            if beside is not None:
                small = beside.stat()
                mark += (small.st_mtime_ns, small.st_size)
            known = self._read.get(path)
            if known is not None and known[0] == mark:
                return known[1]
            text = path.read_text(encoding="utf-8-sig")
            root, _ = parse(text)
        except (OSError, UnicodeDecodeError):
            return None
        except DocumentFault:
            self._read[path] = (mark, None)
            return None
        item = None
        if isinstance(root.value, dict):
            document = without_bookkeeping(root.value)
            made = known[1].created_at if known and known[1] else min(status.st_mtime, status.st_ctime)
            item = StoredPersona(
                persona_id(name),
                name,
                path,
                shipped,
                document,
                made,
                status.st_mtime,
                load_embedded_document(path),
                foreign=text.startswith(WRITTEN),
            )
        self._read[path] = (mark, item)
        return item


def _own(item: StoredPersona) -> Path:
    if item.shipped or item.path is None:
        raise HttpProblem(400, "A persona that ships with cvi cannot be changed; create one of your own.")
    return item.path
