"""The Protocol of voices, and speech with its timeline of phones and words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from cvi.audio.block import PLAYED_HZ, Pcm


@dataclass(frozen=True, slots=True)
class Phone:
    """One speech sound: `ipa` symbol ("p", "aɪ", "ʃ"; "" is silence) and its time in the chunk, seconds."""

    ipa: str
    start_s: float
    end_s: float
    stress: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the *original* text: its slice `text[text_start:text_end]` and its time, seconds."""

    text_start: int
    text_end: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of speech with its timeline.

    `pcm`: int16 mono at PLAYED_HZ. `phones` are in order, do not overlap, and lie within the sound;
    empty when the engine has no phone times. `words` refer to the text given to `speak`, and cover
    every word that is heard in this piece. Times are relative to the piece's first sample.
    """

    pcm: Pcm
    phones: tuple[Phone, ...] = ()
    words: tuple[Word, ...] = ()

    @property
    def duration_s(self) -> float:
        """The length of the sound in seconds."""
        return len(self.pcm) / PLAYED_HZ


@dataclass(frozen=True, slots=True)
class TtsSettings:
    """`voice` is the engine's name for a voice (or a model path), None for its default.

    `speed` 1.0 is the voice's own pace; `pitch` 1.0 its own pitch, where the engine can change it.
    """

    language: str = "en"
    voice: str | None = None
    model: str | None = None
    speed: float = 1.0
    pitch: float = 1.0
    device: str = "auto"
    base_url: str | None = None
    api_key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    private_hosts: tuple[str, ...] | None = None
    """Of an endpoint that a stranger named: which private hosts it may be; None for any address at all."""


SEAM_S = 0.010
"""What two parts of one clause overlap by: the first fades out over it, the second in."""


class TtsEngine(Protocol):
    """A voice that is loaded. Called from the event loop."""

    name: str
    """As in the entry point `tts.NAME`."""

    async def warm(self) -> None:
        """Speak or connect once, so that the first reply is as fast as the second. Raises EngineError."""

    def speak(self, text: str) -> AsyncIterator[Speech]:
        """Speak one clause or sentence, in one piece or several as they are ready.

        Leading and trailing silence is trimmed to at most 60 ms each; numbers and abbreviations are
        written out in words. Text without a speakable word yields nothing. Close the iterator to abort.
        Raises EngineError, UnreadableTextError for a script that the voice cannot read.
        """

    def close(self) -> None:
        """Free the voice or connection; safe to call twice."""


@runtime_checkable
class PhraseVoice(TtsEngine, Protocol):
    """A voice that can speak a clause in parts: its first words before the rest is written."""

    first_words: int
    """How many words its prosody needs for a beginning."""

    def speak_part(self, text: str, before: str = "", after: str = "") -> AsyncIterator[Speech]:
        """Speak `text` as a part of one clause, in one piece: `before` has just been spoken, `after` follows.

        `after` may be incomplete, and "" where it is not known; neither is heard. Where the voice can cut
        between words, the sound begins (with `before`) and ends (with `after`) in a fade of SEAM_S, to be
        overlapped. The words' positions are those in `text`. Otherwise as `speak`.
        """
