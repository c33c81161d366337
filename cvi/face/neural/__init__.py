"""`neural`: a trained replica; a person's own footage with the lower face drawn by a small network."""

from __future__ import annotations

from cvi.face.base import FaceEngine, FaceSettings


def build(settings: FaceSettings) -> FaceEngine:
    """Check the replica's files and open its networks.

    Raises `MissingError` when a file or package is not here, `UsageError` for a wrong file, kind, frame size
    or background.
    """
    from cvi.face.neural.renderer import NeuralFace
    from cvi.face.replica import check_drawn_by

    check_drawn_by("neural", settings.replica, "a replica trained from footage")
    return NeuralFace(settings)
