"""`photo`: a replica made of one photograph; the picture itself, bent, with a painted inside of the mouth."""

from __future__ import annotations

from cvi.face.base import FaceEngine, FaceSettings


def build(settings: FaceSettings) -> FaceEngine:
    """Check the replica's files and read its picture.

    Raises `MissingError` when a file is not here, `UsageError` for a wrong file, kind, frame size or
    background.
    """
    from cvi.errors import UsageError
    from cvi.face.photo.renderer import PhotoFace
    from cvi.face.replica import load_replica_card

    card = load_replica_card(settings.replica)
    if card.renderer != "photo":
        raise UsageError(
            f"The replica {card.name} is drawn by '{card.renderer}', not by 'photo'.",
            f"Choose the face engine '{card.renderer}', or a replica made of a photo.",
        )
    return PhotoFace(settings)
