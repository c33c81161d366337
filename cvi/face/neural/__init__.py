"""`neural`: a trained replica; the person's own footage with the lower face drawn by a small network.

A frame of footage is chosen (`clip_graph`), its eyes are moved (`eyes`), the network's drawing (`decoder`) is
pasted in (`compose`). Start reading at `renderer`.
"""

from __future__ import annotations

from cvi.face.base import FaceEngine, FaceSettings


def build(settings: FaceSettings) -> FaceEngine:
    """Check the replica's files and open its networks.

    Raises MissingError when a file or package is not here, UsageError for a wrong file, kind, frame size
    or background.
    """
    from cvi.face.neural.renderer import NeuralEngine
    from cvi.face.replica import check_drawn_by

    check_drawn_by("neural", settings.replica, "a replica trained from footage")
    return NeuralEngine(settings)
