"""Recognition by an OpenAI-compatible endpoint: `POST {base_url}/audio/transcriptions`.

The turn's sound is sent whole, as WAV, each time final text is asked for.
"""

from __future__ import annotations

import asyncio
import io
import wave

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.level import level_db
from cvi.endpoints.endpoint_client import EndpointClient, Timeouts
from cvi.errors import EngineError
from cvi.stt.base import SttEngine, SttSettings, SttStream

_ROUTE = "/audio/transcriptions"
_DEFAULT_MODEL = "whisper-1"
_TIMEOUTS = Timeouts(connect_s=3.0, total_s=15.0)
# Recognizers make up words for silence.
_SILENT_DB = -65.0


def build(settings: SttSettings) -> SttEngine:
    """Check the address and open the client. Raises UsageError."""
    return OpenAiStt(settings)


class OpenAiStt:
    """One endpoint, one kept connection. Methods are called from the event loop."""

    name = "openai"

    def __init__(self, settings: SttSettings, timeouts: Timeouts = _TIMEOUTS) -> None:
        """`timeouts.total_s` bounds one transcription. Raises UsageError for an unusable address or key."""
        self._settings = settings
        self._client = EndpointClient(
            "stt",
            settings.base_url,
            api_key=settings.api_key,
            headers=settings.headers,
            timeouts=timeouts,
            private_hosts=settings.private_hosts,
        )

    async def warm(self) -> None:
        """Open the connection, so that an endpoint that is down fails here. Raises EngineError."""
        await self._client.warm()

    def open(self) -> SttStream:
        """Begin a turn. Raises EngineError after `close`."""
        if self._client.closed:
            raise EngineError("The recognizer was closed.", "Start a new conversation.")
        return _Turn(self)

    def close(self) -> None:
        """Close the connection; requests under way fail."""
        self._client.close()

    async def transcribe(self, pcm: Pcm) -> str:
        """The text of 16 kHz int16; silence is not sent. Raises EngineError."""
        if level_db(pcm) < _SILENT_DB:
            return ""
        fields = {
            "model": self._settings.model or _DEFAULT_MODEL,
            "response_format": "json",
            "language": self._settings.language,
        }
        if self._settings.hotwords:
            fields["prompt"] = ", ".join(self._settings.hotwords)
        file = ("turn.wav", _wav(pcm), "audio/wav")
        answer = await self._client.post(_ROUTE, data=fields, files={"file": file})
        if not isinstance(answer, dict) or "text" not in answer:
            raise self._client.unexpected(_ROUTE, "a transcript")
        return " ".join(str(answer["text"] or "").split())


class _Turn:
    """Keeps the turn's sound and its last text."""

    def __init__(self, engine: OpenAiStt) -> None:
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
