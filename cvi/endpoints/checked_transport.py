"""The httpx transport for addresses that strangers name: each request resolves, checks, pins and connects.

The host is resolved anew for each request, refused unless the policy allows all its addresses, and connected
to by the very address that was checked. A redirect is a request of its own and checked the same way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

from cvi.endpoints.outbound import OutboundPolicy


class CheckedTransport(httpx.AsyncBaseTransport):
    """Raises `RefusedAddressError` for what `policy` refuses, httpx's errors for the rest.

    Certificates are verified against the name, not the address. No proxy is used: it would resolve the name
    again, unchecked. With `keep` connections stay open, each to an address that the next request has checked
    again; use that for one host alone. With `most_bytes` an answer that goes on beyond them, or is compressed
    (a few bytes could become gigabytes), raises httpx.DecodingError: for clients that read answers whole.
    """

    def __init__(self, policy: OutboundPolicy, *, keep: bool = False, most_bytes: int | None = None) -> None:
        self._policy = policy
        self._most_bytes = most_bytes
        limits = httpx.Limits(max_keepalive_connections=8 if keep else 0)
        self._inner = httpx.AsyncHTTPTransport(trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send by the first of the host's addresses that can be reached."""
        if self._most_bytes is not None:
            request.headers["accept-encoding"] = "identity"
        named = request.url
        resolved = await self._policy.resolve(str(named))
        failure: httpx.TransportError | None = None
        for address in resolved.addresses:
            request.url = named.copy_with(host=address)
            request.headers["host"] = named.netloc.decode("ascii")
            request.extensions = {**request.extensions, "sni_hostname": resolved.host}
            try:
                return await self._limited(await self._inner.handle_async_request(request))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            finally:
                request.url = named
        assert failure is not None, "a host has one address at least"
        raise failure

    async def _limited(self, response: httpx.Response) -> httpx.Response:
        if self._most_bytes is None:
            return response
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            await response.aclose()
            raise httpx.DecodingError("the answer is compressed, which was not asked for")
        assert isinstance(response.stream, httpx.AsyncByteStream)
        stream = _LimitedStream(response.stream, self._most_bytes)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


class _LimitedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, most_bytes: int) -> None:
        self._stream, self._most_bytes = stream, most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for piece in self._stream:
            seen += len(piece)
            if seen > self._most_bytes:
                raise httpx.DecodingError(f"the answer is larger than {self._most_bytes >> 10} kB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
