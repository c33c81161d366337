"""From the names a person gives to a film request: who speaks, with which voice, before what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from cvi.engine_registry import names
from cvi.engines import resolve, tts_settings
from cvi.errors import UsageError
from cvi.face.base import FaceSettings
from cvi.models.speech_encoder import installed_encoder
from cvi.persona.language import CODES, language_code, language_name
from cvi.persona.loading import load_persona
from cvi.rendering.job import FilmRequest
from cvi.rendering.script import Line, read_script
from cvi.tts.base import TtsSettings

SPEAKS_ALL = "espeak"
"""The voice that takes over where the chosen one does not speak the language."""
ENGLISH_ONLY = ("flite", "pocket")


@dataclass(frozen=True, slots=True)
class Casting:
    """The options of a film as a person gave them; None is the persona's or replica's own.

    `voice` is an engine ("espeak"), a voice of the profile's engine ("rms"), or both ("flite/rms").
    """

    output: Path
    text: str | None = None
    audio: Path | None = None
    persona: str = "guide"
    replica: str | None = None
    profile: str = "auto"
    language: str | None = None
    voice: str | None = None
    width: int = 1280
    height: int = 720
    fps: int = 25
    background: str = "room"
    emotion: str = "neutral"
    captions: bool = False
    seed: int = 0


def film_request(casting: Casting) -> FilmRequest:
    """Resolve names. Raises MissingError and UsageError; nothing is written."""
    script: tuple[Line, ...] = ()
    if casting.audio is None:
        script = read_script(casting.text or "")
    elif casting.captions:
        raise UsageError("--captions needs a text; --audio brings none.", "Leave one of them out.")
    # Only its voice and face take part: a persona that asks for a strong language model may be filmed.
    persona = load_persona(casting.persona).model_copy(update={"least_profile": "embedded"})
    chosen = resolve(persona, replica=casting.replica, profile=casting.profile)
    language = _language(casting.language) or persona.language_code or "en"
    engine, voice = _voice(chosen.tts.engine, tts_settings(chosen, language), casting.voice)
    face = FaceSettings(
        chosen.replica.folder, casting.width, casting.height, casting.fps, casting.background
    )
    return FilmRequest(
        output=casting.output,
        face=face,
        face_engine=chosen.face.engine,
        script=script,
        voice_engine=engine,
        voice=voice,
        audio=casting.audio,
        captions=casting.captions,
        emotion=casting.emotion,
        seed=casting.seed,
        encoder=installed_encoder(),
    )


def _language(given: str | None) -> str | None:
    if given is None:
        return None
    code = language_code(language_name(given) or "")
    if code is None:
        from difflib import get_close_matches

        near = get_close_matches(given.strip().lower(), CODES, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UsageError(
            f"'{given}' is no language that is spoken here.",
            f"{hint}Give an English name or a code: german, de.",
        )
    return code


def _voice(engine: str, settings: TtsSettings, given: str | None) -> tuple[str, TtsSettings]:
    """The engine and its settings: the voice asked for, in a language the engine speaks."""
    if given is not None:
        asked, _, voice = given.partition("/")
        if asked in names("tts"):
            model = settings.model if asked == engine else None
            engine, settings = asked, replace(settings, voice=voice or None, model=model)
        else:
            settings = replace(settings, voice=given)
    elif settings.language != "en" and engine in ENGLISH_ONLY:
        engine, settings = SPEAKS_ALL, replace(settings, voice=None, model=None)
    return engine, settings
