"""MediaPipe's face mesh as a `FaceTracker`: 478 points of one face, and how many faces there are.

It runs in a process with packages of its own (`mesh_packages` says why). A frame crosses in a file both
sides map into memory, so that it is copied once; the answer comes back over a pipe. About 5 ms a frame at
720p on one core (dependencies: `cvi replica setup`).

The process has a session of its own: Ctrl-C in a terminal reaches this program alone, which then ends it as
it ends everything else. It ends by itself too when this program is gone, since its input does.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import numpy as np

from cvi.errors import EngineError
from cvi.training.footage import Rgb
from cvi.training.landmarks import POINTS, FaceTracker, Floats, Seen
from cvi.training.mesh_packages import MEDIAPIPE, find_packages

MOST_FACES = 2
SEEN_SIDE_PX = 1280
"""Larger frames are shown smaller: the network looks at 192 pixels of a face and sees no more in a larger."""
SECOND_FACE = 0.35
"""A face narrower than this share of the followed one is a picture on the wall, or a mistake."""
END_TIMEOUT_S = 5.0
_WORKER = Path(__file__).with_name("mesh_worker.py")
_LEFT, _RIGHT = 234, 454
_REMEDY = "Run `cvi replica setup` again; with CVI_DEBUG=1 the trace is shown."


class MeshTracker:
    """The process starts with the first frame (about a second) and ends with `close`. One caller."""

    name = f"mediapipe-face-mesh {MEDIAPIPE}"

    def __init__(self, packages: Path) -> None:
        self._packages = packages
        self._process: subprocess.Popen[bytes] | None = None
        self._pixels: mmap.mmap | None = None
        self._noise: IO[bytes] | None = None
        self._before: Floats | None = None

    def see(self, rgb: Rgb) -> Seen:
        """As `FaceTracker.see`. Of several faces the one nearest to the last is followed, or the largest."""
        import cv2

        height, width = rgb.shape[:2]
        scale = min(1.0, SEEN_SIDE_PX / max(width, height))
        shown = rgb
        if scale < 1.0:
            size = (round(width * scale), round(height * scale))
            shown = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        faces = self._ask(shown)
        if not faces:
            return Seen(None, 0)
        placed = [face * np.array([width, height, width], np.float32) for face in faces]
        chosen = self._followed(placed)
        least = SECOND_FACE * _width(chosen)
        self._before = chosen
        return Seen(chosen, sum(_width(face) >= least for face in placed))

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.close()
                process.wait(timeout=END_TIMEOUT_S)
            except (OSError, subprocess.TimeoutExpired):
                process.kill()
                process.wait()
            process.stdout.close()
        for part in (self._pixels, self._noise):
            if part is not None:
                part.close()
        self._pixels = self._noise = None

    def _followed(self, faces: list[Floats]) -> Floats:
        if len(faces) == 1:
            return faces[0]
        if self._before is None:
            return max(faces, key=_width)
        before = self._before[:, :2].mean(0)
        return min(faces, key=lambda face: float(np.linalg.norm(face[:, :2].mean(0) - before)))

    def _ask(self, rgb: Rgb) -> list[Floats]:
        if self._process is None:
            self._start(rgb.nbytes)
        assert self._process is not None and self._pixels is not None
        if rgb.nbytes > len(self._pixels):
            raise EngineError("The frames of a film grew while it was tracked.", "Start a new tracker.")
        self._pixels[: rgb.nbytes] = np.ascontiguousarray(rgb).data.cast("B")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(struct.pack("<ii", *rgb.shape[:2]))
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error
        (count,) = struct.unpack("<i", self._read(4))
        length = POINTS * 3 * 4
        return [
            np.frombuffer(self._read(length), np.float32).reshape(POINTS, 3) for _ in range(max(count, 0))
        ]

    def _start(self, size: int) -> None:
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - lives until `close`
        # Its name is needed until the other side has opened it, and no longer: a program that is killed
        # leaves nothing.
        with tempfile.NamedTemporaryFile(prefix="cvi-mesh-") as shared:
            try:
                # Written, not cut to length: a full disk is told here, not by a signal later.
                shared.write(bytes(size))
                shared.flush()
                self._pixels = mmap.mmap(shared.fileno(), size)
                # Isolated, without site-packages: nothing of this program's environment gets in.
                command = [sys.executable, "-I", "-S", str(_WORKER), str(self._packages), shared.name]
                self._process = subprocess.Popen(  # noqa: S603 - the interpreter itself, on our own file
                    [*command, str(size), str(MOST_FACES)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._noise,
                    start_new_session=True,
                )
            except OSError as error:
                raise EngineError(
                    f"The face tracker cannot start: {error.strerror or error}.", "Check the disk."
                ) from error
            self._read(4)

    def _read(self, length: int) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        answer = self._process.stdout.read(length)
        if len(answer) < length:
            raise self._death()
        return answer

    def _death(self) -> EngineError:
        """What to raise when the process is gone, with its last words."""
        said = ""
        if self._noise is not None:
            self._noise.seek(0)
            lines = self._noise.read().decode(errors="replace").strip().splitlines()
            said = f": {lines[-1]}" if lines else ""
        return EngineError(f"The face tracker ended before its work was done{said}.", _REMEDY)


def _width(face: Floats) -> float:
    return float(np.linalg.norm(face[_RIGHT, :2] - face[_LEFT, :2]))


def build_tracker() -> FaceTracker:
    """The tracker of this machine. Raises MissingError with how to get it."""
    return MeshTracker(find_packages())
