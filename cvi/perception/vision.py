"""Pictures understood by a vision-language model: the Protocol, and OpenAI-compatible endpoints."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cvi.endpoints.endpoint_client import EndpointClient, Timeouts
from cvi.media.live_picture import Rgb

_ROUTE = "chat/completions"
MOST_TOKENS = 160
RULES = (
    "Answer in at most two short sentences what the picture shows. Say nothing of identity, age, sex or "
    "ethnicity, and don't guess feelings. If it can't be seen, say so."
)
JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class VisionSettings:
    """`model` is a name at the endpoint, or a GGUF file on this machine. The endpoint's fields are those of
    `EndpointClient`; `threads` is how many a model here takes, None for the engine's own choice."""

    model: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    private_hosts: Sequence[str] | None = None
    threads: int | None = None


class VisionEngine(Protocol):
    """Answers questions about pictures. Called from the event loop; takes seconds, never in a reply's way."""

    name: str

    async def warm(self) -> None:
        """Get ready; called once, when the conversation begins. Raises CviError."""

    async def ask(self, jpegs: Sequence[bytes], question: str) -> str:
        """A short answer to `question` about the pictures. Raises EngineError."""

    async def close(self) -> None:
        """Close the connection."""


def build(settings: VisionSettings) -> OpenAiVision:
    """Raises UsageError for an address, key or header that cannot be used."""
    return OpenAiVision(
        settings.base_url,
        settings.model,
        api_key=settings.api_key,
        headers=settings.headers,
        private_hosts=settings.private_hosts,
    )


class OpenAiVision:
    """A chat completion with pictures in it: OpenAI, vLLM, llama.cpp's server with a multimodal model, ..."""

    name = "openai"

    def __init__(
        self,
        base_url: str | None,
        model: str | None,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        private_hosts: Sequence[str] | None = None,
    ) -> None:
        """Raises UsageError for an address, key or header that cannot be used."""
        self._model = model
        self._client = EndpointClient(
            "perception",
            base_url,
            api_key=api_key,
            headers=headers,
            timeouts=Timeouts(total_s=30.0),
            private_hosts=private_hosts,
        )

    async def warm(self) -> None:
        """Nothing to do."""

    async def ask(self, jpegs: Sequence[bytes], question: str) -> str:
        """As `VisionEngine.ask`."""
        pictures = [
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}
            for data in (base64.b64encode(each).decode() for each in jpegs)
        ]
        body: dict[str, Any] = {
            "messages": [
                {"role": "system", "content": RULES},
                {"role": "user", "content": [*pictures, {"type": "text", "text": question}]},
            ],
            "max_tokens": MOST_TOKENS,
            "temperature": 0.0,
        }
        if self._model:
            body["model"] = self._model
        answer = await self._client.post(_ROUTE, json=body)
        try:
            return str(answer["choices"][0]["message"]["content"]).strip()
        except (KeyError, IndexError, TypeError) as error:
            raise self._client.unexpected(_ROUTE, "a chat completion") from error

    async def close(self) -> None:
        """As `VisionEngine.close`."""
        await self._client.aclose()


def jpeg(rgb: Rgb, most_side_px: int = 768) -> bytes:
    """A picture as JPEG, no side longer than `most_side_px`; in memory only."""
    import cv2

    scale = min(1.0, most_side_px / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    _, data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(data.tobytes())
