"""Whose face and voice this is, and their agreement: required before anything is made, and stored with it.

It is a text or a film in which the person agrees, bound by hashes to its own wording and to the footage:
another film or another wording needs another consent. It is no proof in court; it makes sure that the person
was asked, and that the answer can be looked up. How it is read and checked: `cvi.face.consent`.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cvi.errors import UsageError
from cvi.face.consent import CARD, FORMAT, REMEDY, Consent, bound
from cvi.files import replacing, sha256_of, write_text
from cvi.training.footage.reader import open_footage

SHORTEST_TEXT = 20
LONGEST_TEXT = 20_000
TEXTS = (".txt", ".md")
_FILES = (*TEXTS, ".mp4", ".mov", ".mkv", ".webm", ".m4v", ".avi")
EXAMPLE = (
    "I, Anna Example, am the person in this footage. I agree that a replica of my face and voice is made "
    "from it, for conversations on my own machine."
)
# In the languages of the reading scripts and some others; people who speak none of them agree in a film.
_AGREES = (
    r"(?:agree|consent|permit|allow|authori[sz]e|give (?:my )?permission"
    r"|stimm|zustimm|zugestimm|einverstanden|einverständnis|einwillig|willige|erlaub|gestatte"
    r"|acuerdo|consiento|consentimiento|acepto|autorizo|permito"
    r"|d['’]accord|consen[st]|accepte|autorise|permets"
    r"|acconsento|accetto|autorizzo|concordo|consinto|aceito|akkoord|toestemming|zgadzam|zgod)"
)
_AGREED = re.compile(rf"\b{_AGREES}", re.IGNORECASE)
_REFUSED = re.compile(
    rf"(?:\b(?:not|never|cannot|nicht|nie|niemals|kein\w*|no|nunca|ne|pas|jamais|non|não|niet|nie)|n['’]t)"
    rf"\W+(?:\w+\W+)?{_AGREES}|\bn['’](?:accepte|autorise)|\bstimme\W+(?:\w+\W+){{0,3}}nicht\b",
    re.IGNORECASE,
)


def give_consent(
    given: str | None,
    footage_sha256: str,
    *,
    who: str | None = None,
    purpose: str = "a replica for conversations",
    now: datetime | None = None,
) -> Consent:
    """The consent given as --consent: the path of a film or text file, or the wording itself.

    `who` is needed with a film; a wording names the person ("I, Anna Example, ..."). Raises UsageError where
    there is no consent, or none that says who agrees.
    """
    if given is None or not given.strip():
        raise UsageError("A replica is made only of somebody who agreed to it.", REMEDY)
    path = consent_file(given)
    text, evidence = given.strip(), "text"
    kind: Literal["text", "film"] = "text"
    if path is not None:
        evidence = path.name
        if path.suffix.lower() in TEXTS:
            text = _read_text(path)
        else:
            _check_film(path)
            kind, text = "film", ""
    if kind == "text":
        _check_wording(text)
        who = who or _name_in(text)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
    else:
        assert path is not None
        sha256 = sha256_of(path)
    if not who:
        raise UsageError(
            "The consent does not say who agrees.",
            'Begin it with "I, <full name>, ...", or add --consent-by NAME.',
        )
    when = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
    consent = Consent(
        who=who.strip(),
        purpose=purpose,
        when=when,
        kind=kind,
        text=text,
        evidence=evidence,
        evidence_sha256=sha256,
        footage_sha256=footage_sha256,
        recorded_by=_user(),
    )
    return bound(consent)


def consent_file(given: str) -> Path | None:
    """The file that --consent names; None where it is the wording itself. Raises UsageError for a path that
    does not exist."""
    name = given.strip()
    if "\n" in given:
        return None
    try:
        path = Path(name).expanduser()
        if path.is_file():
            return path
    except (OSError, RuntimeError):
        return None  # too long for a path, or an unknown user's home: a wording
    like_a_path = len(name.split()) == 1 and (os.sep in name or bool(path.suffix))
    if like_a_path or path.suffix.lower() in _FILES:
        raise UsageError(f"There is no consent at {path}.", "Check the path, or write the wording itself.")
    return None


def save_consent(consent: Consent, folder: Path, film: Path | None = None) -> tuple[str, ...]:
    """Store a consent in a replica's folder, with its film; the names of the files.

    Raises UsageError for a film that is not the one consented with, CviError when the disk refuses.
    """
    names = [CARD]
    if consent.kind == "film":
        if film is None or sha256_of(film) != consent.evidence_sha256:
            raise UsageError("This is not the film the consent was given in.", "Give that very film.")
        names.append(f"consent{film.suffix.lower()}")
        with replacing(folder / names[1]) as part:
            shutil.copyfile(film, part)
    document = json.dumps({"format": FORMAT, **asdict(consent)}, indent=2, ensure_ascii=False)
    write_text(folder / CARD, document + "\n")
    return tuple(names)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The consent {path} cannot be read.", "Give a text in UTF-8.") from error


def _check_wording(text: str) -> None:
    if len(text) < SHORTEST_TEXT or len(text.split()) < 4:
        raise UsageError(f"'{_shortened(text)}' is no consent.", REMEDY)
    if len(text) > LONGEST_TEXT:
        raise UsageError("The consent is longer than 20,000 characters.", "Give the agreement alone.")
    if not _AGREED.search(text) or _REFUSED.search(text):
        raise UsageError(f"The consent does not say that anybody agrees: '{_shortened(text)}'", REMEDY)
    if blank := re.search(r"<[^<>]*>", text):
        raise UsageError(f"The consent still has a gap to fill in: {blank[0]}", REMEDY)


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _check_film(path: Path) -> None:
    """Raise UsageError for a film without picture or sound."""
    if not open_footage(path).has_sound:
        raise UsageError(f"{path} has no sound: nobody says that they agree.", "Film the consent with sound.")


def _name_in(text: str) -> str | None:
    """The name between the first two commas, as in "I, Anna Example, ..." or "Ich, Anna Beispiel, ..."."""
    parts = text.split(",", 2)
    if len(parts) == 3 and len(parts[0].split()) == 1 and 0 < len(parts[1].strip()) <= 80:
        name = parts[1].strip()
        return name if any(letter.isalpha() for letter in name) and "<" not in name else None
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
