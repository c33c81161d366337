"""Synthetic callers: a recipe's words as sound, with the times of every word, pause and end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.audio.resample import resample
from cvi.bench.callers.acoustics import Wave, levelled
from cvi.bench.callers.recipe import RecipeTurn
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.tts.base import TtsEngine, TtsSettings

# Below this a voice levelled to `SPEECH_RMS` is no longer heard: -50 dB against full scale.
FAINTEST = 100.0


@dataclass(frozen=True, slots=True)
class SynthesizedTurn:
    """`sound` begins with the voice and ends when it can no longer be heard; times are seconds in it.

    `words`: (word, start, end). `pauses`: (start, end) of the silences the recipe asked for. `end_s` is when
    the last sound of the last word ends by the synthesizer's account, or the waveform, if that is earlier:
    what is left of the waveform then is its dying away.
    """

    sound: Wave
    words: tuple[tuple[str, float, float], ...]
    pauses: tuple[tuple[float, float], ...]
    end_s: float

    @property
    def length_s(self) -> float:
        return len(self.sound) / HEARD_HZ


class CallerVoices:
    """The synthetic voices in use, each built once."""

    def __init__(self) -> None:
        self._built: dict[tuple[str, float, float], TtsEngine] = {}

    async def say(self, turn: RecipeTurn) -> SynthesizedTurn:
        """Raises MissingError where the voice is not installed, UsageError for an unknown one."""
        voice = self._voice(turn.voice, turn.speed, turn.pitch)
        sound: Wave = np.zeros(0)
        words: list[tuple[str, float, float]] = []
        pauses: list[tuple[float, float]] = []
        end_s = 0.0
        for part in filter(None, (part.strip() for part in turn.say.split("|"))):
            if len(sound):
                begin_s = len(sound) / HEARD_HZ
                pauses.append((end_s, begin_s + turn.pause_s))
                sound = np.concatenate([sound, np.zeros(round(turn.pause_s * HEARD_HZ))])
            piece, said, until_s = await _part(voice, part)
            at_s = len(sound) / HEARD_HZ
            words += [(word, a + at_s, b + at_s) for word, a, b in said]
            sound = np.concatenate([sound, piece])
            end_s = at_s + until_s
        return SynthesizedTurn(sound, tuple(words), tuple(pauses), end_s)

    def _voice(self, name: str, speed: float, pitch: float) -> TtsEngine:
        key = (name, speed, pitch)
        if key not in self._built:
            engine, voice = name.split(":", 1)
            language = voice.split("+")[0] if engine == "espeak" else "en"
            settings = TtsSettings(language=language, voice=voice, speed=speed, pitch=pitch)
            built: TtsEngine = build("tts", engine, settings)
            if engine == "espeak":
                _tame()
            self._built[key] = built
        return self._built[key]

    def close(self) -> None:
        for voice in self._built.values():
            voice.close()


@asynccontextmanager
async def voices() -> AsyncIterator[CallerVoices]:
    async with AsyncExitStack() as stack:
        found = CallerVoices()
        stack.callback(found.close)
        yield found


def _tame() -> None:
    """espeak-ng seeds its breath from the clock."""
    from cvi.tts.espeak import espeak

    espeak().seed(1)


async def _part(voice: TtsEngine, text: str) -> tuple[Wave, list[tuple[str, float, float]], float]:
    """Words without a pause: their sound, levelled, without the silence at its ends; and their end."""
    async with aclosing(voice.speak(text)) as stream:  # type: ignore[type-var]
        pieces = [speech async for speech in stream]
    if not pieces:
        raise CviError(f"The voice {voice.name} has nothing to say to {text!r}.", "Correct the recipe.")
    pcm = np.concatenate([piece.pcm for piece in pieces])
    sound = levelled(resample(pcm, PLAYED_HZ, HEARD_HZ).astype(np.float64))
    audible = np.flatnonzero(np.abs(sound) > FAINTEST)
    first, last = int(audible[0]), int(audible[-1]) + 1
    words: list[tuple[str, float, float]] = []
    at_s = -first / HEARD_HZ
    end_s = 0.0
    for piece in pieces:
        end_s = max([end_s, *(phone.end_s + at_s for phone in piece.phones if phone.ipa)])
        for word in piece.words:
            spoken = text[word.text_start : word.text_end]
            start_s = max(word.start_s + at_s, 0.0)
            words.append((spoken, start_s, min(word.end_s + at_s, (last - first) / HEARD_HZ)))
        at_s += piece.duration_s
    length_s = (last - first) / HEARD_HZ
    return sound[first:last], words, min(end_s or length_s, length_s)
