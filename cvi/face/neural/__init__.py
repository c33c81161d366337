"""`neural`: a trained replica; a person's own footage with the lower face drawn by a small network."""

from __future__ import annotations

from cvi.face.base import FaceEngine, FaceSettings


def build(settings: FaceSettings) -> FaceEngine:
    """Check the replica's files and open its networks.

    Raises `MissingError` when a file or package is not here, `UsageError` for a wrong file, kind, frame size
    or background.
    """
    from cvi.errors import UsageError
    from cvi.face.neural.renderer import NeuralFace
    from cvi.face.replica import load_replica_card

    card = load_replica_card(settings.replica)
    if card.renderer != "neural":
        raise UsageError(
            f"The replica {card.name} is drawn by '{card.renderer}', not by 'neural'.",
            f"Choose the face engine '{card.renderer}', or a replica trained from footage.",
        )
    return NeuralFace(settings)
