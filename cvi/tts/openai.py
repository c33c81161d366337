"""A voice behind an OpenAI-compatible endpoint: `POST {base_url}/audio/speech`, streamed.

No times come with the sound: `phones` stays empty, and words are placed at a usual pace of speech,
the last piece taking what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import Resampler
from cvi.errors import EngineError, UsageError
from cvi.tts.base import Speech, TtsSettings
from cvi.tts.openai_sound import SoundReader, SpeechCutter
from cvi.tts.spoken import spoken_form

if TYPE_CHECKING:
    import httpx

_DEFAULT_MODEL = "tts-1"
_DEFAULT_VOICE = "alloy"
_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
_MOST_OF_AN_ERROR = 200
_SPEEDS = (0.25, 4.0)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`connect_s` to reach the endpoint, `stall_s` between two bytes of an answer (the first included)."""

    connect_s: float = 5.0
    stall_s: float = 10.0


class OpenAiTts:
    """Speaks through an endpoint; the first piece comes as soon as a quarter of a second has arrived.

    Calls are served one after the other. `pitch` is not offered by the protocol and is ignored.
    """

    name = "openai"

    def __init__(self, settings: TtsSettings, timeouts: Timeouts | None = None) -> None:
        """Raises UsageError without a usable base_url."""
        base_url = (settings.base_url or "").rstrip("/")
        if not base_url.startswith(("http://", "https://")):
            raise UsageError(
                f"The openai voice needs the address of an endpoint, not '{base_url}'.",
                "Set layers.tts.base_url, for example http://127.0.0.1:8880/v1.",
            )
        self._base_url = base_url
        self._settings = settings
        self._timeouts = timeouts or Timeouts()
        self._turn = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None
        self._closing: asyncio.Task[None] | None = None

    def voices(self) -> list[str]:
        """The protocol's own names; it has no way to ask an endpoint for others."""
        return list(_VOICES)

    async def warm(self) -> None:
        """Open the connection, so that the first reply need not. Raises EngineError."""
        import httpx

        spoken_form("Hello, 21.")
        try:
            await self._connected().get(f"{self._base_url}/models")
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        """As `TtsEngine.speak`."""
        spoken = spoken_form(text, self._settings.language)
        if not spoken.words:
            return
        cutter = SpeechCutter(spoken, self._settings.speed)
        async with self._turn, aclosing(self._sound(spoken.text)) as sound:
            async for pcm in sound:
                for piece in cutter.push(pcm):
                    yield piece
            for piece in cutter.flush():
                yield piece

    def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            self._closing = asyncio.get_running_loop().create_task(client.aclose())
        except RuntimeError:
            # No loop is left to say goodbye on; the sockets close with the client.
            return

    async def _sound(self, text: str) -> AsyncGenerator[Pcm, None]:
        """int16 at PLAYED_HZ as it arrives."""
        import httpx

        reader = SoundReader()
        resampler: Resampler | None = None
        try:
            async with self._connected().stream(
                "POST", f"{self._base_url}/audio/speech", json=self._request(text)
            ) as answer:
                if answer.status_code >= 400:
                    raise self._refusal(answer.status_code, await answer.aread())
                reader.content_type(answer.headers.get("content-type", ""))
                async for data in answer.aiter_bytes():
                    pcm = reader.push(data)
                    if len(pcm):
                        resampler = resampler or Resampler(reader.rate_hz, PLAYED_HZ)
                        yield resampler.push(pcm)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._failure(error) from error
        if resampler is None:
            raise EngineError(
                f"The voice at {self._base_url} sent no sound.", "Check the model and voice names."
            )
        yield resampler.flush()

    def _request(self, text: str) -> dict[str, object]:
        settings = self._settings
        request: dict[str, object] = {
            "model": settings.model or _DEFAULT_MODEL,
            "voice": settings.voice or _DEFAULT_VOICE,
            "input": text,
            "response_format": "pcm",
        }
        if settings.speed != 1.0:
            request["speed"] = min(_SPEEDS[1], max(_SPEEDS[0], settings.speed))
        return request

    def _connected(self) -> httpx.AsyncClient:
        import httpx

        if self._client is None:
            headers = dict(self._settings.headers)
            if self._settings.api_key:
                headers.setdefault("Authorization", f"Bearer {self._settings.api_key}")
            limits = self._timeouts
            self._client = httpx.AsyncClient(
                headers=headers, timeout=httpx.Timeout(limits.stall_s, connect=limits.connect_s)
            )
        return self._client

    def _failure(self, error: Exception) -> EngineError:
        import httpx

        where = f"The voice at {self._base_url}"
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return EngineError(
                f"{where} cannot be reached.", "Start the endpoint, or correct layers.tts.base_url."
            )
        if isinstance(error, httpx.TimeoutException):
            return EngineError(
                f"{where} sent nothing for {self._timeouts.stall_s:g} s.", "Look at the endpoint's log."
            )
        return EngineError(self._clean(f"{where} broke off: {error or type(error).__name__}."), "Try again.")

    def _refusal(self, status: int, body: bytes) -> EngineError:
        said = " ".join(body[:2000].decode(errors="replace").split())[:_MOST_OF_AN_ERROR]
        remedy = "Check layers.tts.api_key." if status in (401, 403) else "Look at the endpoint's log."
        return EngineError(self._clean(f"The voice at {self._base_url} answered {status}: {said}"), remedy)

    def _clean(self, message: str) -> str:
        """Without the secrets that an endpoint may send back."""
        for secret in (self._settings.api_key, *(value for _, value in self._settings.headers)):
            if secret:
                message = message.replace(secret, "***")
        return message


def build(settings: TtsSettings) -> OpenAiTts:
    """Raises UsageError without a usable base_url; reaches for the endpoint only in `warm` or `speak`."""
    return OpenAiTts(settings)
