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
from cvi.face.replica import list_replicas
from cvi.face.replica_store import check_name, is_shipped
from cvi.files import write_bytes
from cvi.paths import home, replicas_dir
from cvi.training.footage.preparation import CROPS, PREPARED
from cvi.training.grading.grader import GRADE, TRACK
from cvi.training.model.checkpoint import CHECKPOINT

PLAN = "plan.json"
# Plan's keys -> the files that hang on them, in the order the stages come.
_HANGS_ON = (
    (("footage",), (TRACK, GRADE)),
    (("footage", "side", "held_out_s"), (PREPARED, CROPS, CHECKPOINT)),
)


@dataclass(frozen=True, slots=True)
class TrainingWorkspace:
    """The folder of one replica in the making."""

    folder: Path
    name: str

    @property
    def made(self) -> Path:
        """Where the finished replica will be."""
        return replicas_dir() / self.name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else works on it meanwhile; the folder is there, without what a killed process left half
        written. Raises UsageError where somebody works on it or has just made it, CviError where nothing can
        be written, also in the midst of the work."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise UsageError(
                        f"'{self.name}' is being made by another process.", "Wait for it, or stop that one."
                    ) from error
                # The other one may have come to its end since the name was looked up.
                self.check_free()
                for part in self.folder.glob(".*.part"):
                    part.unlink()
                yield
        except OSError as error:
            raise CviError(
                f"{error.filename or self.folder} cannot be written: {error.strerror or error}.",
                "Free some space, or set CVI_HOME to a folder with room; then give the same command again: "
                "it goes on.",
            ) from error

    def check_free(self) -> None:
        """Raises UsageError where there is a replica of this name."""
        found = list_replicas().get(self.name)
        if found is not None:
            remedy = "Choose another --name."
            if not is_shipped(found):
                remedy = f"Choose another --name, or remove it first: cvi replica delete {self.name}"
            raise UsageError(f"There is a replica '{self.name}' already.", remedy)

    def keep(self, plan: dict[str, object]) -> None:
        """Remove what was made from something else, and note what is made now."""
        before = self._before()
        for keys, files in _HANGS_ON:
            if any(before.get(key) != plan.get(key) for key in keys):
                for name in files:
                    (self.folder / name).unlink(missing_ok=True)
        write_bytes(self.folder / PLAN, json.dumps(plan, indent=1).encode())

    def clear(self) -> None:
        """Nothing of it is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _before(self) -> dict[str, object]:
        try:
            found = json.loads((self.folder / PLAN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def open_workspace(name: str) -> TrainingWorkspace:
    """Nothing is written before `alone`. Raises UsageError for a name that cannot be or is taken."""
    shop = TrainingWorkspace(home() / "training" / check_name(name), name)
    shop.check_free()
    return shop
