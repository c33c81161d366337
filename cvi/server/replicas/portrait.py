"""Draws a replica's picture: `python -m cvi.server.replicas.portrait FOLDER FILE`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.face.base import Controls, FaceSettings
from cvi.face.replica import load_replica_card
from cvi.files import write_bytes

WIDTH, HEIGHT = 640, 360
SIDE_PX = 256
NICENESS = 10
# A friendly look at the viewer; the square shows face, hair and shoulders.
POSE = Controls(smile=0.35, cheek=0.1)
TOP, SHARE = 0.08, 0.84


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
    done, data = cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    return bytes(data)


def main() -> None:
    folder, path = map(Path, sys.argv[1:3])
    os.nice(NICENESS)
    try:
        data = draw(folder)
    except CviError as error:
        sys.exit(str(error))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


if __name__ == "__main__":
    main()
