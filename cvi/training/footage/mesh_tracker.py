"""MediaPipe's face mesh as a `FaceTracker`: 478 points of one face, and how many faces there are.

It runs in a process with packages of its own (`mesh_packages` says why). A frame crosses in a file both
sides map into memory, so that it is copied once; the answer comes back over a pipe. About 5 ms a frame at
720p on one core (dependencies: `cvi replica setup`).

The process has a session of its own: Ctrl-C in a terminal reaches this program alone, which then ends it as
it ends everything else. It ends by itself too when this program is gone, since its input does.


TODO Where the packages of MediaPipe's face mesh lie, and how they come there.

MediaPipe 0.10.21 is the last release whose wheel carries the models of the face mesh, and it insists on
numpy 1 and protobuf 4, which the rest of the program has outgrown. So it never enters the program's own
environment: they lie in a folder of their own, and a process of its own reads them (`mesh`).
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np

from cvi.errors import CviError, EngineError, MissingError
from cvi.paths import home
from cvi.training.footage.reader import Rgb
from cvi.training.footage.tracking import POINTS, FaceDetection, FaceTracker, Floats

MEDIAPIPE = "0.10.21"
PACKAGES = (f"mediapipe=={MEDIAPIPE}", "numpy==1.26.4", "protobuf==4.25.9", "absl-py==2.5.1")
"""Installed without what they depend on: the mesh alone needs no more than these."""
_MODEL = Path("mediapipe", "modules", "face_landmark", "face_landmark_with_attention.tflite")
_ENOUGH = "Run it once: cvi replica setup"
_LONGEST_INSTALL_S = 900


def find_packages() -> Path:
    """The folder, ready to be used. Raises MissingError with how to get it."""
    override = os.environ.get("CVI_FACE_MESH")
    for folder in [Path(override)] if override else _places():
        if (folder / _MODEL).is_file():
            return folder
    raise MissingError("The face tracker (MediaPipe's face mesh) is not installed.", _ENOUGH)


def install_packages() -> Path:
    """Fetch the packages (about 90 MB) with pip; a folder that is there already is kept.

    Nothing half-made is left. Raises MissingError for a Python they are not made for or a machine without
    pip, CviError when pip fails or the disk is full.
    """
    try:
        return find_packages()
    except MissingError:
        pass
    if sys.version_info >= (3, 13):
        raise MissingError(
            f"MediaPipe {MEDIAPIPE} is not made for Python 3.{sys.version_info.minor}.",
            "Make the replica with Python 3.11 or 3.12; every version can then show it.",
        )
    if find_spec("pip") is None:
        raise MissingError("There is no pip in this Python.", f"{sys.executable} -m ensurepip")
    folder = _places()[0]
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--target", str(part), *PACKAGES]
    try:
        part.mkdir(parents=True)
        done = subprocess.run(  # noqa: S603 - the interpreter's own pip, with constant arguments
            command, capture_output=True, text=True, timeout=_LONGEST_INSTALL_S, check=False
        )
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise CviError(
                f"The face tracker could not be installed: {said[-1] if said else 'pip failed'}.",
                "Check the network and the disk, and run it again.",
            )
        part.replace(folder)
    except subprocess.TimeoutExpired as error:
        raise CviError("Installing the face tracker took too long.", "Run it again.") from error
    except OSError as error:
        raise CviError(
            f"{folder} cannot be written: {error.strerror or error}.", "Check the disk."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return find_packages()


def _places() -> list[Path]:
    """With the program where it has an environment of its own, else with the user's data."""
    name = f"face-mesh-{MEDIAPIPE}-cp{sys.version_info.major}{sys.version_info.minor}"
    own = Path(sys.prefix, "share", "cvi", name)
    users = home() / "tools" / name
    return [own, users] if sys.prefix != sys.base_prefix else [users]


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

    def see(self, rgb: Rgb) -> FaceDetection:
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
            return FaceDetection(None, 0)
        placed = [face * np.array([width, height, width], np.float32) for face in faces]
        chosen = self._followed(placed)
        least = SECOND_FACE * _width(chosen)
        self._before = chosen
        return FaceDetection(chosen, sum(_width(face) >= least for face in placed))

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
