"""A voice behind an OpenAI-compatible endpoint: `POST {base_url}/audio/speech`, streamed.

No times come with the sound: `phones` stays empty, and words are placed at a usual pace of speech,
the last piece taking what is left.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import Resampler
from cvi.endpoints.endpoint_client import EndpointClient, Timeouts
from cvi.errors import EngineError
from cvi.tts.base import Speech, TtsSettings
from cvi.tts.normalization.normalizer import normalize
from cvi.tts.normalization.spoken_text import SpokenText, SpokenWord
from cvi.tts.speech_timeline import LONGEST_EDGE_S, TimedWord, edges, speech, written_words

_ROUTE = "/audio/speech"
_DEFAULT_MODEL = "tts-1"
_DEFAULT_VOICE = "alloy"
_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
_SPEEDS = (0.25, 4.0)
_PCM_HZ = 24_000
"""The protocol's `pcm` is 24 kHz, 16 bit, mono, without a header."""
_RATES_HZ = (8_000, 192_000)
_MOST_CHANNELS = 8
_MOST_HEADER_BYTES = 1 << 20
_OTHER_FORMAT = "Use an endpoint that sends 16-bit samples."
_FIRST_PIECE_S = 0.25
_NEXT_PIECE_S = 0.5
_HELD_BACK_S = 0.15
"""Kept for the last piece, which carries the words that are left and is trimmed."""
_LETTERS_PER_SECOND = 15.0
"""A usual pace with speed 1; only where words fall within the pieces depends on it."""


def build(settings: TtsSettings) -> OpenAiTts:
    """Raises UsageError without a usable base_url; connects only in `warm` or `speak`."""
    return OpenAiTts(settings)


class OpenAiTts:
    """Speaks through an endpoint; the first piece comes as soon as a quarter of a second has arrived.

    Calls are served one after the other. `pitch` is not offered by the protocol and is ignored.
    """

    name = "openai"

    def __init__(self, settings: TtsSettings, timeouts: Timeouts | None = None) -> None:
        """Raises UsageError for an address, key or header that cannot be used."""
        self._settings = settings
        self._speaking = asyncio.Lock()
        self._client = EndpointClient(
            "tts",
            settings.base_url,
            api_key=settings.api_key,
            headers=settings.headers,
            timeouts=timeouts,
            private_hosts=settings.private_hosts,
        )

    def voices(self) -> list[str]:
        """The protocol's own names; it has no way to ask an endpoint for others."""
        return list(_VOICES)

    async def warm(self) -> None:
        """Open the connection, so that an endpoint that is down fails here. Raises EngineError."""
        normalize("Hello, 21.")
        await self._client.warm()

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        """As `TtsEngine.speak`."""
        spoken = normalize(text, self._settings.language)
        if not spoken.words:
            return
        cutter = SpeechCutter(spoken, self._settings.speed)
        async with self._speaking, aclosing(self._sound(spoken.text)) as sound:
            async for pcm in sound:
                for piece in cutter.push(pcm):
                    yield piece
            for piece in cutter.flush():
                yield piece

    def close(self) -> None:
        """Close the connection; a call under way fails."""
        self._client.close()

    async def _sound(self, text: str) -> AsyncGenerator[Pcm, None]:
        """int16 at PLAYED_HZ as it arrives."""
        reader = PcmReader()
        resampler: Resampler | None = None
        async with self._client.stream(_ROUTE, self._body(text)) as answer:
            reader.content_type(answer.content_type)
            async with aclosing(answer.parts()) as parts:
                async for data in parts:
                    pcm = reader.push(data)
                    if len(pcm):
                        resampler = resampler or Resampler(reader.rate_hz, PLAYED_HZ)
                        yield resampler.push(pcm)
        if resampler is None:
            raise EngineError(
                f"{self._client.place(_ROUTE)} sent no sound.", "Check the model and voice names."
            )
        yield resampler.flush()

    def _body(self, text: str) -> dict[str, object]:
        settings = self._settings
        body: dict[str, object] = {
            "model": settings.model or _DEFAULT_MODEL,
            "voice": settings.voice or _DEFAULT_VOICE,
            "input": text,
            "response_format": "pcm",
        }
        if settings.speed != 1.0:
            body["speed"] = min(_SPEEDS[1], max(_SPEEDS[0], settings.speed))
        return body


class PcmReader:
    """Raw 16-bit samples or a WAV stream, cut anywhere. `rate_hz` is known once samples have come."""

    def __init__(self) -> None:
        self.rate_hz = _PCM_HZ
        self._kept = b""
        self._channels = 1
        self._is_wav: bool | None = None
        self._in_samples = False

    def content_type(self, value: str) -> None:
        """Read the sample rate from the answer's header. Raises EngineError for sound that is not samples."""
        kind = value.split(";")[0].strip().lower()
        rate = re.search(r"rate=(\d{1,9})", value)
        if rate:
            self.rate_hz = int(rate.group(1))
            self._check_shape()
        packed = ("mpeg", "mp3", "ogg", "opus", "aac", "flac", "webm")
        if kind.startswith(("text/", "application/json")) or any(name in kind for name in packed):
            raise EngineError(
                f"The voice's endpoint answered with {kind} where raw sound was asked for.",
                "Use an endpoint that offers the pcm or wav format.",
            )

    def push(self, data: bytes) -> Pcm:
        """The mono samples that `data` completes. Raises EngineError for a WAV that is not 16-bit samples."""
        self._kept += data
        if self._is_wav is None:
            if len(self._kept) < 4:
                return np.zeros(0, dtype=np.int16)
            self._is_wav = self._kept.startswith(b"RIFF")
            self._in_samples = not self._is_wav
        if not self._in_samples:
            self._in_samples = self._read_header()
            if not self._in_samples:
                return np.zeros(0, dtype=np.int16)
        size = 2 * self._channels
        whole = len(self._kept) // size * size
        samples: Pcm = np.frombuffer(self._kept[:whole], dtype="<i2").astype(np.int16)
        self._kept = self._kept[whole:]
        if self._channels > 1:
            samples = samples.reshape(-1, self._channels).mean(axis=1).round().astype(np.int16)
        return samples

    def _check_shape(self) -> None:
        if not _RATES_HZ[0] <= self.rate_hz <= _RATES_HZ[1] or self._channels > _MOST_CHANNELS:
            raise EngineError(
                f"The voice's endpoint sent {self._channels} channels at {self.rate_hz} Hz.", _OTHER_FORMAT
            )

    def _read_header(self) -> bool:
        """Walk the chunks up to the samples; a streamed WAV's lengths are not to be trusted there."""
        at = 12
        while len(self._kept) >= at + 8:
            name, size = self._kept[at : at + 4], struct.unpack_from("<I", self._kept, at + 4)[0]
            if name == b"data":
                self._kept = self._kept[at + 8 :]
                return True
            if size > _MOST_HEADER_BYTES:
                raise EngineError("The voice's endpoint sent a WAV without sound in it.", _OTHER_FORMAT)
            if len(self._kept) < at + 8 + size:
                return False
            if name == b"fmt ":
                form, self._channels, self.rate_hz, _, _, bits = struct.unpack_from(
                    "<HHIIHH", self._kept, at + 8
                )
                if form not in (1, 0xFFFE) or bits != 16 or not self._channels or not self.rate_hz:
                    raise EngineError(
                        f"The voice's endpoint sent a WAV of {bits} bits, format {form}.", _OTHER_FORMAT
                    )
                self._check_shape()
            at += 8 + size + size % 2
        return False


class SpeechCutter:
    """Cuts a stream of int16 at PLAYED_HZ into `Speech`: silence off at both ends, words by usual pace.

    What must always hold: every word of the text is in exactly one piece, in order.
    """

    def __init__(self, spoken: SpokenText, speed: float) -> None:
        self._waiting = _one_for_each_written(spoken)
        self._pace = _LETTERS_PER_SECOND * speed
        self._kept: Pcm = np.zeros(0, dtype=np.int16)
        self._begun = False

    def push(self, pcm: Pcm) -> Iterator[Speech]:
        """Take the next samples; gives a piece once enough of it is certain."""
        self._kept = np.concatenate([self._kept, pcm])
        wanted = _NEXT_PIECE_S if self._begun else _FIRST_PIECE_S
        first, last = edges(self._kept)
        if not self._begun:
            # A voice may begin with a long silence; it neither counts nor is kept.
            spare = max(0, (first if last else len(self._kept)) - round(LONGEST_EDGE_S * PLAYED_HZ))
            self._kept = self._kept[spare:]
            last = max(0, last - spare)
        # Only up to the last sound: what is silent may be the end, which is trimmed.
        ready = min(last, len(self._kept)) - round(_HELD_BACK_S * PLAYED_HZ)
        if ready < wanted * PLAYED_HZ:
            return
        piece = self._piece(self._kept[:ready], last=False)
        self._kept = self._kept[ready:]
        yield piece

    def flush(self) -> Iterator[Speech]:
        """Give what is left, after the last samples."""
        piece = speech(self._kept, trim_start=not self._begun)
        if piece is not None:
            yield self._piece(piece.pcm, last=True)
        elif self._begun and self._waiting:
            yield self._piece(self._kept[: round(LONGEST_EDGE_S * PLAYED_HZ)], last=True)
        self._kept = np.zeros(0, dtype=np.int16)

    def _piece(self, pcm: Pcm, last: bool) -> Speech:
        self._begun = True
        duration = len(pcm) / PLAYED_HZ
        pace = sum(map(_letters, self._waiting)) / duration if last and duration else self._pace
        timed: list[TimedWord] = []
        at = 0.0
        while self._waiting and (last or (len(self._waiting) > 1 and at < duration)):
            word = self._waiting.pop(0)
            until = at + _letters(word) / pace
            timed.append((word, at, until))
            at = until
        return Speech(pcm, words=written_words(timed, duration))


def _letters(word: SpokenWord) -> int:
    """With the space after it, which also takes its time."""
    return word.end - word.start + 1


def _one_for_each_written(spoken: SpokenText) -> list[SpokenWord]:
    """Spoken words joined where they say one written word, which must not be torn between two pieces."""
    joined: list[SpokenWord] = []
    for word in spoken.words:
        if joined and (joined[-1].source_start, joined[-1].source_end) == (
            word.source_start,
            word.source_end,
        ):
            joined[-1] = replace(joined[-1], end=word.end)
        else:
            joined.append(word)
    return joined
