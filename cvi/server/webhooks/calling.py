"""One HTTP call to a URL that a client gave: checked, to the checked address, redirects checked too."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from cvi import __version__
from cvi.errors import CviError
from cvi.server.webhooks.addresses import Guard

if TYPE_CHECKING:
    import httpx

ANSWER_BYTES = 64 * 1024
REDIRECTS = 3
_KEEPS_METHOD = (307, 308)
_MOVED = (301, 302, 303, 307, 308)
FETCH_WITHIN_S = 300.0


class CallError(CviError):
    """The call was not answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    """At most its first `ANSWER_BYTES`."""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Caller:
    """Posts to clients' URLs, and fetches from them.

    One connection a call: none is left open to an address checked long ago.
    """

    def __init__(self, guard: Guard, timeout_s: float = 15.0) -> None:
        import httpx

        self._guard = guard
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,  # a proxy would resolve the name again, unchecked
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"user-agent": f"cvi/{__version__}"},
        )

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Raises `RefusedAddressError` for a URL that may not be called, `CallError` when nobody answers."""
        for _ in range(REDIRECTS + 1):
            response = await self._open("POST", url, headers, body)
            location = response.headers.get("location")
            answer = Answer(response.status_code, await _beginning(response))
            if answer.status not in _KEEPS_METHOD or location is None:
                return answer
            url = urljoin(url, location)
        raise CallError(f"more than {REDIRECTS} redirects")

    async def fetch(
        self, url: str, path: Path, most_bytes: int, within_s: float = FETCH_WITHIN_S
    ) -> None:
        """Get what a URL holds into a file, whole or not at all.

        Raises `RefusedAddressError` for a URL that may not be called, `CallError` when it cannot be had, is
        larger than `most_bytes`, or takes longer than `within_s`.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._fetch(url, path, most_bytes)
        except TimeoutError:
            raise CallError(f"not there after {within_s:.0f} s") from None

    async def _fetch(self, url: str, path: Path, most_bytes: int) -> None:
        for _ in range(REDIRECTS + 1):
            response = await self._open("GET", url, {"accept-encoding": "identity"}, b"")
            location = response.headers.get("location")
            if response.status_code in _MOVED and location is not None:
                await response.aclose()
                url = urljoin(url, location)
                continue
            try:
                if response.status_code != 200:
                    raise CallError(f"answered with status {response.status_code}")
                await _kept(response, path, most_bytes)
            finally:
                await response.aclose()
            return
        raise CallError(f"more than {REDIRECTS} redirects")

    async def _open(self, method: str, url: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        """The answer of the first address that can be reached, its body still to come."""
        import httpx

        checked = await self._guard.check(url)
        named = httpx.URL(url)
        failure: Exception | None = None
        for address in checked.addresses:
            request = self._client.build_request(
                method,
                named.copy_with(host=address),
                content=body,
                headers={**headers, "host": named.netloc.decode("ascii")},
                extensions={"sni_hostname": checked.host},
            )
            try:
                return await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            except httpx.HTTPError as error:
                raise CallError(f"{type(error).__name__}: {error}"[:200]) from error
        raise CallError(f"{type(failure).__name__}: {failure}"[:200]) from failure

    async def close(self) -> None:
        await self._client.aclose()


async def _beginning(response: httpx.Response) -> bytes:
    import httpx

    taken = b""
    try:
        async for piece in response.aiter_raw():
            taken += piece
            if len(taken) >= ANSWER_BYTES:
                break
    except httpx.HTTPError as error:
        raise CallError(f"{type(error).__name__}: {error}"[:200]) from error
    finally:
        await response.aclose()
    return taken[:ANSWER_BYTES]


async def _kept(response: httpx.Response, path: Path, most_bytes: int) -> None:
    import httpx

    said = response.headers.get("content-length", "0")
    taken = int(said) if said.isdecimal() else 0
    part = path.with_name(f"{path.name}.part")
    try:
        if taken > most_bytes:
            raise CallError(f"larger than {most_bytes} bytes")
        taken = 0
        with part.open("wb") as file:
            async for piece in response.aiter_raw():
                taken += len(piece)
                if taken > most_bytes:
                    raise CallError(f"larger than {most_bytes} bytes")
                await asyncio.to_thread(file.write, piece)
        part.replace(path)
    except httpx.HTTPError as error:
        raise CallError(f"{type(error).__name__}: {error}"[:200]) from error
    finally:
        part.unlink(missing_ok=True)
