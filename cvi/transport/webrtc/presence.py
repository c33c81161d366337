"""The participant's connection, whichever it is now: it comes, stalls, is replaced, and goes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Literal, Protocol

from cvi.errors import UsageError
from cvi.transport.webrtc.peer import Peer, PeerEvents

Presence = Literal["joined", "stalled", "back", "left"]
# A connection from which nothing comes for so long has stalled: output waits.
STALLED_S, STALLED_QUIET_S = 2.5, 8.0
# And after this long, it is over.
LOST_S = 12.0
# A connection that is being made holds the place for so long: an offer alone must not keep others out.
PENDING_S = 15.0
WATCH_EVERY_S = 0.25
MEASURE_EVERY_S = 1.0
MOST_EVENTS = 256


class WebRtcEvents(Protocol):
    """What the transport tells its owner; called on the event loop, must return at once."""

    def presence(self, what: Presence, participant_id: str) -> None:
        """The participant joined, stalled, came back or left."""

    def message(self, participant_id: str, text: str) -> None:
        """Text came on the data channel."""


class ParticipantConnection:
    """At most one participant's connection. Event loop only.

    `make(participant_id, events)` builds a connection, `heard(timestamp, payload)` is given its incoming
    sound, `anew()` is called when a new connection takes the old one's place. `flowing` is set while
    somebody is connected and their connection is alive.
    """

    def __init__(
        self,
        owner: WebRtcEvents,
        make: Callable[[str, PeerEvents], Peer],
        heard: Callable[[int, bytes], None],
        anew: Callable[[], None],
    ) -> None:
        self.peer: Peer | None = None
        self.flowing = asyncio.Event()
        self._owner = owner
        self._make = make
        self._heard = heard
        self._anew = anew
        self._loop = asyncio.get_running_loop()
        self._left_told = True
        self._offered_s = 0.0
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MOST_EVENTS)
        self._closing: set[asyncio.Task[None]] = set()

    async def join(self, offer: str, participant_id: str) -> str:
        """The answer to an offer; the connection in whose place it comes is closed.

        Raises UsageError for one that cannot be answered; then nothing has changed.
        """
        peer = self._make(participant_id, self)
        with ExitStack() as undo:
            undo.callback(self._close_soon, peer)
            answer = await peer.answer(offer)
            undo.pop_all()
        before, self.peer = self.peer, peer
        self._offered_s = self._loop.time()
        self.flowing.clear()
        self._anew()
        if before is not None:
            self._close_soon(before)
            if before.participant_id != participant_id and not self._left_told:
                self._tell("left", before.participant_id)
        return answer

    async def restart(self, offer: str, participant_id: str) -> str:
        """The answer to an offer of the connection that is there, which looks for another way.

        Raises UsageError when it is not there any more; then nothing has changed.
        """
        if self.peer is None or self.peer.participant_id != participant_id:
            raise UsageError("The connection is gone.", "Make a new one.")
        return await self.peer.restart(offer)

    def leave(self, participant_id: str | None = None) -> None:
        """The participant has gone of their own will; another's id changes nothing."""
        peer = self.peer
        if peer is None or participant_id not in (None, peer.participant_id):
            return
        self.peer = None
        self.flowing.clear()
        self._close_soon(peer)
        if not self._left_told:
            self._tell("left", peer.participant_id)

    def send(self, event: dict[str, Any]) -> None:
        """An event for the participant's channel; kept, to a bound, until there is an open one."""
        if self._waiting or self.peer is None or not self.peer.send(event):
            self._waiting.append(event)

    async def watch_over(self) -> None:
        """Notice what a dead connection does not tell: that nothing comes any more. Until cancelled."""
        measured_s = 0.0
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            peer, now_s = self.peer, self._loop.time()
            if peer is None or not peer.is_connected:
                if peer is not None and now_s - self._offered_s > PENDING_S:
                    self.leave()
                continue
            silent_s = now_s - peer.feedback.seen_s
            stalled = silent_s > (STALLED_S if peer.has_sound or peer.picture else STALLED_QUIET_S)
            if silent_s > LOST_S:
                self.leave()
            elif stalled and self.flowing.is_set():
                self.flowing.clear()
                self._tell("stalled", peer.participant_id)
            elif not stalled and not self.flowing.is_set():
                self.flowing.set()
                self._tell("back", peer.participant_id)
            if now_s - measured_s >= MEASURE_EVERY_S:
                measured_s = now_s
                await peer.measure()

    async def close(self) -> None:
        """Hang up without a word, and wait until that is done."""
        self.flowing.clear()
        peer, self.peer = self.peer, None
        if peer is not None:
            self._close_soon(peer)
        if self._closing:
            await asyncio.wait(self._closing)

    def _tell(self, what: Presence, participant_id: str) -> None:
        self._left_told = what == "left"
        self._owner.presence(what, participant_id)

    def _close_soon(self, peer: Peer) -> None:
        task = asyncio.create_task(peer.close(), name="peer-close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # -- what a connection tells (PeerEvents) -----------------------------------------------------

    def connected(self, peer: Peer) -> None:
        """As in `PeerEvents`."""
        if peer is self.peer:
            self.flowing.set()
            self._tell("joined", peer.participant_id)

    def ended(self, peer: Peer) -> None:
        """As in `PeerEvents`."""
        if peer is self.peer:
            self.leave()

    def message(self, peer: Peer, text: str) -> None:
        """Text came on the data channel."""
        if peer is self.peer:
            self._owner.message(peer.participant_id, text)

    def channel_opened(self, peer: Peer) -> None:
        """As in `PeerEvents`: what waited is sent."""
        if peer is self.peer:
            waiting = list(self._waiting)
            self._waiting.clear()
            for event in waiting:
                self.send(event)

    def heard(self, peer: Peer, timestamp: int, payload: bytes) -> None:
        """As in `PeerEvents`."""
        if peer is self.peer:
            self._heard(timestamp, payload)
