"""MediaPipe's face mesh as a `FaceTracker`: 478 points of one face, and how many faces there are.

MediaPipe 0.10.21 is the last release whose wheel carries the models of the face mesh. It requires numpy 1 and
protobuf 4, which this program does not use, so it is installed into a folder of its own (`cvi replica setup`)
and runs in a process of its own. A frame crosses in a file that both processes map into memory, so that it is
copied once; the answer comes back over a pipe. About 5 ms a frame at 720p on one core.

The process has a session of its own, so that Ctrl-C in a terminal reaches this program alone, which then ends
it in order. It also ends by itself when this program is gone, because its input is closed then.
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
from cvi.perception.face_detection import HAND_POINTS, POINTS, FaceDetection, FaceTracker, Points, Rgb

MEDIAPIPE = "0.10.21"
PACKAGES = (f"mediapipe=={MEDIAPIPE}", "numpy==1.26.4", "protobuf==4.25.9", "absl-py==2.5.1")
"""Installed without their dependencies: the face mesh needs no more than these."""
_MODEL = Path("mediapipe", "modules", "face_landmark", "face_landmark_with_attention.tflite")
_INSTALL = "Run it once: cvi replica setup"
_LONGEST_INSTALL_S = 900


def find_packages() -> Path:
    """The folder of the installed packages. Raises MissingError, which says how to install them."""
    override = os.environ.get("CVI_FACE_MESH")
    for folder in [Path(override)] if override else _places():
        if (folder / _MODEL).is_file():
            return folder
    raise MissingError("The face tracker (MediaPipe's face mesh) is not installed.", _INSTALL)


def install_packages() -> Path:
    """Install the packages (about 90 MB) with pip, where they are not installed yet; their folder.

    A failed installation leaves nothing. Raises MissingError for a Python they are not made for or a machine
    without pip, CviError when pip fails or the disk is full.
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
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise CviError(
                f"The face tracker could not be installed: {errors[-1] if errors else 'pip failed'}.",
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
    """In the program's own environment where it has one, else with the user's data."""
    folder = f"face-mesh-{MEDIAPIPE}-cp{sys.version_info.major}{sys.version_info.minor}"
    environment = Path(sys.prefix, "share", "cvi", folder)
    user = home() / "tools" / folder
    return [environment, user] if sys.prefix != sys.base_prefix else [user]


MOST_FACES = 2
MOST_SIDE_PX = 1280
"""Larger frames are scaled down first: the network samples a face at 192 pixels."""
SECOND_FACE = 0.35
"""A face narrower than this share of the tracked one is not counted: a picture on the wall, or a mistake."""
END_TIMEOUT_S = 5.0
_WORKER = Path(__file__).with_name("face_mesh_worker.py")
_LEFT, _RIGHT = 234, 454
_FACES, _HANDS = 0, 1
"""What the process is asked for."""
_REMEDY = "Run `cvi replica setup` again; with CVI_DEBUG=1 the trace is shown."


class MeshTracker:
    """The process starts with the first frame (about a second) and ends with `close`. Used by one thread."""

    name = f"mediapipe-face-mesh {MEDIAPIPE}"

    def __init__(self, packages: Path, *, most_bytes: int = 0, niceness: int = 0) -> None:
        """`most_bytes` is the size of the largest frame to come, where the first one is not the largest.
        With a `niceness` above 0 other processes go first."""
        self._packages = packages
        self._most_bytes = most_bytes
        self._niceness = niceness
        self._process: subprocess.Popen[bytes] | None = None
        self._pixels: mmap.mmap | None = None
        self._stderr: IO[bytes] | None = None
        self._last: Points | None = None

    @property
    def pid(self) -> int | None:
        """The process's number, None before the first frame."""
        return None if self._process is None else self._process.pid

    def see(self, rgb: Rgb) -> FaceDetection:
        """As `FaceTracker.see`. Of several faces the one nearest to the last tracked one is chosen, at first
        the largest."""
        import cv2

        height, width = rgb.shape[:2]
        scale = min(1.0, MOST_SIDE_PX / max(width, height))
        shown = rgb
        if scale < 1.0:
            size = (round(width * scale), round(height * scale))
            shown = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        faces = self._ask(shown, _FACES, POINTS)
        if not faces:
            return FaceDetection(None, 0)
        placed = [face * np.array([width, height, width], np.float32) for face in faces]
        chosen = self._nearest(placed)
        least = SECOND_FACE * _width(chosen)
        self._last = chosen
        return FaceDetection(chosen, sum(_width(face) >= least for face in placed))

    def hands(self, rgb: Rgb) -> list[Points]:
        """As `HandFinder.hands`."""
        height, width = rgb.shape[:2]
        found = self._ask(rgb, _HANDS, HAND_POINTS)
        return [hand * np.array([width, height, width], np.float32) for hand in found]

    def close(self) -> None:
        """End the process; waits at most `END_TIMEOUT_S` before it is killed."""
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
        for part in (self._pixels, self._stderr):
            if part is not None:
                part.close()
        self._pixels = self._stderr = None

    def _nearest(self, faces: list[Points]) -> Points:
        if len(faces) == 1:
            return faces[0]
        if self._last is None:
            return max(faces, key=_width)
        last = self._last[:, :2].mean(0)
        return min(faces, key=lambda face: float(np.linalg.norm(face[:, :2].mean(0) - last)))

    def _ask(self, rgb: Rgb, what: int, points: int) -> list[Points]:
        if self._process is None:
            self._start(max(rgb.nbytes, self._most_bytes))
        assert self._process is not None and self._pixels is not None
        if rgb.nbytes > len(self._pixels):
            raise EngineError("The frames of a film grew while it was tracked.", "Start a new tracker.")
        self._pixels[: rgb.nbytes] = np.ascontiguousarray(rgb).data.cast("B")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(struct.pack("<iii", *rgb.shape[:2], what))
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error
        (count,) = struct.unpack("<i", self._read(4))
        length = points * 3 * 4
        return [
            np.frombuffer(self._read(length), np.float32).reshape(points, 3) for _ in range(max(count, 0))
        ]

    def _start(self, size: int) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives until `close`
        # Named only until the other process has opened it, so that a killed program leaves no file.
        with tempfile.NamedTemporaryFile(prefix="cvi-mesh-") as shared:
            try:
                # Written, not truncated to length: a full disk raises here and not as a signal later.
                shared.write(bytes(size))
                shared.flush()
                self._pixels = mmap.mmap(shared.fileno(), size)
                # Isolated and without site-packages, so that no package of this program's environment is
                # imported.
                command = [sys.executable, "-I", "-S", str(_WORKER), str(self._packages), shared.name]
                self._process = subprocess.Popen(  # noqa: S603 - the interpreter itself, on our own file
                    [*command, str(size), str(MOST_FACES)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._stderr,
                    start_new_session=True,
                )
                if self._niceness:
                    os.setpriority(os.PRIO_PROCESS, self._process.pid, self._niceness)
            except OSError as error:
                raise EngineError(
                    f"The face tracker cannot start: {error.strerror or error}.", "Check the disk."
                ) from error
            self._read(4)

    def _read(self, length: int) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        answer = self._process.stdout.read(length)
        if len(answer) < length:
            raise self._ended()
        return answer

    def _ended(self) -> EngineError:
        """The error for a process that ended, with the last line of its standard error."""
        reason = ""
        if self._stderr is not None:
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").strip().splitlines()
            reason = f": {lines[-1]}" if lines else ""
        return EngineError(f"The face tracker ended before its work was done{reason}.", _REMEDY)


def _width(face: Points) -> float:
    return float(np.linalg.norm(face[_RIGHT, :2] - face[_LEFT, :2]))


def build_tracker() -> FaceTracker:
    """The face tracker of this machine. Raises MissingError, which says how to install it."""
    return MeshTracker(find_packages())
