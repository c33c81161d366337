"""The OpenAI-compatible engine: `POST {base_url}/chat/completions`, streamed.

One HTTP client is kept open, so that a turn pays for no handshake. Nothing here ever puts the key,
a header's value or a query's value into a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from cvi.errors import EngineError, UsageError
from cvi.llm.base import LlmSettings, Message, Sampling

_ROUTE = "/chat/completions"
_DETAIL_CHARACTERS = 200
_DETAIL_TIMEOUT_S = 2.0
_DRAIN_TIMEOUT_S = 0.2


def build(settings: LlmSettings) -> OpenAi:
    """Check the address and open the client. Raises UsageError."""
    return OpenAi(settings)


class OpenAi:
    """One endpoint. Methods are called from the event loop; streams may run side by side.

    Sent are `model`, `messages`, `max_tokens`, `temperature`, `top_p`, `seed` and at most four `stop`
    strings; `extra_body` overrides any of them, and a None in it leaves the field out.
    """

    name = "openai"

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self.url = _route(settings.base_url)
        headers = {"Accept": "text/event-stream", **settings.headers}
        if settings.api_key and not any(name.lower() == "authorization" for name in settings.headers):
            headers["Authorization"] = f"Bearer {settings.api_key}"
        try:
            self._client = httpx.AsyncClient(
                headers=headers,
                params=dict(settings.default_query),
                timeout=httpx.Timeout(None, connect=settings.first_token_timeout_s),
            )
        except (ValueError, UnicodeError) as error:
            raise UsageError(
                "A header of the language model's endpoint holds characters HTTP cannot carry.",
                "Check api_key and headers.",
            ) from error
        self._where = urlsplit(self.url).netloc.rpartition("@")[2] + urlsplit(self.url).path

    async def warm(self, messages: Sequence[Message]) -> None:
        """Open the connection. An endpoint that is down is told here, before the conversation starts.

        Raises EngineError.
        """
        try:
            await self._client.get(self.url.removesuffix(_ROUTE) + "/models", timeout=self._first_s)
        except httpx.HTTPError as error:
            raise self._failed(error) from error

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Nothing: endpoints offer no such thing."""

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """None: an endpoint cannot tell."""
        return None

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """Pieces of the reply. Closing the iterator closes the request.

        Raises EngineError for an endpoint that is down, refuses, sends nothing within
        `first_token_timeout_s`, or falls silent for `stall_timeout_s` in the middle.
        """
        if self._client.is_closed:
            raise EngineError("The language model was closed.")
        request = self._client.build_request("POST", self.url, json=self._body(messages, sampling))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._first_s
        started = False
        try:
            async with asyncio.timeout_at(deadline) as first:
                response = await self._client.send(request, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    raise await self._refused(response)
                lines = response.aiter_lines()
                while True:
                    async with asyncio.timeout_at(deadline) as first:
                        line = await anext(lines, None)
                    if line is None:
                        if not started:
                            raise EngineError(f"{self._where} closed the stream without a word.")
                        return
                    event = _event(line)
                    if event is None:
                        continue
                    if event.get("error"):
                        raise EngineError(f"{self._where} failed: {self._safe(_reason(event))}.")
                    if event.get("done"):
                        await _drain(lines)
                        return
                    piece = _piece(event)
                    if piece:
                        started = True
                        yield piece
                    if started:
                        # Counted from here: the consumer's own time is not the endpoint's silence.
                        deadline = loop.time() + self._settings.stall_timeout_s
            finally:
                await response.aclose()
        except TimeoutError as error:
            if not first.expired():
                raise
            raise self._silent(started) from error
        except httpx.HTTPError as error:
            raise self._failed(error) from error

    async def close(self) -> None:
        """Close the connections; streams under way fail. Safe to call twice."""
        await self._client.aclose()

    @property
    def _first_s(self) -> float:
        return self._settings.first_token_timeout_s

    def _body(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stop": list(sampling.stop[:4]) or None,
            **self._settings.extra_body,
            "stream": True,
        }
        return {key: value for key, value in body.items() if value is not None}

    async def _refused(self, response: httpx.Response) -> EngineError:
        try:
            async with asyncio.timeout(_DETAIL_TIMEOUT_S):
                text = (await response.aread()).decode(errors="replace")
        except (TimeoutError, httpx.HTTPError):
            text = ""
        try:
            detail = _reason(json.loads(text))
        except ValueError:
            detail = "" if text.lstrip().startswith("<") else text
        said = f": {self._safe(detail)}" if detail.strip() else ""
        status = f"{response.status_code} {response.reason_phrase}".strip()
        remedies = {
            401: "Check the API key.",
            403: "Check the API key and what it may do.",
            404: "Check base_url and the model's name.",
            429: "Wait, or raise the endpoint's limits.",
        }
        remedy = remedies.get(response.status_code, "Check the endpoint's own log.")
        return EngineError(f"{self._where} answered {status}{said}.", remedy)

    def _failed(self, error: httpx.HTTPError) -> EngineError:
        kind = "timed out" if isinstance(error, httpx.TimeoutException) else "failed"
        detail = self._safe(str(error)) or type(error).__name__
        return EngineError(
            f"The request to {self._where} {kind}: {detail}.", "Check that the endpoint runs, and base_url."
        )

    def _silent(self, started: bool) -> EngineError:
        if started:
            stall_s = self._settings.stall_timeout_s
            return EngineError(
                f"{self._where} fell silent for {stall_s:g} s in the middle of a reply.",
                "Raise stall_timeout_s, or use a faster endpoint.",
            )
        return EngineError(
            f"{self._where} sent nothing within {self._first_s:g} s.",
            "Raise first_token_timeout_s, or use a faster endpoint.",
        )

    def _safe(self, text: str) -> str:
        """One short line without any secret an endpoint may have echoed."""
        secrets = [
            self._settings.api_key,
            *self._settings.headers.values(),
            *self._settings.default_query.values(),
        ]
        for secret in secrets:
            if secret and len(secret) > 3:
                text = text.replace(secret, "***")
        return " ".join(text.split())[:_DETAIL_CHARACTERS].rstrip(".")


async def _drain(lines: AsyncIterator[str]) -> None:
    """Read the end of the answer, without which the connection could not be used again."""
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            async for _ in lines:
                pass


def _route(base_url: str | None) -> str:
    if not base_url:
        raise UsageError("The openai engine needs base_url.", "Set layers.llm.base_url to https://HOST/v1.")
    parts = urlsplit(base_url.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"base_url '{base_url}' is not an http(s) address.", "Write it as https://HOST/v1.")
    path = parts.path.rstrip("/")
    if path.endswith(_ROUTE):
        raise UsageError(
            f"base_url must not contain the route '{_ROUTE}'.", f"Write it as {base_url.split(_ROUTE)[0]}"
        )
    if parts.query:
        raise UsageError("base_url must not contain a query.", "Put it into default_query.")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}{_ROUTE}"


def _event(line: str) -> Mapping[str, Any] | None:
    """One line of server-sent events -> its JSON; None for comments, blanks and damaged lines."""
    if not line.startswith("data:"):
        return None
    data = line[5:].strip()
    if data == "[DONE]":
        return {"done": True}
    try:
        event = json.loads(data)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _piece(event: Mapping[str, Any]) -> str:
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return ""
    delta = choices[0].get("delta")
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""


def _reason(body: Any) -> str:
    """The message in an error body, of which there are several fashions."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error.get("code") or ""
    return error if isinstance(error, str) else json.dumps(error)
