"""The client for OpenAI-compatible services: one rule each for address, timeouts, retries and secrets.

The `openai` package is not used, although it offers the routes of all three layers. Tried with version 3.57:
it sends the user's own OPENAI_API_KEY and OPENAI_ORG_ID to whatever base_url a persona names; it adds seven
headers that describe the machine; one damaged event ends the reply, where ours is skipped; it brings a second
HTTP stack (httpx2, 31 MB, 0.3 to 1 s to import). Deadlines, messages and secrets would have remained ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import httpx

from cvi.endpoints.address import checked_address
from cvi.errors import EngineError, UsageError

T = TypeVar("T")

_DETAIL_CHARACTERS = 200
_DETAIL_TIMEOUT_S = 2.0
_DRAIN_TIMEOUT_S = 0.2
_SHORTEST_SECRET = 4
"""Characters; replacing anything shorter would garble messages."""
_SLOW = "Check the endpoint's load, or use a faster one."
_REMEDIES = {
    401: "Check the API key.",
    403: "Check the API key and what it may do.",
    404: "Check base_url and the model's name.",
    429: "Wait, or raise the endpoint's limits.",
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `connect_s` to open a connection, `first_s` from sending to the first of the answer, `stall_s`
    between two parts of a streamed answer, `total_s` for an answer that is not streamed."""

    connect_s: float = 5.0
    first_s: float = 10.0
    stall_s: float = 10.0
    total_s: float = 15.0


class EndpointClient:
    """One service, with connections that are kept open. Methods are called from the event loop.

    A request is sent a second time only where a kept connection turned out to be closed before any answer;
    other failures are raised at once, because a conversation cannot wait for retries. Every failure is an
    `EngineError` that names host and path, and shows neither the key nor a header's or query's value.
    """

    def __init__(
        self,
        layer: str,
        base_url: str | None,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        """`layer` is named in remedies: "llm" for layers.llm. Raises UsageError for an address, key or header
        that cannot be used."""
        self.layer = layer
        self.base_url = checked_address(layer, base_url)
        self.timeouts = timeouts or Timeouts()
        headers, query = dict(headers or {}), dict(query or {})
        secrets = [api_key, urlsplit(self.base_url).password, *headers.values(), *query.values()]
        self._secrets = _spellings(secrets)
        if api_key and not any(name.lower() == "authorization" for name in headers):
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            self._client = httpx.AsyncClient(
                headers=headers,
                params=query,
                timeout=httpx.Timeout(None, connect=self.timeouts.connect_s),
            )
        except (ValueError, UnicodeError) as error:
            raise UsageError(
                f"A header of the {layer} endpoint holds characters that HTTP cannot carry.",
                f"Check layers.{layer}.api_key and headers.",
            ) from error
        self._closing: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._client.is_closed or self._closing is not None

    def url(self, route: str) -> str:
        """The address of a route: "/audio/speech" -> "https://HOST/v1/audio/speech"."""
        return self.base_url + route

    def place(self, route: str) -> str:
        """Host and path of a route, for messages."""
        parts = urlsplit(self.url(route))
        return parts.netloc.rpartition("@")[2] + parts.path

    async def warm(self) -> None:
        """Open a connection, so that the first request need not. Any answer will do.

        Raises EngineError for a service that cannot be reached or does not answer within `first_s`.
        """
        async with self._failures("/models"):
            await self._within(self.timeouts.first_s, "/models", self._client.get(self.url("/models")))

    async def post(self, route: str, **content: Any) -> Any:
        """Send a request (`json`, `data`, `files` as in httpx) and return the answer's JSON.

        Raises EngineError, also for an answer that is not complete within `total_s`.
        """
        async with self._failures(route):
            request = self._client.build_request("POST", self.url(route), **content)
            try:
                async with asyncio.timeout(self.timeouts.total_s) as limit:
                    response = await self._send(request, stream=False)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise EngineError(
                    f"{self.place(route)} gave no complete answer within {self.timeouts.total_s:g} s.",
                    _SLOW,
                ) from error
            if response.status_code >= 400:
                raise await self._refused(route, response)
        try:
            return response.json()
        except ValueError as error:
            raise self.unexpected(route, "JSON") from error

    @asynccontextmanager
    async def stream(self, route: str, body: Mapping[str, Any]) -> AsyncGenerator[StreamedAnswer, None]:
        """Send `body` as JSON and give the answer to read while it arrives; leaving the block ends it.

        Raises EngineError, also where `first_s` pass before the answer begins.
        """
        deadline = asyncio.get_running_loop().time() + self.timeouts.first_s
        async with self._failures(route):
            request = self._client.build_request("POST", self.url(route), json=body)
            response = await self._within(self.timeouts.first_s, route, self._send(request, stream=True))
            try:
                if response.status_code >= 400:
                    raise await self._refused(route, response)
                yield StreamedAnswer(self, route, response, deadline)
            finally:
                await response.aclose()

    def unexpected(self, route: str, wanted: str) -> EngineError:
        """The error for an answer without what was asked for."""
        return EngineError(
            f"{self.place(route)} answered with something else than {wanted}.",
            f"Check layers.{self.layer}.base_url.",
        )

    def safe(self, text: str) -> str:
        """One short line of `text` with every secret replaced, because an endpoint may repeat what it got."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_DETAIL_CHARACTERS].rstrip(".")

    async def aclose(self) -> None:
        """Close the connections; requests under way fail. Safe to call twice."""
        await self._client.aclose()

    def close(self) -> None:
        """As `aclose`, on the running event loop; without one the sockets close with the object."""
        if self.closed:
            return
        with contextlib.suppress(RuntimeError):
            self._closing = asyncio.get_running_loop().create_task(self._client.aclose())

    async def _send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        try:
            return await self._client.send(request, stream=stream)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # As a rule a kept connection that the service has closed meanwhile; a fresh one is opened now.
            return await self._client.send(request, stream=stream)

    async def _within(self, limit_s: float, route: str, waiting: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await waiting
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self.too_slow(route) from error

    def too_slow(self, route: str, begun: bool = False) -> EngineError:
        """The error for an answer that does not begin in time or, once `begun`, stops in the middle."""
        stall = f"fell silent for {self.timeouts.stall_s:g} s in the middle of an answer"
        happened = stall if begun else f"sent nothing within {self.timeouts.first_s:g} s"
        return EngineError(f"{self.place(route)} {happened}.", _SLOW)

    @asynccontextmanager
    async def _failures(self, route: str) -> AsyncIterator[None]:
        """Turn the HTTP library's errors into ours."""
        if self.closed:
            raise EngineError(
                f"The connection to {self.place(route)} was closed.", "Start a new conversation."
            )
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise EngineError(
                f"{self.place(route)} cannot be reached: {self.safe(str(error)) or type(error).__name__}.",
                f"Check that the endpoint runs, and layers.{self.layer}.base_url.",
            ) from error
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise EngineError(
                f"The request to {self.place(route)} failed: "
                f"{self.safe(str(error)) or type(error).__name__}.",
                f"Check that the endpoint runs, and layers.{self.layer}.base_url.",
            ) from error

    async def _refused(self, route: str, response: httpx.Response) -> EngineError:
        try:
            async with asyncio.timeout(_DETAIL_TIMEOUT_S):
                text = (await response.aread()).decode(errors="replace")
        except (TimeoutError, httpx.HTTPError):
            text = ""
        try:
            detail = error_message(json.loads(text))
        except ValueError:
            detail = text
        if detail.lstrip().startswith("<"):  # a proxy's page
            detail = ""
        status = f"{response.status_code} {response.reason_phrase}".strip()
        shown = f": {self.safe(detail)}" if detail.strip() else ""
        remedy = _REMEDIES.get(response.status_code, "Check the endpoint's own log.")
        return EngineError(f"{self.place(route)} answered {status}{shown}.", remedy)


class StreamedAnswer:
    """An answer that is still arriving. Read it once, with `parts` or `events`."""

    def __init__(
        self, client: EndpointClient, route: str, response: httpx.Response, first_deadline: float
    ) -> None:
        self._client, self._route, self._response = client, route, response
        self._first_deadline = first_deadline
        self._begun = False
        self._clock = asyncio.get_running_loop().time
        self.complete = False
        """Whether the end of the events, "[DONE]", was read."""
        self.content_type: str = response.headers.get("content-type", "")

    def begun(self) -> None:
        """From now on `stall_s` counts instead of `first_s`: something of use has arrived."""
        self._begun = True

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they arrive. Raises EngineError for a stall."""
        async for part in self._timely(self._response.aiter_bytes()):
            self.begun()
            yield part

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON objects of server-sent events, up to "[DONE]" or the end of the answer.

        Comments and damaged events are skipped. The caller says with `begun` which event was the first of
        use; until then `first_s` counts from the latest line, since a service that sends anything (comments,
        hidden reasoning) is at work. Raises EngineError for a stall and for an error that the service
        sends.
        """
        lines = self._response.aiter_lines()
        async for line in self._timely(lines):
            if line:
                self._first_deadline = self._clock() + self._client.timeouts.first_s
            if not line.startswith("data:"):
                continue
            data = line[5:].strip()
            if data == "[DONE]":
                self.complete = True
                await _drain(lines)
                return
            try:
                event = json.loads(data)
            except ValueError:
                continue
            if not isinstance(event, dict):
                continue
            if event.get("error"):
                detail = self._client.safe(error_message(event))
                raise EngineError(f"{self._client.place(self._route)} failed: {detail}.", "Try again.")
            yield event

    async def _timely(self, items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        while True:
            # Counted from here: the time that the reader takes is not the endpoint's.
            stall_deadline = self._clock() + self._client.timeouts.stall_s
            try:
                async with asyncio.timeout_at(
                    stall_deadline if self._begun else self._first_deadline
                ) as limit:
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise self._client.too_slow(self._route, self._begun) from error
            yield item


def error_message(body: Any) -> str:
    """The sentence in the JSON body of an error, of which services have several forms."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error.get("code") or ""
    return error if isinstance(error, str) else json.dumps(error)


def _spellings(secrets: Iterable[str | None]) -> list[str]:
    """The forms in which a secret may come back, longest first: also without "Bearer ", percent-encoded or
    decoded."""
    found: set[str] = set()
    for secret in secrets:
        for text in (secret or "", (secret or "").partition(" ")[2]):
            found |= {text, quote(text, safe=""), unquote(text)}
    return sorted((text for text in found if len(text) >= _SHORTEST_SECRET), key=len, reverse=True)


async def _drain(lines: AsyncIterator[str]) -> None:
    """Read the rest of the answer, without which the connection could not be used again."""
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            async for _ in lines:
                pass
