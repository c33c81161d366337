"""Calls to URLs that strangers name: only to public addresses, and only to the address that was checked.

A server that calls any URL it is given lends its place in the network to whoever asks (server-side request
forgery). So `OutboundPolicy` resolves the host and refuses it unless all its addresses are public, and
`checked_transport` connects to one of those very addresses instead of resolving the name again (DNS
rebinding). `OutboundClient` uses it for webhooks and files, `endpoint_client` for a persona's services.
Redirects are checked the same way. Hosts that the operator names are exempt.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from cvi import __version__
from cvi.errors import CviError, UsageError
from cvi.files import part_path

if TYPE_CHECKING:
    import httpx

LONGEST_URL = 2048
RESOLVE_WITHIN_S = 5.0
FETCH_WITHIN_S = 300.0
POST_WITHIN_S = 20.0
"""From resolving to the last byte that is read of an answer, redirects included."""
ANSWER_BYTES = 64 * 1024
"""How much of a response's body `OutboundClient.post` reads."""
MOST_REDIRECTS = 3
_KEEPS_METHOD = (307, 308)
_REDIRECTS = (301, 302, 303, 307, 308)
_SAFE_ELSEWHERE = ("accept", "content-type", "idempotency-key")
"""Headers that a redirect to another origin keeps: any other may be a credential, whatever it is called."""
_TRANSLATED_IPV4 = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses inside IPv6 (RFC 6052)."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedAddressError(UsageError):
    """A URL that may not be called from here."""


class OutboundError(CviError):
    """Nobody answered a call, or what was to be fetched cannot be had."""


@dataclass(frozen=True, slots=True)
class ResolvedHost:
    """A URL's host and the checked addresses to connect to, in the order to try them."""

    host: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """The status of a response and at most the first `ANSWER_BYTES` of its body."""

    status: int
    body: bytes

    @property
    def good(self) -> bool:
        """Whether the status is a success (2xx)."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where a fetched file was found, after redirects, and its media type ("" where none was told)."""

    url: str
    content_type: str


class OutboundPolicy:
    """Decides which URLs may be called.

    `allowed` are host names, addresses and networks that may be called although they are private; `*` allows
    everything.
    """

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        self._everything = "*" in allowed
        self._networks = []
        self._hosts = set()
        for item in allowed:
            try:
                self._networks.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                self._hosts.add(item.lower().rstrip("."))

    def read(self, url: str) -> SplitResult:
        """Split a URL after checking everything that its text alone tells, without resolving its host.

        Raises `RefusedAddressError` for what is no http(s) URL, holds credentials or blanks, is longer than
        `LONGEST_URL`, or names a private address or a local host.
        """
        remedy = "Give an http:// or https:// address that can be reached from the internet."
        try:
            parts = urlsplit(url)
            port = parts.port
            str(parts.hostname).encode("idna" if not (parts.hostname or "").isascii() else "ascii")
        except ValueError:
            raise RefusedAddressError("The URL is not well formed.", remedy) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise RefusedAddressError("The URL is no web address.", remedy)
        if len(url) > LONGEST_URL or any(char <= " " or char == "\x7f" for char in url):
            raise RefusedAddressError("The URL is too long, or holds blanks.", remedy)
        if parts.username is not None or parts.password is not None:
            raise RefusedAddressError(
                "The URL holds a name or a password.", "Use a token in its path or query."
            )
        address = _as_address(parts.hostname)
        if address is not None:
            self._check(parts.hostname, [address])
        elif self._is_local_name(parts.hostname):
            raise _refused(parts.hostname)
        return parts

    async def resolve(self, url: str) -> ResolvedHost:
        """Resolve the URL's host to addresses that may be called.

        Raises `RefusedAddressError` as `read` does, where the host cannot be found, and where any of its
        addresses is private.
        """
        parts = self.read(url)
        host = str(parts.hostname)
        addresses = await self._addresses_of(host, parts.port or (443 if parts.scheme == "https" else 80))
        self._check(host, addresses)
        return ResolvedHost(host, tuple(dict.fromkeys(map(str, addresses))))

    async def vet(self, url: str) -> None:
        """Refuse a URL that is to be called later. A host that cannot be found now may be found then.

        Raises `RefusedAddressError` as `resolve` does, except for a host that cannot be found.
        """
        parts = self.read(url)
        try:
            addresses = await self._addresses_of(str(parts.hostname), parts.port or 443)
        except RefusedAddressError:
            return
        self._check(str(parts.hostname), addresses)

    async def _addresses_of(self, host: str, port: int) -> list[Address]:
        try:
            async with asyncio.timeout(RESOLVE_WITHIN_S):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            raise RefusedAddressError(f"The host '{host}' cannot be found.", "Check its name.") from None
        return [ipaddress.ip_address(entry[4][0]) for entry in found]

    def _is_local_name(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        local = name == "localhost" or name.endswith((".localhost", ".local", ".internal"))
        return local and not self._everything and name not in self._hosts and not self._networks

    def _check(self, host: str, addresses: list[Address]) -> None:
        if self._everything or host.lower().rstrip(".") in self._hosts:
            return
        for address in addresses:
            if not _is_public(address) and not any(address in network for network in self._networks):
                raise _refused(host)


class OutboundClient:
    """Posts to URLs that `policy` allows, and fetches files from them. Used from one event loop.

    Each call has a connection of its own: none stays open to an address that was checked long ago.
    `timeout_s` is httpx's, for connecting and between two reads. `close` it when done.
    """

    def __init__(self, policy: OutboundPolicy, timeout_s: float = 15.0) -> None:
        import httpx

        from cvi.endpoints.checked_transport import CheckedTransport

        self._policy = policy
        self._client = httpx.AsyncClient(
            transport=CheckedTransport(policy),
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": f"cvi/{__version__}", "accept-encoding": "identity"},
        )

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], within_s: float = POST_WITHIN_S
    ) -> OutboundResponse:
        """Post `body` and return the response, whatever its status; redirects 307 and 308 are followed.

        Raises `RefusedAddressError` for a URL that may not be called, `OutboundError` when nobody answers or
        the answer is not there after `within_s`, all together.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._post(url, body, headers)
        except TimeoutError:
            raise OutboundError(f"no answer within {within_s:g} s") from None

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> OutboundResponse:
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._open("POST", url, headers, body)
            target = await _target(response, url, _KEEPS_METHOD)
            if target is None:
                return OutboundResponse(response.status_code, await _read_beginning(response))
            url = target
        raise OutboundError(f"more than {MOST_REDIRECTS} redirects")

    async def request(
        self, method: str, url: str, headers: dict[str, str], body: bytes, *, most_bytes: int, within_s: float
    ) -> OutboundResponse:
        """Send a request once and return the whole response, whatever its status.

        A redirect is followed where it keeps the method (307, 308), or the method is GET. Another origin is
        sent neither credentials nor a body. Raises `RefusedAddressError` for a URL that may not be called;
        `OutboundError` when nobody answers, when the answer is not complete within `within_s`, when it is
        larger than `most_bytes`, and for a body that is redirected to another origin.
        """
        try:
            async with asyncio.timeout(within_s):
                for _ in range(MOST_REDIRECTS + 1):
                    response = await self._open(method, url, headers, body)
                    follows = _REDIRECTS if method == "GET" else _KEEPS_METHOD
                    target = await _target(response, url, follows)
                    if target is None:
                        return OutboundResponse(response.status_code, await _read_whole(response, most_bytes))
                    if not _trusts(url, target):
                        if body:
                            raise OutboundError("it redirects to another host, which gets no request's body.")
                        headers = {k: v for k, v in headers.items() if k.lower() in _SAFE_ELSEWHERE}
                    url = target
        except TimeoutError:
            raise OutboundError(f"no complete answer within {within_s:g} s.") from None
        raise OutboundError(f"more than {MOST_REDIRECTS} redirects.")

    async def fetch(self, url: str, path: Path, most_bytes: int, within_s: float = FETCH_WITHIN_S) -> Fetched:
        """Write what a URL holds to `path`, whole or not at all.

        Raises `RefusedAddressError` for a URL that may not be called; `OutboundError` when it cannot be had,
        is larger than `most_bytes`, or takes longer than `within_s`; OSError when it cannot be written.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._fetch(url, path, most_bytes)
        except TimeoutError:
            raise OutboundError(f"not there after {within_s:.0f} s") from None

    async def close(self) -> None:
        """Close what is still open."""
        await self._client.aclose()

    async def _fetch(self, url: str, path: Path, most_bytes: int) -> Fetched:
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._open("GET", url, {"accept-encoding": "identity"}, b"")
            target = await _target(response, url, _REDIRECTS)
            if target is not None:
                url = target
                continue
            try:
                if response.status_code != 200:
                    raise OutboundError(f"answered with status {response.status_code}")
                await _write_body(response, path, most_bytes)
            finally:
                await response.aclose()
            return Fetched(url, response.headers.get("content-type", "").partition(";")[0].strip().lower())
        raise OutboundError(f"more than {MOST_REDIRECTS} redirects")

    async def _open(self, method: str, url: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        """The response, its body not read yet."""
        import httpx

        self._policy.read(url)
        try:
            request = self._client.build_request(method, url, content=body, headers=headers)
            return await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failed(error) from error
        except UnicodeEncodeError:
            raise OutboundError("a header holds characters that HTTP cannot carry.") from None


def checked_transport(policy: OutboundPolicy, most_bytes: int) -> httpx.AsyncBaseTransport:
    """A transport for an HTTP client of somebody else's, which calls only what `policy` allows.

    Its requests raise `RefusedAddressError`; answers are not compressed and have at most `most_bytes`.
    """
    from cvi.endpoints.checked_transport import CheckedTransport

    return CheckedTransport(policy, most_bytes=most_bytes)


def _refused(host: str) -> RefusedAddressError:
    return RefusedAddressError(
        f"'{host}' leads into a private network.", f"Allow it with: cvi serve --allow-urls-to {host}"
    )


def _as_address(host: str) -> Address | None:
    """The address that `host` spells in any notation resolvers take (127.1, 0x7f000001), else None."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _is_public(address: Address) -> bool:
    """Whether the whole internet can reach it. IPv6 forms of IPv4 addresses are as public as those."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _TRANSLATED_IPV4:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


async def _target(response: httpx.Response, url: str, follows: tuple[int, ...]) -> str | None:
    """Where a response to `url` redirects to, which is closed then; None where it does not.

    Raises OutboundError for what is no address.
    """
    location: str | None = response.headers.get("location")
    if response.status_code not in follows or location is None:
        return None
    await response.aclose()
    try:
        return urljoin(url, location)
    except ValueError:
        raise OutboundError("it redirects to what is no address.") from None


def _trusts(url: str, target: str) -> bool:
    """Whether what was meant for `url` may be sent to `target`: of one origin, or the same host by HTTPS.

    Raises OutboundError for what is no address.
    """
    try:
        before, after = urlsplit(url), urlsplit(target)
        ports = before.port, after.port
    except ValueError:
        raise OutboundError("it redirects to what is no address.") from None
    secured = (before.scheme, after.scheme, *ports) == ("http", "https", None, None)
    return before.hostname == after.hostname and (
        secured or (before.scheme == after.scheme and ports[0] == ports[1])
    )


def _failed(error: Exception | None) -> OutboundError:
    return OutboundError(f"{type(error).__name__}: {error}"[:200])


async def _read_beginning(response: httpx.Response) -> bytes:
    import httpx

    read = b""
    try:
        async for piece in response.aiter_raw():
            read += piece
            if len(read) >= ANSWER_BYTES:
                break
    except httpx.HTTPError as error:
        raise _failed(error) from error
    finally:
        await response.aclose()
    return read[:ANSWER_BYTES]


async def _read_whole(response: httpx.Response, most_bytes: int) -> bytes:
    import httpx

    read = b""
    try:
        async for piece in response.aiter_bytes():
            read += piece
            if len(read) > most_bytes:
                raise OutboundError(f"the answer is larger than {most_bytes // 1024} kB.")
    except httpx.HTTPError as error:
        raise _failed(error) from error
    finally:
        await response.aclose()
    return read


async def _write_body(response: httpx.Response, path: Path, most_bytes: int) -> None:
    import httpx

    too_large = OutboundError(f"larger than {most_bytes} bytes")
    announced = response.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise too_large
    part = part_path(path)
    written = 0
    try:
        with part.open("wb") as file:
            async for piece in response.aiter_raw():
                written += len(piece)
                if written > most_bytes:
                    raise too_large
                await asyncio.to_thread(file.write, piece)
        part.replace(path)
    except httpx.HTTPError as error:
        raise _failed(error) from error
    finally:
        part.unlink(missing_ok=True)
