"""Where the packages of MediaPipe's face mesh lie, and how they come there.

MediaPipe 0.10.21 is the last release whose wheel carries the models of the face mesh, and it insists on
numpy 1 and protobuf 4, which the rest of the program has outgrown. So it never enters the program's own
environment: they lie in a folder of their own, and a process of its own reads them (`mesh`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from cvi.errors import CviError, MissingError
from cvi.paths import home

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
