"""A small picture of each replica, drawn once, by a process of its own.

`python -m cvi.server.catalog.thumbnails FOLDER FILE` draws the picture of the replica in FOLDER.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from cvi.child_process import module_command, run_command
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.face.base import Controls, FaceSettings
from cvi.face.replica import load_replica_card
from cvi.files import write_bytes
from cvi.paths import home
from cvi.server.catalog.replica_store import StoredReplica

DRAW = module_command("cvi.server.catalog.thumbnails")
TIMEOUT_S = 60.0
WIDTH, HEIGHT = 640, 360
SIDE_PX = 256
NICENESS = 10
# A friendly look at the viewer; the square shows face, hair and shoulders.
POSE = Controls(smile=0.35, cheek=0.1)
TOP, SHARE = 0.08, 0.84

log = logging.getLogger("cvi.server.catalog")


class Thumbnails:
    """One is drawn at a time, so that conversations keep the machine. Event loop only."""

    def __init__(self, command: tuple[str, ...] = DRAW) -> None:
        """`command` is followed by the replica's folder and the file to write."""
        self._command = command
        self._drawing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    def path(replica: StoredReplica) -> Path:
        """Where the picture is kept; another place once the replica's files change."""
        return home() / "thumbnails" / f"{replica.name}-{replica.fingerprint}.jpg"

    async def get(self, replica: StoredReplica) -> Path | None:
        """The picture's file; None when it cannot be drawn."""
        path = self.path(replica)
        async with self._drawing:
            if not await asyncio.to_thread(path.is_file):
                task = asyncio.create_task(self._draw(replica, path))
                self._tasks.add(task)
                try:
                    await task
                finally:
                    self._tasks.discard(task)
        return path if await asyncio.to_thread(path.is_file) else None

    async def _draw(self, replica: StoredReplica, path: Path) -> None:
        finished = await run_command([*self._command, str(replica.folder), str(path)], TIMEOUT_S)
        if finished.status != 0:
            why = finished.errors[-300:] if finished.status is not None else "it took too long"
            log.warning("no thumbnail: %s", why)

    async def stop(self) -> None:
        """Break off what is being drawn."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def draw(folder: Path) -> bytes:
    """A JPEG of SIDE_PX by SIDE_PX. Raises `CviError` for a replica that is not whole."""
    import cv2

    card = load_replica_card(folder)
    face = build("face", card.renderer, FaceSettings(folder, WIDTH, HEIGHT))
    try:
        bgr = cv2.cvtColor(face.render(POSE), cv2.COLOR_YUV2BGR_I420)
    finally:
        face.close()
    side, top = round(SHARE * HEIGHT), round(TOP * HEIGHT)
    left = (WIDTH - side) // 2
    square = cv2.resize(
        bgr[top : top + side, left : left + side], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA
    )
    encoded, data = cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert encoded
    return bytes(data)


def main() -> None:
    """Draw the picture that the command line names."""
    folder, path = map(Path, sys.argv[1:3])
    os.nice(NICENESS)
    try:
        write_bytes(path, draw(folder))
    except CviError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
