"""A replica's voice: cloned from a recording of the person with their consent, or the installed one most like
theirs.

`voice.json` says what it was made from and binds it to the consent. Without a matching consent no voice is
made, and a stored one is not used. The most similar installed voice is matched by pitch and timbre: every
candidate speaks one sentence, which is compared with the film's sound.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cvi.audio.block import PLAYED_HZ, Pcm, to_float
from cvi.engine_registry import build, factory, names
from cvi.errors import CviError, UsageError
from cvi.face.consent import Consent, load_consent
from cvi.face.replica import CARD, ReplicaCard, find_replica, is_shipped, load_replica_card
from cvi.face.sound_mouth import BANDS, band_levels_db, loudness_db
from cvi.files import sha256_of, write_bytes
from cvi.media.decode import read_audio
from cvi.training.arrays import Doubles
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


_LOWEST_HZ, _HIGHEST_HZ = 65.0, 400.0
_HOP, _WINDOW = 480, 1440
_VOICED = 0.45
"""The share of energy that must repeat after one period."""
_LONGEST_S = 60.0
_OCTAVE, _TIMBRE = 4.0, 0.12
"""Weights of an octave and of a decibel (root mean square over the bands) of difference."""
CANDIDATES: dict[str, tuple[str, ...]] = {
    "flite": ("slt", "rms", "awb", "kal16"),
    "espeak": tuple(f"en-us+{kind}{n}" for kind, most in (("m", 7), ("f", 5)) for n in range(1, most + 1)),
}
"""Engine -> voices that need neither network nor download; espeak's are variants of one voice."""
_SENTENCE = "The early morning sun shone over the quiet harbour, and nobody was in a hurry to leave."


@dataclass(frozen=True, slots=True)
class VoicePrint:
    """`pitch_hz` median of the voiced parts, 0 where nothing is voiced; `timbre` (BANDS,) dB, mean of the
    loud parts relative to their level."""

    pitch_hz: float
    timbre: Doubles

    def distance(self, other: VoicePrint) -> float:
        """How different two voices are, 0 for the same; an octave of pitch outweighs any timbre."""
        apart = 0.0
        if self.pitch_hz > 0 and other.pitch_hz > 0:
            apart = abs(float(np.log2(self.pitch_hz / other.pitch_hz)))
        gap = float(np.sqrt(np.mean((self.timbre - other.timbre) ** 2)))
        return _OCTAVE * apart + _TIMBRE * gap


def print_of(pcm: Pcm) -> VoicePrint:
    """The print of a voice, from the first minute of `pcm` (int16 at PLAYED_HZ)."""
    pcm = pcm[: round(_LONGEST_S * PLAYED_HZ)]
    levels = band_levels_db(pcm)
    timbre = np.zeros(BANDS)
    if len(levels):
        loud = loudness_db(levels)
        spoken = levels[loud > np.percentile(loud, 90) - 18.0].astype(np.float64).mean(0)
        timbre = spoken - spoken.mean()
    return VoicePrint(_pitch_hz(pcm), timbre)


def nearest(voice: VoicePrint, others: Iterable[tuple[str, VoicePrint]]) -> str | None:
    """The name of the most similar of `others`; None without any."""
    ranked = sorted((voice.distance(other), name) for name, other in others)
    return ranked[0][1] if ranked else None


def _pitch_hz(pcm: Pcm) -> float:
    """Median over windows of the period at which the sound repeats best (autocorrelation, Boersma 1993)."""
    if len(pcm) < _WINDOW * 2:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(to_float(pcm), _WINDOW)[::_HOP].astype(np.float64)
    energy = (frames**2).mean(1)
    frames = frames[energy > np.percentile(energy, 90) * 0.05]
    window = np.hanning(_WINDOW)
    size = 4096
    spectrum = np.abs(np.fft.rfft((frames - frames.mean(1, keepdims=True)) * window, size)) ** 2
    own = np.abs(np.fft.rfft(window, size)) ** 2
    # Divided by the window's own autocorrelation, which weakens long periods.
    shape = np.fft.irfft(own)[:_WINDOW]
    repeats = np.fft.irfft(spectrum)[:, :_WINDOW] / np.maximum(shape / shape[0], 0.05)
    shortest, longest = round(PLAYED_HZ / _HIGHEST_HZ), round(PLAYED_HZ / _LOWEST_HZ)
    inner = repeats[:, shortest:longest] / np.maximum(repeats[:, :1], 1e-12)
    # Two periods repeat as well as one: the shortest that is nearly the best is chosen.
    best = inner.max(1)
    first = (inner >= 0.9 * best[:, None]).argmax(1)
    # From the first good enough period to its peak.
    peaks = [int(np.argmax(row[at : at + 12])) + int(at) for row, at in zip(inner, first, strict=True)]
    voiced = best > _VOICED
    if voiced.sum() < 5:
        return 0.0
    return float(np.median(PLAYED_HZ / (np.array(peaks)[voiced] + shortest)))


def voices_for(pcm: Pcm) -> dict[str, str]:
    """Engine -> the most similar voice to `pcm` (int16, PLAYED_HZ), for installed engines."""
    wanted = print_of(pcm)
    if wanted.pitch_hz == 0.0:
        return {}
    found: dict[str, str] = {}
    for engine, voices in CANDIDATES.items():
        best = nearest(wanted, _prints(engine, voices))
        if best is not None:
            found[engine] = best
    return found


def _prints(engine: str, names: tuple[str, ...]) -> list[tuple[str, VoicePrint]]:
    prints: list[tuple[str, VoicePrint]] = []
    for name in names:
        try:
            prints.append((name, print_of(asyncio.run(_spoken(engine, name)))))
        except CviError:
            continue  # this voice is not installed here
    return prints


async def _spoken(engine: str, voice: str) -> Pcm:
    speaker = build("tts", engine, TtsSettings(voice=voice))
    try:
        return np.concatenate([piece.pcm async for piece in speaker.speak(_SENTENCE)])
    finally:
        speaker.close()
