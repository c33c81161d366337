"""`sculpted`: stock characters, modelled and baked by `cvi.characters`; no person's likeness.

A frame blends baked mouths (`mouth`) and turned eyeballs (`eyes`) into the head, turns the head by its depth
(`pose`) and lays it on the background. Start reading at `renderer`.
"""

from __future__ import annotations

from cvi.face.base import FaceEngine, FaceSettings


def build(settings: FaceSettings) -> FaceEngine:
    """Check the replica's files and load its atlas (about a second).

    Raises MissingError when a file is not here, UsageError for a wrong file, kind, background or frame size.
    """
    from cvi.face.replica import check_drawn_by
    from cvi.face.sculpted.atlas import ATLAS_FILE, Atlas
    from cvi.face.sculpted.renderer import SculptedEngine

    check_drawn_by("sculpted", settings.replica, "a stock replica")
    return SculptedEngine(Atlas(settings.replica / ATLAS_FILE), settings)
