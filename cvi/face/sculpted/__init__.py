"""`sculpted`: stock characters modelled, lit and baked by our own code; no person's likeness."""

from __future__ import annotations

from cvi.face.base import FaceEngine, FaceSettings


def build(settings: FaceSettings) -> FaceEngine:
    """Check the replica's files and load its atlas (about a second).

    Raises `MissingError` when a file is not here, `UsageError` for a wrong file, kind or frame size.
    """
    from cvi.errors import UsageError
    from cvi.face.replica import load_replica_card
    from cvi.face.sculpted.atlas import Atlas
    from cvi.face.sculpted.renderer import SculptedFace

    card = load_replica_card(settings.replica)
    if card.renderer != "sculpted":
        raise UsageError(
            f"The replica {card.name} is drawn by '{card.renderer}', not by 'sculpted'.",
            f"Choose the face engine '{card.renderer}', or a stock replica.",
        )
    return SculptedFace(Atlas(settings.replica / "atlas.npz"), settings)
