"""A replica's own voice, cloned from a recording of the person with their consent and stored with the
replica.

`voice.json` says what it was made from and binds it to the consent. Without a matching consent no voice is
made, and a stored one is not used.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from cvi.audio.block import PLAYED_HZ
from cvi.engine_registry import factory, names
from cvi.errors import UsageError
from cvi.face.consent import Consent, load_consent
from cvi.face.replica import CARD, ReplicaCard, find_replica, is_shipped, load_replica_card
from cvi.files import sha256_of, write_bytes
from cvi.media.decode import read_audio
from cvi.training.package.consent import TEXTS, consent_file, give_consent
from cvi.tts.base import TtsSettings
from cvi.tts.cloning import Cloning, reference
from cvi.yaml_document import read_yaml

ORIGIN = "voice.json"
PURPOSE = "a voice cloned for a replica's conversations"
_VOICE_IS_NAMED = re.compile(r"\b(voice|stimme|voz|voix|voce|stem)\b", re.IGNORECASE)
_ASK = (
    'Give --consent with a text: "I, <name>, am the person in this recording and agree that my voice is '
    'cloned from it, for <purpose>."'
)


def cloning(engine: str) -> Cloning:
    """The cloner of this name. Raises UsageError for an unknown name, MissingError."""
    found: Any = factory("cloner", engine)
    checked: Cloning = found
    return checked


def clone_voice(
    name: str,
    recording: Path,
    *,
    consent: str | None = None,
    engine: str = "pocket",
    model: str | None = None,
) -> Path:
    """Give a replica of one's own the voice in a recording (a film or sound); the voice's file.

    For the footage the replica was made from its own consent suffices, where that names the voice; any other
    recording needs `consent`, a wording of the person. Raises UsageError, MissingError, EngineError and
    CviError; the replica is then unchanged.
    """
    folder = find_replica(name)
    if is_shipped(folder):
        raise UsageError(f"'{name}' is a stock replica.", "Give a replica of your own a voice.")
    card = load_replica_card(folder)
    chosen = cloning(engine)
    if not recording.exists():
        raise UsageError(f"There is no file {recording}.", "Check the path.")
    if not recording.is_file():
        raise UsageError(f"{recording} is not a file.", "Give a recording: sound or film.")
    source = sha256_of(recording)
    agreed = _consent(folder, source, consent)
    sound = reference(read_audio(recording, PLAYED_HZ))
    cloner = chosen.open(TtsSettings(model=model))
    try:
        voice = cloner.clone(sound)
    finally:
        cloner.close()
    file = f"voice-{chosen.engine}.safetensors"
    origin = {
        "engine": chosen.engine,
        "recording": {"file": recording.name, "sha256": source},
        "voice_sha256": hashlib.sha256(voice).hexdigest(),
        "consent": asdict(agreed),
    }
    if file in card.files:
        # The replica must be valid even if the process is killed between the changes of files and card.
        _set_voice(card, chosen.engine, None)
    write_bytes(folder / file, voice)
    write_bytes(folder / ORIGIN, json.dumps(origin, indent=2, ensure_ascii=False).encode())
    _set_voice(card, chosen.engine, file)
    return folder / file


def voice_of(card: ReplicaCard, engine: str) -> str | None:
    """A replica's voice as the engine takes it: a name, or the path of a cloned one; None where the card has
    none.

    Raises UsageError for a cloned voice without the consent it was made with.
    """
    voice = card.voices.get(engine)
    if voice is None or voice not in card.files:
        return voice
    _check_origin(card, voice)
    return str(card.folder / voice)


def spoken_clone(card: ReplicaCard, language: str) -> tuple[str, str] | None:
    """Engine and file of a cloned voice that can speak a language (ISO 639-1) on this machine now, or
    None."""
    for engine, voice in card.voices.items():
        if voice in card.files and engine in names("cloner"):
            chosen = cloning(engine)
            if language in chosen.languages and chosen.ready():
                path = voice_of(card, engine)
                assert path is not None
                return engine, path
    return None


def _consent(folder: Path, source: str, given: str | None) -> Consent:
    """The consent to a voice from this recording: the given one, or the replica's own."""
    if given is not None:
        file = consent_file(given)
        if file is not None and file.suffix.lower() not in TEXTS:
            raise UsageError("The consent to a voice is kept as words, and this is another file.", _ASK)
        consent = give_consent(given, source, purpose=PURPOSE)
    else:
        consent = load_consent(folder)
        if consent.footage_sha256 != source:
            raise UsageError(f"{consent.who} agreed to a replica of other footage than this recording.", _ASK)
    if consent.kind == "text" and not _VOICE_IS_NAMED.search(consent.text):
        raise UsageError(f"The consent of {consent.who} does not speak of the voice.", _ASK)
    return consent


def _check_origin(card: ReplicaCard, voice: str) -> None:
    remedy = "Clone it again, with the person's consent: cvi replica voice NAME RECORDING --consent ..."
    try:
        origin = json.loads((card.folder / ORIGIN).read_text(encoding="utf-8"))
        consent = Consent(**origin["consent"])
        fits = origin["voice_sha256"] == card.files[voice] and consent.footage_sha256 == _made_from(origin)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"The voice of {card.name} comes without a consent.", remedy) from error
    if not fits or not consent.whole:
        raise UsageError(f"The voice of {card.name} is not the one that was agreed to.", remedy)


def _made_from(origin: dict[str, Any]) -> str:
    return str(origin["recording"]["sha256"])


def _set_voice(card: ReplicaCard, engine: str, file: str | None) -> None:
    """Put the voice and the hashes of its files into the card; None removes the present one."""
    path = card.folder / CARD
    data = read_yaml(path)
    voices = dict(data.get("voices") or {})
    removed = (voices.pop(engine, None), ORIGIN)
    hashes = {name: value for name, value in data["files"].items() if name not in removed}
    if file is not None:
        voices[engine] = file
        hashes |= {name: sha256_of(card.folder / name) for name in (file, ORIGIN)}
    data["voices"], data["files"] = voices, dict(sorted(hashes.items()))
    write_bytes(path, yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100).encode())
