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
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import httpx

from cvi.endpoints.address import checked_address
from cvi.endpoints.checked_transport import CheckedTransport
from cvi.endpoints.outbound import OutboundPolicy, RefusedAddressError
from cvi.errors import EngineError, UsageError
from cvi.untrusted import valid_json

T = TypeVar("T")

_DETAIL_CHARACTERS = 200
_DETAIL_TIMEOUT_S = 2.0
_DRAIN_TIMEOUT_S = 0.2
MOST_ANSWER_BYTES = 4 << 20
"""Of an answer that is read whole."""
MOST_LINE_BYTES = 256 << 10
"""Of one line of a streamed answer."""
MOST_STREAMED_BYTES = 64 << 20
"""Of a streamed answer: twenty minutes of speech, or more text than anybody listens to."""
MOST_USELESS_BYTES = 2 << 20
"""Of lines that come after each other and hold nothing of use."""
LONGEST_PREPARATION = 6
"""How many times `first_s` a service may send signs of life before the first of use."""
_BREATHE_EVERY_BYTES = 64 << 10
_CONTROLLED = ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer")
"""Headers that belong to the connection: with them a persona could say one thing here and another there."""
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
        private_hosts: Sequence[str] | None = None,
    ) -> None:
        """`layer` is named in remedies: "llm" for layers.llm.

        `private_hosts` None: any address may be called, as the user of this machine wishes. Else, for an
        address that a stranger named, only public ones and those that the sequence allows
        (`OutboundPolicy`), checked at each request. Raises UsageError for an address, key or header that
        cannot be used.
        """
        self.layer = layer
        self.base_url = checked_address(layer, base_url)
        self.timeouts = timeouts or Timeouts()
        headers, query = dict(headers or {}), dict(query or {})
        if wrong := next((name for name in headers if name.lower() in _CONTROLLED), None):
            raise UsageError(
                f"The header '{wrong}' of the {layer} endpoint is set by the connection itself.",
                f"Remove it from layers.{layer}.headers.",
            )
        policy = None if private_hosts is None else OutboundPolicy(tuple(private_hosts))
        if policy is not None:
            policy.read(self.base_url)
        secrets = [api_key, urlsplit(self.base_url).password, *headers.values(), *query.values()]
        self._secrets = _spellings(secrets)
        if api_key and not any(name.lower() == "authorization" for name in headers):
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            self._client = httpx.AsyncClient(
                # Not compressed: a few bytes could become gigabytes.
                headers={"accept-encoding": "identity", **headers},
                params=query,
                timeout=httpx.Timeout(None, connect=self.timeouts.connect_s),
                transport=None if policy is None else CheckedTransport(policy, keep=True),
                trust_env=policy is None,
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
            request = self._client.build_request("GET", self.url("/models"))
            response = await self._within(
                self.timeouts.first_s, "/models", self._client.send(request, stream=True)
            )
            try:
                async with asyncio.timeout(_DRAIN_TIMEOUT_S):  # a short answer leaves the connection open
                    await _read(response, MOST_ANSWER_BYTES)
            except (TimeoutError, _TooMuchError):
                pass
            finally:
                await response.aclose()

    async def post(self, route: str, **content: Any) -> Any:
        """Send a request (`json`, `data`, `files` as in httpx) and return the answer's JSON.

        Raises EngineError, also for an answer that is not complete within `total_s`.
        """
        async with self._failures(route):
            request = self._client.build_request("POST", self.url(route), **content)
            try:
                async with asyncio.timeout(self.timeouts.total_s) as limit:
                    response = await self._send(request)
                    try:
                        if response.status_code >= 300:
                            raise await self._refused(route, response)
                        answer = await _read(response, MOST_ANSWER_BYTES)
                    finally:
                        await response.aclose()
            except _TooMuchError as error:
                raise self.too_much(route) from error
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise EngineError(
                    f"{self.place(route)} gave no complete answer within {self.timeouts.total_s:g} s.",
                    _SLOW,
                ) from error
        try:
            return valid_json(answer)
        except (ValueError, RecursionError) as error:
            raise self.unexpected(route, "JSON") from error

    @asynccontextmanager
    async def stream(self, route: str, body: Mapping[str, Any]) -> AsyncGenerator[StreamedAnswer, None]:
        """Send `body` as JSON and give the answer to read while it arrives; leaving the block ends it.

        Raises EngineError, also where `first_s` pass before the answer begins.
        """
        deadline = asyncio.get_running_loop().time() + self.timeouts.first_s
        async with self._failures(route):
            request = self._client.build_request("POST", self.url(route), json=body)
            response = await self._within(self.timeouts.first_s, route, self._send(request))
            try:
                if response.status_code >= 300:
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

    def too_much(self, route: str) -> EngineError:
        """The error for an answer without end."""
        return EngineError(f"{self.place(route)} sends more than an answer can be.", self._check)

    @property
    def _check(self) -> str:
        return f"Check layers.{self.layer}.base_url."

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._client.send(request, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # As a rule a kept connection that the service has closed meanwhile; a fresh one is opened now.
            return await self._client.send(request, stream=True)

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
        except RefusedAddressError as error:
            raise EngineError(error.message, error.remedy) from error
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
                text = (await _read(response, MOST_LINE_BYTES)).decode(errors="replace")
        except (TimeoutError, httpx.HTTPError, _TooMuchError):
            text = ""
        try:
            detail = error_message(json.loads(text))
        except (ValueError, RecursionError):
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
        self._waited_s = 0.0
        self._useless_bytes = 0
        self.complete = False
        """Whether the end of the events, "[DONE]", was read."""
        self.content_type: str = response.headers.get("content-type", "")

    def begun(self) -> None:
        """Something of use has arrived; until the next of it `stall_s` counts, and no longer `first_s`."""
        self._begun = True
        self._waited_s = 0.0
        self._useless_bytes = 0

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they arrive. Raises EngineError for a stall."""
        total = 0
        async for part in self._timely(_raw(self._response)):
            total += len(part)
            if total > MOST_STREAMED_BYTES:
                raise self._client.too_much(self._route)
            self.begun()
            yield part

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON objects of server-sent events, up to "[DONE]" or the end of the answer.

        Comments and damaged events are skipped; texts are made valid. The caller says with `begun` which
        events were of use; until the first one `first_s` counts from the latest line, since a service that
        sends anything (comments, hidden reasoning) is at work, but no more than `LONGEST_PREPARATION` times.
        Raises EngineError for a stall, for an answer without end and for an error that the service sends.
        """
        lines = self._lines()
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
                event = valid_json(data)
            except (ValueError, RecursionError):
                continue
            if not isinstance(event, dict):
                continue
            if event.get("error"):
                detail = self._client.safe(error_message(event))
                raise EngineError(f"{self._client.place(self._route)} failed: {detail}.", "Try again.")
            yield event

    async def _lines(self) -> AsyncGenerator[str, None]:
        """The answer's data lines, of bounded length and together of bounded size; of other lines one ":" for
        all that arrived together, as a sign of life."""
        kept, total, held = bytearray(), 0, 0
        async for part in _raw(self._response):
            total, held = total + len(part), held + len(part)
            self._useless_bytes += len(part)
            if total > MOST_STREAMED_BYTES or self._useless_bytes > MOST_USELESS_BYTES:
                raise self._client.too_much(self._route)
            *whole, rest = part.split(b"\n")
            if whole:
                whole[0] = bytes(kept) + whole[0]
                kept.clear()
            data = [line for line in whole if line.startswith(b"data:")]
            for line in data:
                yield line.decode(errors="replace").rstrip("\r")
            if not data and any(map(bytes.strip, whole)):
                yield ":"
            kept += rest
            if len(kept) > MOST_LINE_BYTES:
                raise self._client.too_much(self._route)
            if held > _BREATHE_EVERY_BYTES:  # lines that are there are read without waiting
                held = 0
                await asyncio.sleep(0)
        if kept:
            yield kept.decode(errors="replace").rstrip("\r")

    async def _timely(self, items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        while True:
            # Counted from here: the time that the reader takes is not the endpoint's.
            asked_s, timeouts = self._clock(), self._client.timeouts
            longest_s = timeouts.stall_s if self._begun else LONGEST_PREPARATION * timeouts.first_s
            deadline_s = asked_s + longest_s - self._waited_s
            if not self._begun:
                deadline_s = min(deadline_s, self._first_deadline)
            try:
                async with asyncio.timeout_at(deadline_s) as limit:
                    item = await anext(items)
                    self._waited_s += self._clock() - asked_s
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


class _TooMuchError(Exception):
    """The answer goes on beyond the limit, or is compressed, although that was not asked for."""


async def _raw(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body's bytes as they were sent. Raises httpx.HTTPError for a compressed body."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise httpx.DecodingError("the answer is compressed, which was not asked for")
    async for part in response.aiter_raw():
        yield part


async def _read(response: httpx.Response, most_bytes: int) -> bytes:
    body = bytearray()
    async for part in _raw(response):
        body += part
        if len(body) > most_bytes:
            raise _TooMuchError
    return bytes(body)


async def _drain(lines: AsyncIterator[str]) -> None:
    """Read the rest of the answer, without which the connection could not be used again."""
    with contextlib.suppress(TimeoutError, httpx.HTTPError, EngineError):
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            async for _ in lines:
                pass
