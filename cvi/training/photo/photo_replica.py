"""One photo -> a replica: read, checked, with consent, stored. Takes a second or two; interrupted, it leaves
nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvi.errors import CviError, UsageError
from cvi.face.photo.rig import PHOTO, RIG, rig_bytes
from cvi.face.replica import free_folder
from cvi.files import sha256_of, write_bytes
from cvi.perception.face_detection import FaceTracker
from cvi.perception.face_mesh import build_tracker
from cvi.training.package.consent import consent_file, give_consent, save_consent
from cvi.training.package.export import ReplicaDescription, write_card
from cvi.training.photo.photo_face import find_face, read_face
from cvi.training.photo.photo_file import read_photo

LIMITS = (
    "It talks, blinks, smiles a little, looks aside and turns its head by a few degrees, and no further; "
    "teeth and tongue are painted, not the person's; hair, glasses and hands do not move of their own."
)
"""The limits of a replica of one photo, for the user."""


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """`consent` is the wording, or the path of a text or film of it, given by `consent_by` where it does not
    say who; `voices` by engine suit the person; `glasses`: the person wears them."""

    photo: Path
    name: str
    consent: str
    consent_by: str | None = None
    voices: dict[str, str] | None = None
    glasses: bool = False


@dataclass(frozen=True, slots=True)
class PhotoReplica:
    """The replica's folder, and notes on what the photo's quality will show."""

    folder: Path
    notes: tuple[str, ...]


def make_photo_replica(
    request: PhotoRequest, tracker: Callable[[], FaceTracker] = build_tracker
) -> PhotoReplica:
    """Make and store the replica. Raises UsageError for an unsuitable photo, a name that is taken, or a
    missing consent; MissingError without the face tracker; CviError where the disk refuses."""
    import cv2

    folder = free_folder(request.name)
    picture = read_photo(request.photo)
    source = sha256_of(request.photo)
    consent = give_consent(request.consent, source, who=request.consent_by)
    face_tracker = tracker()
    try:
        face = find_face(picture, face_tracker)
    finally:
        face_tracker.close()
    rig = read_face(picture, face.landmarks, request.glasses)
    # Encoding it again drops the camera's metadata, such as place and time.
    written, png = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not written:
        raise CviError("The photo cannot be stored.", "Give it as an 8-bit JPEG.")
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        write_bytes(part / PHOTO, png.tobytes())
        write_bytes(part / RIG, rig_bytes(rig))
        film = consent_file(request.consent) if consent.kind == "film" else None
        names = [PHOTO, RIG, *save_consent(consent, part, film)]
        photo = {"file": request.photo.name, "sha256": source, "path": str(request.photo.absolute())}
        description = ReplicaDescription(
            name=request.name,
            kind="photo",
            renderer="photo",
            source=f"made of {request.photo.name}",
            text="Made of one photo.",
            voices=request.voices or {},
            facts={"photo": photo, "limits": LIMITS, "notes": list(face.notes)},
        )
        write_card(part, description, names)
        part.rename(folder)
    except OSError as error:
        raise CviError(
            f"The replica cannot be stored in {folder}: {error.strerror or error}.", "Free some space."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return PhotoReplica(folder, face.notes)


def refuse_training_options(given: dict[str, object]) -> None:
    """Raises UsageError where one of `given` (option -> value) is set that only footage uses."""
    used = [name for name, value in given.items() if value]
    if used:
        raise UsageError(
            f"{' and '.join(used)}: only training from footage uses it, and this is a photo.",
            "Leave it out, or give a film.",
        )
