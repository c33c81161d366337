"""The sound of synthetic callers: voices with the times of their words, room noise, reverberation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.audio.resample import resample
from cvi.bench.recordings.recipe import NoiseKind, RecipeTurn
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.tts.base import TtsEngine, TtsSettings

Wave = npt.NDArray[np.float64]

# The level of every voice: -22 dB against full scale, over the samples in which it sounds.
SPEECH_RMS = 2600.0
# A quiet room's own noise, some 53 dB below the voice.
QUIET_RMS = 6.0
_ACTIVE_SHARE = 0.03
# Below this a voice levelled to `SPEECH_RMS` is no longer heard: -50 dB against full scale.
_FAINTEST = 100.0


def levelled(sound: Wave, rms: float = SPEECH_RMS) -> Wave:
    """The sound with this root mean square over those samples that are not near silence."""
    loud = np.abs(sound) > _ACTIVE_SHARE * float(np.abs(sound).max(initial=0.0))
    if not loud.any():
        return sound
    return sound * (rms / float(np.sqrt(np.mean(sound[loud] ** 2))))


def noise(kind: NoiseKind, count: int, rng: np.random.Generator, voices: list[Wave] | None = None) -> Wave:
    """`count` samples of root mean square 1 at HEARD_HZ; their end joins their beginning.

    `fan`: an even hiss that falls 4 dB an octave. `street`: low rumble that swells and sinks over seconds.
    `babble`: many of the given `voices` at once.
    """
    if kind == "babble":
        sound = _babble(voices or [], count, rng)
    else:
        slope = {"quiet": 0.0, "fan": 0.66, "street": 1.0}[kind]
        sound = _coloured(count, slope, rng)
        if kind == "street":
            swell = _coloured(count, 0.0, rng, above_hz=0.05, below_hz=0.5)
            sound = sound * np.exp(0.35 * swell / max(float(swell.std()), 1e-12))
    return sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12)


def impulse_response(rt60_s: float, direct_db: float, rng: np.random.Generator) -> Wave:
    """How a room answers a click, at HEARD_HZ: the direct sound at sample 0, then a tail that falls by 60 dB
    in `rt60_s`. `direct_db` is the direct sound's energy against the tail's: 0 is a talker across a room.

    The tail is noise under an exponential (Polack's model), darker the later it comes.
    """
    count = round(rt60_s * 1.1 * HEARD_HZ)
    times = np.arange(count) / HEARD_HZ
    tail = np.zeros(count)
    for low_hz, high_hz, decay in ((60.0, 1000.0, 1.0), (1000.0, 3500.0, 0.85), (3500.0, 8000.0, 0.6)):
        band = _coloured(count, 0.0, rng, above_hz=low_hz, below_hz=high_hz)
        tail += band * np.exp(-6.908 * times / (rt60_s * decay))
    # The first reflection comes after some 4 ms, from a table or a wall at arm's length.
    tail[: round(0.004 * HEARD_HZ)] = 0.0
    tail *= 10 ** (-direct_db / 20) / max(float(np.sqrt(np.sum(tail**2))), 1e-12)
    tail[0] += 1.0
    return tail


def convolved(sound: Wave, response: Wave) -> Wave:
    """The sound in the room: as long as both together."""
    count = len(sound) + len(response) - 1
    size = 1 << (count - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)
    return np.asarray(product[:count])


def _coloured(
    count: int,
    slope: float,
    rng: np.random.Generator,
    *,
    above_hz: float = 20.0,
    below_hz: float = HEARD_HZ / 2,
) -> Wave:
    """Gaussian noise whose amplitude falls with frequency to the power `slope`, within a band.

    Made as one period of a spectrum, so that it can be repeated without a seam.
    """
    frequency = np.fft.rfftfreq(count, 1 / HEARD_HZ)
    gain = np.zeros(len(frequency))
    inside = (frequency >= above_hz) & (frequency <= below_hz) & (frequency > 0)
    gain[inside] = frequency[inside] ** -slope
    spectrum = gain * (rng.normal(size=len(gain)) + 1j * rng.normal(size=len(gain)))
    return np.asarray(np.fft.irfft(spectrum, count))


def _babble(voices: list[Wave], count: int, rng: np.random.Generator) -> Wave:
    """Each voice goes round and round from a place of its own."""
    sound = np.zeros(count)
    for voice in voices:
        for start in rng.integers(0, count, 3):
            times = -(-count // max(len(voice), 1))
            sound += np.roll(np.tile(voice, times)[:count], start)
    return sound


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
        """Of the sound."""
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
            piece, spoken, until_s = await _speak_part(voice, part)
            at_s = len(sound) / HEARD_HZ
            words += [(word, a + at_s, b + at_s) for word, a, b in spoken]
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
                _fix_espeak_seed()
            self._built[key] = built
        return self._built[key]

    def close(self) -> None:
        """Release the voices."""
        for voice in self._built.values():
            voice.close()


@asynccontextmanager
async def caller_voices() -> AsyncIterator[CallerVoices]:
    """Voices that are closed at the end of the block."""
    async with AsyncExitStack() as stack:
        voices = CallerVoices()
        stack.callback(voices.close)
        yield voices


def _fix_espeak_seed() -> None:
    """espeak-ng seeds its breath from the clock."""
    from cvi.tts.espeak import espeak

    espeak().seed(1)


async def _speak_part(voice: TtsEngine, text: str) -> tuple[Wave, list[tuple[str, float, float]], float]:
    """Words without a pause: their sound, levelled, without the silence at its ends; and their end."""
    async with aclosing(voice.speak(text)) as stream:  # type: ignore[type-var]
        pieces = [speech async for speech in stream]
    if not pieces:
        raise CviError(f"The voice {voice.name} has nothing to say to {text!r}.", "Correct the recipe.")
    pcm = np.concatenate([piece.pcm for piece in pieces])
    sound = levelled(resample(pcm, PLAYED_HZ, HEARD_HZ).astype(np.float64))
    audible = np.flatnonzero(np.abs(sound) > _FAINTEST)
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
