"""The memory of one face: how much a fresh process grows by building it and drawing with it.

Within a process that has held a face before, the figure would be too small: freed memory is used again.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cvi.bench.layers.face import FPS, performance
from cvi.bench.run import Figure
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.face.base import FaceEngine, FaceSettings

SECONDS = 4.0
_STATUS = Path("/proc/self/status")


def memory_of(face: FaceEngine, settings: FaceSettings) -> Sequence[Figure]:
    """A `FaceProbe`; nothing where the system does not say (it is Linux that does). Raises CviError."""
    if not _STATUS.exists():
        return ()
    return (Figure("memory_mib", "memory of it, at most", "MiB", (face_memory_mib(face.name, settings),)),)


def face_memory_mib(engine: str, settings: FaceSettings) -> float:
    """Peak growth of a process of its own while it builds the face and speaks for some seconds."""
    told = [engine, str(settings.replica), str(settings.width), str(settings.height), settings.background]
    done = subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", __name__, *told], check=False, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise CviError(f"The memory of a face could not be measured: {last}", "See the error.")
    return float(done.stdout)


def _peak_mib() -> float:
    """The most this process ever held, MiB."""
    row = next(row for row in _STATUS.read_text(encoding="ascii").splitlines() if row.startswith("VmHWM"))
    return int(row.split()[1]) / 1024


def _main(engine: str, replica: str, width: str, height: str, background: str) -> None:
    import av
    import cv2

    # The libraries are there once, however many faces there are.
    cv2.setNumThreads(1)
    assert av.library_versions
    settings = FaceSettings(Path(replica), int(width), int(height), FPS, background)
    shown = list(performance("speaking", round(SECONDS * FPS)))
    before = _peak_mib()
    face: FaceEngine = build("face", engine, settings)
    for controls in shown:
        face.render(controls)
    print(_peak_mib() - before)


if __name__ == "__main__":
    _main(*sys.argv[1:])
