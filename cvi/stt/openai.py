"""Recognition by an OpenAI-compatible endpoint: `POST {base_url}/audio/transcriptions`.

The turn's sound is sent whole, as WAV, each time final text is asked for. Nothing here ever puts the
key or a header's value into a message.
"""

from __future__ import annotations

import asyncio
import io
import wave
from urllib.parse import urlsplit

import httpx
import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.level import level_db
from cvi.errors import EngineError, UsageError
from cvi.stt.base import SttEngine, SttSettings, SttStream

_ROUTE = "/audio/transcriptions"
_DEFAULT_MODEL = "whisper-1"
_DETAIL_CHARACTERS = 200
# Recognizers make up words for silence.
_SILENT_DB = -65.0


def build(settings: SttSettings) -> SttEngine:
    """Check the address and open the client. Raises UsageError."""
    return OpenAi(settings)


class OpenAi:
    """One endpoint, one kept connection. Methods are called from the event loop."""

    name = "openai"

    def __init__(self, settings: SttSettings, *, connect_s: float = 3.0, answer_s: float = 15.0) -> None:
        """`answer_s` bounds one transcription from its first byte sent to its last one received."""
        self.url = _route(settings.base_url)
        self._settings = settings
        self._answer_s = answer_s
        given = dict(settings.headers)
        headers = {"Accept": "application/json", **given}
        if settings.api_key and not any(name.lower() == "authorization" for name in given):
            headers["Authorization"] = f"Bearer {settings.api_key}"
        try:
            self._client = httpx.AsyncClient(
                headers=headers, timeout=httpx.Timeout(answer_s, connect=connect_s)
            )
        except (ValueError, UnicodeError) as error:
            raise UsageError(
                "A header of the recognizer's endpoint holds characters HTTP cannot carry.",
                "Check api_key and headers.",
            ) from error
        address = urlsplit(self.url)
        self._where = address.netloc.rpartition("@")[2] + address.path
        self._secrets = [secret for secret in (settings.api_key, *given.values()) if secret]
        self._closing: asyncio.Task[None] | None = None

    async def warm(self) -> None:
        """Open the connection. An endpoint that is down is told here, before the conversation starts.

        Raises EngineError.
        """
        try:
            async with asyncio.timeout(self._answer_s):
                await self._client.get(self.url.removesuffix(_ROUTE) + "/models")
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._failed(error) from error

    def open(self) -> SttStream:
        if self._client.is_closed or self._closing is not None:
            raise EngineError("The recognizer was closed.", "Start a new conversation.")
        return _Turn(self)

    def close(self) -> None:
        """Close the connection, on the running event loop where there is one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._closing is None:
            self._closing = loop.create_task(self._client.aclose())

    async def transcribe(self, pcm: Pcm) -> str:
        """The text of 16 kHz int16; silence is not sent. Raises EngineError."""
        if level_db(pcm) < _SILENT_DB:
            return ""
        fields = {"model": self._settings.model or _DEFAULT_MODEL, "response_format": "json"}
        fields["language"] = self._settings.language
        if self._settings.hotwords:
            fields["prompt"] = ", ".join(self._settings.hotwords)
        try:
            async with asyncio.timeout(self._answer_s):
                response = await self._client.post(
                    self.url, data=fields, files={"file": ("turn.wav", _wav(pcm), "audio/wav")}
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._failed(error) from error
        if response.status_code != httpx.codes.OK:
            raise self._refused(response)
        try:
            text = response.json()["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(f"{self._where} answered with something else than a transcript.") from error
        return " ".join(str(text or "").split())

    def _failed(self, error: Exception) -> EngineError:
        if isinstance(error, TimeoutError | httpx.TimeoutException) and not isinstance(
            error, httpx.ConnectTimeout
        ):
            return EngineError(
                f"{self._where} gave no transcript within {self._answer_s:g} s.",
                "Check its load, or take a local engine.",
            )
        return EngineError(
            f"{self._where} cannot be reached ({type(error).__name__}).",
            "Check layers.stt.base_url, and that the server runs.",
        )

    def _refused(self, response: httpx.Response) -> EngineError:
        try:
            body = response.json()
            detail = body.get("error", body) if isinstance(body, dict) else body
            detail = detail.get("message", "") if isinstance(detail, dict) else detail
        except ValueError:
            detail = response.text
        said = " ".join(str(detail).split())
        for secret in self._secrets:
            said = said.replace(secret, "***")
        said = said[:_DETAIL_CHARACTERS].rstrip(".")
        remedy = (
            "Check layers.stt.api_key." if response.status_code in (401, 403) else "See the server's log."
        )
        status = f"status {response.status_code}{said and ': '}{said}"
        return EngineError(f"{self._where} refused the sound with {status}.", remedy)


class _Turn:
    """Keeps the turn's sound and its last text."""

    def __init__(self, engine: OpenAi) -> None:
        self._engine = engine
        self._sound: list[Pcm] = []
        self._fed = 0
        self._sent = 0
        self._text = ""
        self._asking = asyncio.Lock()
        self._request: asyncio.Task[str] | None = None
        self._closed = False

    def feed(self, pcm: Pcm) -> None:
        if not self._closed:
            self._sound.append(pcm)
            self._fed += len(pcm)

    async def partial(self) -> str:
        """The last final text: a request for each partial would cost more than it tells."""
        return self._text

    async def final(self) -> str:
        async with self._asking:
            if self._closed or self._sent == self._fed:
                return self._text
            fed = self._fed
            self._sound = [np.concatenate(self._sound)]
            self._request = asyncio.create_task(self._engine.transcribe(self._sound[0]))
            try:
                self._text = await self._request
                self._sent = fed
            except asyncio.CancelledError:
                self._request.cancel()
                if not self._closed:
                    raise
            return self._text

    def close(self) -> None:
        self._closed = True
        self._sound.clear()
        if self._request is not None:
            self._request.cancel()


def _wav(pcm: Pcm) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(HEARD_HZ)
        sound.writeframes(pcm.astype("<i2", copy=False).tobytes())
    return file.getvalue()


def _route(base_url: str | None) -> str:
    if not base_url:
        raise UsageError(
            "The stt engine 'openai' needs an address.",
            "Set layers.stt.base_url, for example http://127.0.0.1:8000/v1.",
        )
    url = base_url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("layers.stt.base_url is not an http or https address.", "Check its spelling.")
    return url if url.endswith(_ROUTE) else url + _ROUTE
