"""The workspace of one replica while it is trained: a folder by its name, and which stages' files still hold.

A stage's files hold as long as everything they were made from is the same; the first stage for which that
differs is done again, and with it those that follow.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cvi.errors import CviError, UsageError
from cvi.face.replica import check_name, is_shipped, list_replicas
from cvi.files import locked, write_bytes
from cvi.paths import home, replicas_dir
from cvi.training.footage.preparation import CROPS, PREPARED
from cvi.training.grading.grader import GRADE, TRACK
from cvi.training.model.checkpoint import CHECKPOINT

INPUTS = "plan.json"
_FILES_OF = (
    (("footage",), (TRACK, GRADE)),
    (("footage", "side", "held_out_s"), (PREPARED, CROPS, CHECKPOINT)),
)
"""Inputs -> the files made from them, in the order of the stages."""


@dataclass(frozen=True, slots=True)
class TrainingWorkspace:
    """The folder of one unfinished replica."""

    folder: Path
    name: str

    @property
    def replica_folder(self) -> Path:
        """Where the finished replica goes."""
        return replicas_dir() / self.name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the workspace for this process, without partly written files of a killed one.

        Raises UsageError where another process holds it or has just finished the replica, and CviError where
        something cannot be written, also while the block runs.
        """
        busy = UsageError(
            f"'{self.name}' is being made by another process.", "Wait for it, or stop that one."
        )
        try:
            with locked(self.folder / ".lock", busy):
                # The other process may have finished since the name was looked up.
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
        """Raise UsageError where a replica of this name exists."""
        found = list_replicas().get(self.name)
        if found is not None:
            remedy = "Choose another --name."
            if not is_shipped(found):
                remedy = f"Choose another --name, or remove it first: cvi replica delete {self.name}"
            raise UsageError(f"There is a replica '{self.name}' already.", remedy)

    def discard_outdated(self, inputs: dict[str, object]) -> None:
        """Remove files that were made from other inputs, and store these."""
        before = self._stored_inputs()
        for keys, files in _FILES_OF:
            if any(before.get(key) != inputs.get(key) for key in keys):
                for name in files:
                    (self.folder / name).unlink(missing_ok=True)
        write_bytes(self.folder / INPUTS, json.dumps(inputs, indent=1).encode())

    def finish(self, folder: Path) -> None:
        """Move the finished replica from `folder` to its place and remove the workspace."""
        self.replica_folder.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(self.replica_folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stored_inputs(self) -> dict[str, object]:
        try:
            found = json.loads((self.folder / INPUTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def open_workspace(name: str) -> TrainingWorkspace:
    """The workspace of a replica's name; nothing is written yet. Raises UsageError for a name that is invalid
    or taken."""
    workspace = TrainingWorkspace(home() / "training" / check_name(name), name)
    workspace.check_free()
    return workspace
