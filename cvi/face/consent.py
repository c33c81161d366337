"""The consent that a replica of a person carries: read and checked wherever its face or voice is used.

How it is given and stored: `cvi.training.package.consent`. What the hashes show: that no field was changed by
accident or by halves, and that the consent belongs to this footage. What they cannot show: who wrote it. They
have no key, so whoever can write into a replica's folder can write another consent with right hashes; that a
person truly agreed is shown by the film or the signed text that is kept with it, to people.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cvi.errors import UsageError
from cvi.untrusted import valid_json

CARD = "consent.json"
FORMAT = 1
REMEDY = (
    'Give --consent with a text, "I, <name>, am the person in this footage and agree that a replica of my '
    'face and voice is made from it, for <purpose>.", a text file, or a film in which they say so.'
)
_NOBODY = ("sculpted",)
"""Renderers of characters that are modelled by numbers and look like nobody."""


@dataclass(frozen=True, slots=True)
class Consent:
    """`who` agreed to `purpose`, `when` (ISO 8601, UTC); `kind` "text" or "film".

    `text` is the wording of a text. `evidence_sha256` is the hash of the wording's UTF-8 or of the film,
    `footage_sha256` that of the film the replica is made from; `recorded_by` the user who gave the command;
    `binding` the hash of all other fields.
    """

    who: str
    purpose: str
    when: str
    kind: Literal["text", "film"]
    text: str
    evidence: str
    evidence_sha256: str
    footage_sha256: str
    recorded_by: str
    binding: str = ""

    @property
    def whole(self) -> bool:
        """Whether no field was changed after the consent was given."""
        wording = self.kind == "film" or sha256_of_text(self.text) == self.evidence_sha256
        return wording and bound(self).binding == self.binding


def load_consent(folder: Path) -> Consent:
    """Read a replica's consent. Raises UsageError for one that is missing, unreadable or was changed."""
    path = folder / CARD
    try:
        data: dict[str, Any] = valid_json(path.read_bytes())
        if data.pop("format") != FORMAT:
            raise UsageError(f"{path} is of another version.", "Update cvi.")
        if not all(isinstance(value, str) for value in data.values()):
            raise ValueError("a field is no text")
        consent = Consent(**data)
    except FileNotFoundError as error:
        raise UsageError(f"{folder} holds no consent.", REMEDY) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read.", "Restore it, or ask for the consent again.") from error
    if not consent.whole:
        raise UsageError(
            f"{path} was changed after it was given.", "Restore it, or ask for the consent again."
        )
    return consent


def check_consent(folder: Path, footage_sha256: str) -> Consent:
    """The consent of a replica, if given for exactly this footage; else raises UsageError."""
    consent = load_consent(folder)
    if consent.footage_sha256 != footage_sha256:
        raise UsageError(
            f"The consent of {consent.who} was given for other footage.", "Ask for it again, for this film."
        )
    return consent


def bound(consent: Consent) -> Consent:
    """The consent with the hash of its other fields."""
    fields = {name: value for name, value in asdict(consent).items() if name != "binding"}
    binding = sha256_of_text(json.dumps(fields, sort_keys=True, ensure_ascii=False))
    return Consent(**fields, binding=binding)


def sha256_of_text(text: str) -> str:
    """SHA-256 of a text's UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def require_consent(folder: Path, card: Mapping[str, Any]) -> None:
    """Check the consent of a replica of a person, whatever it is used for; nothing for one of nobody.

    `card` is its `replica.yaml`. Raises UsageError where the consent is missing, changed, not listed among
    the replica's files, or given for other footage.
    """
    if card.get("renderer") in _NOBODY:
        return
    files = card.get("files")
    if not isinstance(files, Mapping) or CARD not in files:
        raise UsageError(
            f"The replica '{folder.name}' carries no consent of its person, so it is not used.", REMEDY
        )
    training = card.get("training")
    footage = training.get("footage") if isinstance(training, Mapping) else None
    sha256 = footage.get("sha256") if isinstance(footage, Mapping) else None
    if isinstance(sha256, str) and sha256:
        check_consent(folder, sha256)
    else:
        load_consent(folder)
