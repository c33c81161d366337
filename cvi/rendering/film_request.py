"""What film to make: the request with names as a person gives them, and the same with all names resolved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cvi.engine_registry import names
from cvi.engines import resolve, tts_settings
from cvi.errors import UsageError
from cvi.face.base import FaceSettings
from cvi.models.installed import installed_speech_encoder
from cvi.persona.language import CODES, language_code, language_name
from cvi.persona.loading import load_persona
from cvi.rendering.speech_track import ScriptLine, read_script
from cvi.tts.base import TtsSettings

FALLBACK_VOICE = "espeak"
"""The engine that speaks a language which the chosen one does not."""
ENGLISH_ONLY = ("flite", "pocket")


class FilmRequest(BaseModel):
    """A film to make of either `text` or `audio`, a file of recorded speech.

    None is the persona's or replica's own. `voice` is an engine ("espeak"), a voice of the profile's engine
    ("rms"), or both ("flite/rms"); `width`, `height` are pixels, even; `fps` frames a second; `background` is
    as in `FaceSettings`; `emotion` is the face's until the script names one; another `seed` makes another
    performance of the same speech.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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


@dataclass(frozen=True, slots=True)
class ResolvedFilm:
    """A film with everything it is made from: `script`, spoken by `voice`, or `audio`, a file of speech.

    `encoder` is the file of the speech encoder (`cvi.face.speech_mouth`) for speech without phone times,
    None where it is not installed. `emotion` and `seed` are as in `FilmRequest`.
    """

    output: Path
    face: FaceSettings
    face_engine: str
    script: tuple[ScriptLine, ...] = ()
    voice_engine: str = ""
    voice: TtsSettings = field(default_factory=TtsSettings)
    audio: Path | None = None
    captions: bool = False
    emotion: str = "neutral"
    seed: int = 0
    encoder: Path | None = None


def resolve_film(request: FilmRequest) -> ResolvedFilm:
    """Resolve the names of a request; nothing is written. Raises MissingError and UsageError."""
    if request.audio is not None and request.captions:
        raise UsageError("--captions needs a text; --audio brings none.", "Leave one of them out.")
    # Only its voice and face take part: a persona that asks for a strong language model may be filmed.
    persona = load_persona(request.persona).model_copy(update={"least_profile": "embedded"})
    config = resolve(persona, replica=request.replica, profile=request.profile)
    language = _language(request.language) or persona.language_code or "en"
    script = read_script(request.text or "", language) if request.audio is None else ()
    engine, voice = _voice(config.tts.engine, tts_settings(config, language), request.voice)
    face = FaceSettings(config.replica.folder, request.width, request.height, request.fps, request.background)
    return ResolvedFilm(
        output=request.output,
        face=face,
        face_engine=config.face.engine,
        script=script,
        voice_engine=engine,
        voice=voice,
        audio=request.audio,
        captions=request.captions,
        emotion=request.emotion,
        seed=request.seed,
        encoder=installed_speech_encoder(),
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
    """The engine and its settings: the voice asked for, in a language that the engine speaks."""
    if given is not None:
        asked, _, voice = given.partition("/")
        if asked in names("tts"):
            model = settings.model if asked == engine else None
            engine, settings = asked, replace(settings, voice=voice or None, model=model)
        else:
            settings = replace(settings, voice=given)
    elif settings.language != "en" and engine in ENGLISH_ONLY:
        engine, settings = FALLBACK_VOICE, replace(settings, voice=None, model=None)
    return engine, settings
