"""Where a replica lies while it is made: one folder a name, and which of its stages still hold.

A stage's files count as long as everything they were made from is the same; the first that differs is made
anew, and so is what follows it.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cvi.errors import CviError, UsageError
from cvi.face.replica import list_replicas, save_bytes
from cvi.face.shelf import check_name
from cvi.home import home, replicas_dir
from cvi.replica.checkpoint import CHECKPOINT
from cvi.replica.looking import GRADE, TRACK
from cvi.replica.prepared import CROPS, PREPARED

PLAN = "plan.json"
# Plan's keys -> the files that hang on them, in the order the stages come.
_HANGS_ON = (
    (("footage",), (TRACK, GRADE)),
    (("footage", "side", "held_out_s"), (PREPARED, CROPS, CHECKPOINT)),
)


@dataclass(frozen=True, slots=True)
class Workshop:
    """The folder of one replica in the making."""

    folder: Path
    name: str

    @property
    def made(self) -> Path:
        """Where the finished replica will be."""
        return replicas_dir() / self.name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else works on it meanwhile. Raises UsageError where somebody does."""
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"'{self.name}' is being made by another process.", "Wait for it, or stop that one."
                ) from error
            yield

    def keep(self, plan: dict[str, object]) -> None:
        """Remove what was made from something else, and note what is made now."""
        before = self._before()
        for keys, files in _HANGS_ON:
            if any(before.get(key) != plan.get(key) for key in keys):
                for name in files:
                    (self.folder / name).unlink(missing_ok=True)
        save_bytes(self.folder / PLAN, json.dumps(plan, indent=1).encode())

    def clear(self) -> None:
        """Nothing of it is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _before(self) -> dict[str, object]:
        try:
            found = json.loads((self.folder / PLAN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def open_workshop(name: str) -> Workshop:
    """Raises UsageError for a name that cannot be or is taken, CviError where nothing can be written."""
    check_name(name)
    if name in list_replicas():
        raise UsageError(
            f"There is a replica '{name}' already.",
            f"Choose another --name, or remove it first: cvi replica delete {name}",
        )
    folder = home() / "training" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CviError(
            f"{folder} cannot be made: {error.strerror or error}.", "Set CVI_HOME to a folder with room."
        ) from error
    return Workshop(folder, name)
