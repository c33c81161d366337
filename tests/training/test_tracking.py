"""Tracks are stored as plain arrays; the tracker's process starts, answers and ends in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cvi.errors import EngineError, MissingError, UsageError
from cvi.perception import face_mesh as mesh_tracker
from cvi.perception.face_detection import POINTS, FaceDetection
from cvi.perception.face_mesh import MeshTracker, build_tracker
from cvi.training.footage.reader import FootageFrame, Rgb
from cvi.training.footage.tracking import FaceTrack, TrackCollector, load_track, save_track


class Fake:
    name = "fake 1"

    def see(self, rgb: Rgb) -> FaceDetection:
        if rgb.mean() < 10:
            return FaceDetection(None, 0)
        return FaceDetection(np.full((POINTS, 3), float(rgb[0, 0, 0]), np.float32), 2)

    def close(self) -> None: ...


def frames(greys: list[int]) -> list[FootageFrame]:
    return [
        FootageFrame(n, n / 25, n / 25, np.full((8, 6, 3), grey, np.uint8)) for n, grey in enumerate(greys)
    ]


def track_of(greys: list[int]) -> FaceTrack:
    collector = TrackCollector(Fake(), 25.0)
    for frame in frames(greys):
        collector.add(frame)
    return collector.track()


def test_a_stored_track_is_read_unchanged(tmp_path: Path) -> None:
    track = track_of([50, 0, 60])
    assert track.present.tolist() == [True, False, True]
    assert np.isnan(track.landmarks[1]).all() and track.landmarks[2, 0, 0] == 60
    save_track(track, tmp_path / "a.npz")
    kept = load_track(tmp_path / "a.npz")
    for name in ("times_s", "landmarks", "present", "faces"):
        np.testing.assert_array_equal(getattr(track, name), getattr(kept, name))
    assert (kept.width, kept.height, kept.fps, kept.tracker) == (6, 8, 25.0, "fake 1")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_track_without_frames_is_refused() -> None:
    with pytest.raises(UsageError, match="no frame"):
        track_of([])


@pytest.mark.parametrize("content", [b"", b"nothing", None])
def test_other_files_are_refused_as_tracks(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError):
        load_track(path)


def test_a_track_with_objects_in_it_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, format=np.asarray(1), times_s=np.asarray([{"a": 1}], object))
    with pytest.raises(UsageError):
        load_track(path)


def test_a_missing_tracker_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CVI_FACE_MESH", str(tmp_path))
    with pytest.raises(MissingError) as caught:
        build_tracker()
    assert "cvi replica setup" in caught.value.remedy


def test_a_tracker_that_dies_is_reported_with_its_last_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import sys; sys.exit('no room for the model')\n", encoding="utf-8")
    monkeypatch.setattr(mesh_tracker, "_WORKER", worker)
    tracker = MeshTracker(tmp_path)
    with pytest.raises(EngineError, match="no room for the model"):
        tracker.see(np.zeros((32, 32, 3), np.uint8))
    tracker.close()


# Answers as the real one does: no face anywhere. Says so in a file when it ends of itself.
SEES_NOBODY = """
import pathlib, struct, sys
out = sys.stdout.buffer
out.write(struct.pack("<i", -1)); out.flush()
try:
    while len(sys.stdin.buffer.read(8)) == 8:
        out.write(struct.pack("<i", 0)); out.flush()
except BrokenPipeError:
    pass
pathlib.Path(sys.argv[1], "ended").touch()
"""
# A program that Ctrl-C asks to finish what it is at, as training does.
LOOKS_ON = """
import signal, sys
from pathlib import Path
import numpy as np
from cvi.perception import face_mesh as mesh
mesh._WORKER = Path(sys.argv[1])
tracker = mesh.MeshTracker(Path(sys.argv[2]))
asked = []
signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
rgb = np.zeros((32, 32, 3), np.uint8)
tracker.see(rgb)
print("sees", tracker._process.pid, flush=True)
while not asked:
    tracker.see(rgb)
seen = [tracker.see(rgb).faces for _ in range(50)]
tracker.close()
print("saw", sum(seen), flush=True)
"""


def looking_on(tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """The program above, in a session of its own as in a terminal, and its tracker's process."""
    worker = tmp_path / "worker.py"
    worker.write_text(SEES_NOBODY, encoding="utf-8")
    program = subprocess.Popen(
        [sys.executable, "-c", LOOKS_ON, str(worker), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert program.stdout is not None
    said, number = program.stdout.readline().split()
    assert said == "sees"
    return program, int(number)


def ended(tmp_path: Path) -> bool:
    """Whether the tracker's process came to its own end, waited for."""
    until_s = time.monotonic() + 20
    while not (tmp_path / "ended").exists() and time.monotonic() < until_s:
        time.sleep(0.01)
    return (tmp_path / "ended").exists()


def test_ctrl_c_in_the_terminal_leaves_the_tracker_to_the_program(tmp_path: Path) -> None:
    program, _ = looking_on(tmp_path)
    os.killpg(program.pid, signal.SIGINT)  # what a terminal does: to all of its foreground
    said, _ = program.communicate(timeout=30)
    assert said == "saw 0\n" and program.returncode == 0
    assert ended(tmp_path)


def test_a_program_that_is_killed_leaves_no_tracker_and_no_file(tmp_path: Path) -> None:
    program, _ = looking_on(tmp_path)
    program.kill()
    program.communicate(timeout=30)
    assert ended(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ended", "worker.py"]


def test_a_full_disk_is_reported_before_the_tracker_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Full:
        name = "nowhere"

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None: ...

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **options: Full())
    tracker = MeshTracker(tmp_path)
    with pytest.raises(EngineError, match="No space left"):
        tracker.see(np.zeros((32, 32, 3), np.uint8))
    tracker.close()


def test_an_unsupported_python_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CVI_FACE_MESH", str(tmp_path))
    version = type("Version", (tuple,), {"minor": 13})((3, 13))
    monkeypatch.setattr(mesh_tracker, "sys", SimpleNamespace(version_info=version))
    with pytest.raises(MissingError, match=r"not made for Python 3\.13"):
        mesh_tracker.install_packages()


def test_a_stock_face_is_found_and_its_points_lie_on_it() -> None:
    try:
        tracker = build_tracker()
    except MissingError as error:
        pytest.skip(str(error))
    import cv2

    from cvi.engine_registry import build
    from cvi.face.base import Controls, FaceSettings
    from cvi.face.replica import find_replica
    from cvi.training.grading.face_measures import mouth_opening

    face = build("face", "sculpted", FaceSettings(find_replica("june"), 640, 360))
    try:
        seen = []
        for jaw in (0.0, 1.0):
            rgb = np.asarray(cv2.cvtColor(face.render(Controls(jaw=jaw)), cv2.COLOR_YUV2RGB_I420), np.uint8)
            for _ in range(2):  # the second look follows the first
                found = tracker.see(rgb)
            assert found.landmarks is not None and found.faces == 1
            seen.append(found.landmarks)
        nowhere = tracker.see(np.full((360, 640, 3), 90, np.uint8))
    finally:
        tracker.close()
        face.close()
    assert nowhere.landmarks is None and nowhere.faces == 0
    assert 250 < seen[0][:, 0].mean() < 390 and 80 < seen[0][:, 1].mean() < 260
    shut, open_ = mouth_opening(np.stack(seen))
    assert shut < 0.03 < 0.08 < open_
