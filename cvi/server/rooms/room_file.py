"""What a room needs to be opened again after the server or its worker was lost: a file beside the journal.

It holds the persona as the conversation began with it, with its endpoints' keys, and so is readable by its
owner alone; it goes when the conversation ends.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from cvi.errors import CviError
from cvi.files import write_bytes
from cvi.server.worker.messages import StartSession

NAME = "room.json"

log = logging.getLogger("cvi.server.rooms")


class RoomFile(BaseModel):
    """`seats` as in `RoomOrder`; `participants` are the ids of those who were in it and may come back.

    `waiting` are events that were accepted and are carried out once somebody has joined.
    """

    start: StartSession
    seats: int | None = None
    participants: list[str] = Field(default_factory=list)
    waiting: list[dict[str, Any]] = Field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write it. A disk that refuses is logged: the conversation itself goes on. Blocks."""
        try:
            write_bytes(folder / NAME, self.model_dump_json().encode(), mode=0o600, durable=False)
        except CviError as error:
            log.warning("a lost conversation could not go on: %s", error)


def read_room_file(folder: Path) -> RoomFile | None:
    """The file of a conversation's folder; None where there is none that can be used. Blocks."""
    try:
        return RoomFile.model_validate_json((folder / NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def remove_room_file(folder: Path) -> None:
    """Remove it, if it is there. Blocks."""
    (folder / NAME).unlink(missing_ok=True)
