"""What observers of a conversation may do to it, and how they are told of its events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cvi.conversation.capabilities import Observer
from cvi.conversation.events import (
    Backchannel,
    DraftDiscarded,
    EchoHeard,
    Event,
    ObjectiveActivated,
    ObjectiveCompleted,
    ObjectivePending,
    ObjectiveUpdated,
    ReplyCommitted,
    ReplyFinished,
    ReplyInterrupted,
    ReplyWritten,
    TurnEmpty,
    TurnUnanswered,
    UserStartedSpeaking,
)
from cvi.conversation.journal import Journal
from cvi.conversation.replies import Replies
from cvi.conversation.settings import SessionContext
from cvi.llm.base import LlmEngine, PausesStructured

CLOSE_WITHIN_S = 22.0


class ObserverSteering:
    """A `Steering`. Events reach the observers in order, after everybody else has been told of them."""

    def __init__(self, context: SessionContext, replies: Replies) -> None:
        self._context = context
        self._replies = replies
        self._observers: Sequence[Observer] = context.capabilities.observers
        self._waits: dict[int, asyncio.Future[bool]] = {}
        self._committed = 0

    def begin(self) -> None:
        """Attach the observers."""
        if not self._observers and not isinstance(self.llm, PausesStructured):
            return
        loop = asyncio.get_running_loop()
        for observer in self._observers:
            observer.attach(self)

        def tell(event: Event) -> None:
            loop.call_soon(self._tell, event)

        self.journal.subscribe(tell)

    async def close(self) -> None:
        """Let the observers finish."""
        await asyncio.sleep(0)
        if isinstance(self.llm, PausesStructured):
            self.llm.pause_structured(False)
        closing = [asyncio.create_task(observer.close()) for observer in self._observers]
        if closing:
            _, late = await asyncio.wait(closing, timeout=CLOSE_WITHIN_S)
            for task in late:
                task.cancel()

    def _tell(self, event: Event) -> None:
        match event:
            case ReplyCommitted():
                self._committed = max(self._committed, event.reply)
                self._settle(event.reply, True)
            case DraftDiscarded() | ReplyInterrupted():
                self._settle(event.reply, False)
            case ObjectiveActivated() | ObjectiveUpdated() | ObjectivePending() | ObjectiveCompleted():
                if self._replies.current is None:  # else it is read when the reply has been heard
                    self._replies.read_ahead()
        self._pause_structured(event)
        for observer in self._observers:
            observer.on_event(event)

    def _pause_structured(self, event: Event) -> None:
        """Forms are filled in while nobody speaks to the persona or waits for its words."""
        if not isinstance(self.llm, PausesStructured):
            return
        match event:
            case UserStartedSpeaking():
                self.llm.pause_structured(True)
            case (
                ReplyWritten()
                | ReplyFinished()
                | TurnEmpty()
                | TurnUnanswered()
                | Backchannel()
                | EchoHeard()
            ):
                self.llm.pause_structured(False)

    def _settle(self, reply: int, committed: bool) -> None:
        waiting = self._waits.pop(reply, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(committed)

    # -- Steering ---------------------------------------------------------------------------------

    @property
    def journal(self) -> Journal:
        """See `Steering`."""
        return self._context.journal

    @property
    def llm(self) -> LlmEngine:
        """See `Steering`."""
        return self._context.engines.llm

    def is_committed(self, reply: int) -> bool:
        """See `Steering`."""
        return reply <= self._committed

    async def committed(self, reply: int) -> bool:
        """See `Steering`."""
        if self.is_committed(reply):
            return True
        waiting = self._waits.setdefault(reply, asyncio.get_running_loop().create_future())
        return await asyncio.shield(waiting)

    def replace_reply(self, reply: int, text: str, *, ends: bool = False) -> None:
        """See `Steering`."""
        self._replies.replace(reply, text, ends=ends)

    def end(self, reason: str) -> None:
        """See `Steering`."""
        self._context.end(reason)
