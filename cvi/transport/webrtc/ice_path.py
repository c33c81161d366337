"""The way a connection's packets take, which may be exchanged for another while they travel (RFC 8445, 9).

aiortc starts ICE once. Here a second ICE session is made beside the first, and when it has found a way the
packets go there: encryption, sound, picture and the channel notice nothing but a pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiortc import RTCIceGatherer, RTCIceServer, RTCIceTransport
from aiortc.rtcicetransport import candidate_to_aioice
from aiortc.sdp import SessionDescription

from cvi.errors import UsageError
from cvi.transport.webrtc.sdp import exchange_ice

if TYPE_CHECKING:
    from aioice import Connection

FOUND_WITHIN_S = 10.0

log = logging.getLogger("cvi.transport.webrtc")


class IcePath:
    """Stands between an ICE transport and its connection. Event loop only.

    What must always hold: one connection is in use, and the one before it is closed.
    """

    def __init__(self, ice: RTCIceTransport, servers: Sequence[RTCIceServer]) -> None:
        self._ice = ice
        self._servers = list(servers)
        self._used: Connection = ice._connection
        self._found: Connection | None = None
        self._seeking: asyncio.Task[None] | None = None
        ice._recv, ice._send = self._recv, self._send

    async def answer(self, offer: str, first_answer: str) -> str:
        """The answer to an offer of new ICE credentials; `first_answer` is what was agreed on before.

        Looks for the way after it has returned. Raises UsageError for an offer without them.
        """
        ice, candidates = _remote(offer)
        gatherer = RTCIceGatherer(self._servers)
        await gatherer.gather()
        found = gatherer._connection
        found.remote_username, found.remote_password = ice.usernameFragment, ice.password
        for candidate in candidates:
            await found.add_remote_candidate(candidate_to_aioice(candidate))
        await found.add_remote_candidate(None)
        await self.close()
        self._found = found
        self._seeking = asyncio.create_task(self._seek(found), name="ice-restart")
        mine = gatherer.getLocalParameters()
        return exchange_ice(
            first_answer,
            str(mine.usernameFragment),
            str(mine.password),
            [candidate.to_sdp() for candidate in found.local_candidates],
        )

    async def close(self) -> None:
        """Look for no other way any more. The one in use is the transport's to close."""
        seeking, self._seeking = self._seeking, None
        if seeking is not None:
            seeking.cancel()
            await asyncio.gather(seeking, return_exceptions=True)
        if self._found is not None and self._found is not self._used:
            await self._found.close()
        self._found = None

    async def _seek(self, found: Connection) -> None:
        try:
            async with asyncio.timeout(FOUND_WITHIN_S):
                await found.connect()
        except (ConnectionError, TimeoutError):
            log.info("no other way was found")
            await found.close()
            return
        before, self._used = self._used, found
        self._ice._connection = found
        self._watch_over()
        await before.close()

    def _watch_over(self) -> None:
        """The transport's watch would take the old connection's end for its own."""
        name = "_RTCIceTransport__monitor_task"
        watch: asyncio.Future[Any] | None = getattr(self._ice, name)
        if watch is not None:
            watch.cancel()
        setattr(self._ice, name, asyncio.ensure_future(self._ice._monitor()))

    async def _recv(self) -> bytes:
        while True:
            used = self._used
            try:
                return await used.recv()
            except ConnectionError:
                if used is self._used:
                    raise

    async def _send(self, data: bytes) -> None:
        await self._used.send(data)


def _remote(offer: str) -> tuple[Any, list[Any]]:
    """Credentials and candidates of the offer's first medium, which carries all of them."""
    try:
        medium = SessionDescription.parse(offer).media[0]
    except Exception as error:
        # Anybody may send anything, and aiortc's parser answers it with any exception there is.
        raise UsageError(f"The offer cannot be read: {error or type(error).__name__}.") from error
    if medium.ice is None or not medium.ice.usernameFragment or not medium.ice.password:
        raise UsageError("The offer has no ICE credentials.", "Send the `sdp` of createOffer().")
    return medium.ice, medium.ice_candidates
