"""The httpx transport for addresses that strangers name: each request resolves, checks, pins and connects.

The host is resolved anew for each request, refused unless the policy allows all its addresses, and connected
to by the very address that was checked. A redirect is a request of its own and checked the same way.
"""

from __future__ import annotations

import httpx

from cvi.endpoints.outbound import OutboundPolicy


class CheckedTransport(httpx.AsyncBaseTransport):
    """Raises `RefusedAddressError` for what `policy` refuses, httpx's errors for the rest.

    Certificates are verified against the name, not the address. No proxy is used: it would resolve the name
    again, unchecked. With `keep` connections stay open, each to an address that the next request has checked
    again; use that for one host alone.
    """

    def __init__(self, policy: OutboundPolicy, *, keep: bool = False) -> None:
        self._policy = policy
        limits = httpx.Limits(max_keepalive_connections=8 if keep else 0)
        self._inner = httpx.AsyncHTTPTransport(trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send by the first of the host's addresses that can be reached."""
        named = request.url
        resolved = await self._policy.resolve(str(named))
        failure: httpx.TransportError | None = None
        for address in resolved.addresses:
            request.url = named.copy_with(host=address)
            request.headers["host"] = named.netloc.decode("ascii")
            request.extensions = {**request.extensions, "sni_hostname": resolved.host}
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            finally:
                request.url = named
        assert failure is not None, "a host has one address at least"
        raise failure

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()
