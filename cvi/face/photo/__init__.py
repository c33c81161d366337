"""`photo`: a replica made of one photograph, which is bent; the inside of the mouth is painted.

Head, brows and cheeks are displacement fields (`fields`); mouth and eyes (`features`) are drawn over them.
Start reading at `renderer`.
"""

from __future__ import annotations

from cvi.face.base import FaceEngine, FaceSettings


def build(settings: FaceSettings) -> FaceEngine:
    """Check the replica's files and read its picture.

    Raises MissingError when a file is not here, UsageError for a wrong file, kind, frame size or
    background.
    """
    from cvi.face.photo.renderer import PhotoEngine
    from cvi.face.replica import check_drawn_by

    check_drawn_by("photo", settings.replica, "a replica made of a photo")
    return PhotoEngine(settings)
