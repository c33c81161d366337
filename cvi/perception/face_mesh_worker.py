"""The child process of `face_mesh`: MediaPipe's face mesh with packages of its own.

This file is run by path, never imported: it imports nothing of the project. Arguments: the folder of the
packages, the file both sides map, its size in bytes, the most faces. For each frame the parent writes its
RGB into the file and two int32 (height, width) to standard input; the answer on standard output is an
int32, how many faces, and for each 478 * 3 float32: x, y and z as shares of the width, height and width.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import types
from pathlib import Path
from typing import Any


def _mesh(packages: str, most_faces: int) -> Any:
    sys.path.insert(0, packages)
    # The packages' own __init__ load all solutions and with them hundreds of megabytes of libraries. Empty
    # packages of the same names let the face mesh be loaded alone.
    for name in ("mediapipe", "mediapipe.python", "mediapipe.python.solutions"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(packages, *name.split(".")))]
        sys.modules[name] = package
    from mediapipe.python.solutions.face_mesh import FaceMesh

    return FaceMesh(static_image_mode=False, max_num_faces=most_faces, refine_landmarks=True)


def main() -> None:
    """Answer frames from standard input until it ends."""
    packages, shared, size, most_faces = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    # What libraries print goes to standard error, not into the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ["GLOG_minloglevel"] = "2"  # noqa: SIM112 - its name
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["OMP_NUM_THREADS"] = "1"
    mesh = _mesh(packages, most_faces)
    import numpy as np

    with Path(shared).open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as pixels:
        answers.write(struct.pack("<i", -1))
        answers.flush()
        while len(head := sys.stdin.buffer.read(8)) == 8:
            height, width = struct.unpack("<ii", head)
            rgb = np.frombuffer(pixels, np.uint8, height * width * 3).reshape(height, width, 3)
            found = mesh.process(rgb).multi_face_landmarks or []
            del rgb
            answers.write(struct.pack("<i", len(found)))
            for face in found:
                points = np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32)
                answers.write(points.tobytes())
            answers.flush()
    mesh.close()


if __name__ == "__main__":
    main()
