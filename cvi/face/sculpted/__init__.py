"""`sculpted`: stock characters modelled, lit and baked by our own code; no person's likeness."""

from __future__ import annotations

from cvi.face.base import FaceEngine, FaceSettings


def build(settings: FaceSettings) -> FaceEngine:
    """Check the replica's files and load its atlas (about a second).

    Raises `MissingError` when a file is not here, `UsageError` for a wrong file, kind or frame size.
    """
    from cvi.face.replica import check_drawn_by
    from cvi.face.sculpted.atlas import ATLAS_FILE, Atlas
    from cvi.face.sculpted.renderer import SculptedFace

    check_drawn_by("sculpted", settings.replica, "a stock replica")
    return SculptedFace(Atlas(settings.replica / ATLAS_FILE), settings)
