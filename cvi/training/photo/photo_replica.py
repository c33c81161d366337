"""One photo -> a replica: read, checked, agreed to, stored. A second or two; stopped, nothing is left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from cvi.errors import CviError, UsageError
from cvi.face.photo.rig import PHOTO, RIG, rig_bytes
from cvi.face.replica import CARD
from cvi.face.replica_store import free_folder
from cvi.files import sha256_of, write_bytes
from cvi.training.footage.mesh_tracker import build_tracker
from cvi.training.footage.tracking import FaceTracker
from cvi.training.package.consent import consent_file, give_consent, save_consent
from cvi.training.photo.photo_face import find_face, read_face
from cvi.training.photo.photo_file import read_photo

LIMITS = (
    "It talks, blinks, smiles a little, looks aside and turns its head by a few degrees, and no further; "
    "teeth and tongue are painted, not the person's; hair, glasses and hands do not move of their own."
)
"""What a replica of one photo cannot do."""


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """What to make. `consent` is the wording, or the path of a text or film of it, by `consent_by` where it
    does not say who; `voices` the voice that suits it, by engine; `glasses`: the person wears them."""

    photo: Path
    name: str
    consent: str
    consent_by: str | None = None
    voices: dict[str, str] | None = None
    glasses: bool = False


@dataclass(frozen=True, slots=True)
class PhotoReplica:
    """The replica's folder, and what will be seen of the photo's own faults."""

    folder: Path
    notes: tuple[str, ...]


def make_photo_replica(
    order: PhotoRequest, tracker: Callable[[], FaceTracker] = build_tracker
) -> PhotoReplica:
    """Raises UsageError for a photo that will not do, a name that is taken, or no consent; MissingError
    without the face tracker; CviError where the disk refuses."""
    import cv2

    folder = free_folder(order.name)
    photo = read_photo(order.photo)
    source = sha256_of(order.photo)
    consent = give_consent(order.consent, source, who=order.consent_by)
    eyes = tracker()
    try:
        face = find_face(photo, eyes)
    finally:
        eyes.close()
    rig = read_face(photo, face.landmarks, order.glasses)
    # Written anew, the photo loses what the camera noted of place and time.
    written, png = cv2.imencode(".png", photo[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not written:
        raise CviError("The photo cannot be stored.", "Give it as an 8-bit JPEG.")
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        write_bytes(part / PHOTO, png.tobytes())
        write_bytes(part / RIG, rig_bytes(rig))
        film = consent_file(order.consent) if consent.kind == "film" else None
        names = [PHOTO, RIG, *save_consent(consent, part, film)]
        _write_card(part, order, source, names, face.notes)
        part.rename(folder)
    except OSError as error:
        raise CviError(
            f"The replica cannot be stored in {folder}: {error.strerror or error}.", "Free some space."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return PhotoReplica(folder, face.notes)


def _write_card(
    folder: Path, order: PhotoRequest, source: str, names: list[str], notes: tuple[str, ...]
) -> None:
    card = {
        "name": order.name,
        "kind": "photo",
        "renderer": "photo",
        "description": "Made of one photo.",
        "source": f"made of {order.photo.name}",
        "licence": "the person's own, as far as their consent goes",
        "voices": order.voices or {},
        "training": {
            "photo": {"file": order.photo.name, "sha256": source, "path": str(order.photo.absolute())},
            "limits": LIMITS,
            "notes": list(notes),
        },
        "files": {name: sha256_of(folder / name) for name in sorted(names)},
    }
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100)
    write_bytes(folder / CARD, text.encode())


def refuse_training_options(given: dict[str, object]) -> None:
    """Raises UsageError for options that only footage has a use for."""
    named = [name for name, value in given.items() if value]
    if named:
        raise UsageError(
            f"{' and '.join(named)}: only footage has a use for it, and this is a photo.",
            "Leave it out, or give a film.",
        )
