"""The child process of `face_mesh`: MediaPipe's face mesh, and its hands, with packages of their own.

This file is run by path, never imported: it imports nothing of the project. Arguments: the folder of the
packages, the file both sides map, its size in bytes, the most faces. For each frame the parent writes its
RGB into the file and three int32 (height, width, 0 for faces or 1 for hands) to standard input; the answer on
standard output is an int32, how many there are, and for each 478 * 3 (a face) or 21 * 3 (a hand) float32:
x, y and z as shares of the width, height and width.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import types
from pathlib import Path
from typing import Any


def _find(packages: str) -> None:
    sys.path.insert(0, packages)
    # The packages' own __init__ load all solutions and with them hundreds of megabytes of libraries. Empty
    # packages of the same names let the face mesh and the hands be loaded alone.
    for name in ("mediapipe", "mediapipe.python", "mediapipe.python.solutions"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(packages, *name.split(".")))]
        sys.modules[name] = package


def _mesh(most_faces: int) -> Any:
    from mediapipe.python.solutions.face_mesh import FaceMesh

    return FaceMesh(static_image_mode=False, max_num_faces=most_faces, refine_landmarks=True)


def _hands() -> Any:
    # Each look stands alone: there are seconds between two. The light model, for 3 ms less.
    from mediapipe.python.solutions.hands import Hands

    return Hands(static_image_mode=True, max_num_hands=2, model_complexity=0)


def main() -> None:
    """Answer frames from standard input until it ends."""
    packages, shared, size, most_faces = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    # What libraries print goes to standard error, not into the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ["GLOG_minloglevel"] = "2"  # noqa: SIM112 - its name
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["OMP_NUM_THREADS"] = "1"
    _find(packages)
    mesh, hands = _mesh(most_faces), None
    import numpy as np

    with Path(shared).open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as pixels:
        answers.write(struct.pack("<i", -1))
        answers.flush()
        while len(head := sys.stdin.buffer.read(12)) == 12:
            height, width, what = struct.unpack("<iii", head)
            rgb = np.frombuffer(pixels, np.uint8, height * width * 3).reshape(height, width, 3)
            if what:
                hands = hands or _hands()
                found = hands.process(rgb).multi_hand_landmarks or []
            else:
                found = mesh.process(rgb).multi_face_landmarks or []
            del rgb
            answers.write(struct.pack("<i", len(found)))
            for each in found:
                points = np.array([(p.x, p.y, p.z) for p in each.landmark], np.float32)
                answers.write(points.tobytes())
            answers.flush()
    mesh.close()


if __name__ == "__main__":
    main()
