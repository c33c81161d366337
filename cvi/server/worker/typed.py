"""A conversation without sound and picture: turns come as requests, replies go as events."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from cvi.audio.block import Pcm
from cvi.conversation.chat import Chat
from cvi.conversation.journal import Journal
from cvi.conversation.settings import ConversationSettings
from cvi.errors import UsageError
from cvi.llm.base import LlmEngine

MOST_WAITING = 16


class TypedConversation:
    """Has of `Conversation` what a session needs. Turns are answered one after the other."""

    def __init__(self, settings: ConversationSettings, llm: LlmEngine, journal: Journal) -> None:
        self._chat = Chat(settings, llm, journal)
        self._turns: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self._answering: asyncio.Task[None] | None = None
        self._ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self) -> str:
        """Until it is ended; returns the reason."""
        answering = asyncio.create_task(self._answer_all(), name="typed")
        both: list[asyncio.Future[Any]] = [answering, self._ending]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            await answering  # it only ends by failing
        answering.cancel()
        self.interrupt()
        await asyncio.wait([answering])
        reason = self._ending.result()
        self._chat.end(reason)
        return reason

    def end(self, reason: str) -> None:
        if not self._ending.done():
            self._ending.set_result(reason)

    async def _answer_all(self) -> None:
        await self._chat.start()
        while True:
            text = await self._turns.get()
            self._answering = asyncio.create_task(self._answer(text))
            await asyncio.wait([self._answering])
            if not self._answering.cancelled():
                self._answering.result()

    async def _answer(self, text: str) -> None:
        async with aclosing(self._chat.say(text)) as clauses:  # type: ignore[type-var]
            async for _ in clauses:
                pass

    # -- what is asked ----------------------------------------------------------------------------

    def respond(self, text: str) -> None:
        """Raises UsageError when too many turns wait."""
        try:
            self._turns.put_nowait(text)
        except asyncio.QueueFull:
            raise UsageError(f"{MOST_WAITING} turns wait to be answered.", "Wait for the replies.") from None

    def say(self, text: str) -> None:
        raise UsageError("A typed conversation has no voice to echo with.", "Use `conversation.respond`.")

    def play(self, pcm: Pcm, rate_hz: int, utterance: str, *, done: bool) -> None:
        raise UsageError("A typed conversation has no voice to echo with.", "Use `conversation.respond`.")

    def interrupt(self, why: str = "asked") -> None:
        if self._answering is not None:
            self._answering.cancel()

    def replace_context(self, text: str) -> None:
        self._chat.history.replace_context(text)

    def append_context(self, text: str) -> None:
        self._chat.history.append_context(text)

    def adjust(self, patience: str, interruptibility: str) -> None:
        """There are no pauses to wait for."""
