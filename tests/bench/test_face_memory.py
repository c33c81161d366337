"""What one face takes of memory: at most 400 MiB, at the largest of the usual sizes too."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvi.bench.layers.face_memory import face_memory_mib
from cvi.errors import CviError
from cvi.face.base import FaceSettings
from cvi.face.replica import list_replicas
from cvi.paths import shared_dir


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a peak of memory")
def test_the_largest_face_at_1080p_is_small() -> None:
    shipped = [folder for folder in list_replicas().values() if shared_dir("replicas") in folder.parents]
    largest = max(shipped, key=lambda folder: (folder / "atlas.npz").stat().st_size)
    used = face_memory_mib("sculpted", FaceSettings(largest, 1920, 1080))
    assert 10 < used < 400


def test_a_face_that_cannot_be_built_says_so(tmp_path: Path) -> None:
    with pytest.raises(CviError, match="could not be measured"):
        face_memory_mib("sculpted", FaceSettings(tmp_path))
