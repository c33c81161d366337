"""A typed conversation: the same persona, history and journal, without sound and face."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from cvi.conversation.events import (
    ConversationEnded,
    ConversationStarted,
    EngineFailed,
    ReplyFinished,
    ReplyFirstToken,
    ReplyInterrupted,
    TurnTyped,
)
from cvi.conversation.history import History
from cvi.conversation.journal import Journal
from cvi.conversation.settings import ConversationSettings
from cvi.conversation.writing import write_reply
from cvi.errors import EngineError
from cvi.llm.base import LlmEngine, Message
from cvi.llm.clauses import Clause, ClauseSplitter


class Chat:
    """Turns are typed, replies come clause by clause. What was shown is history, as what was heard is.

    >>> async for text in chat.say("Hello"):
    ...     print(text, end=" ")
    """

    def __init__(self, settings: ConversationSettings, llm: LlmEngine, journal: Journal) -> None:
        self._settings = settings
        self._llm = llm
        self._journal = journal
        self._turns = 0
        self._generation = 0
        self.history = History(settings.system, settings.recent_turns, settings.prelude)

    async def start(self) -> str:
        """Begin; returns the greeting, "" when the persona has none."""
        self._journal.write(
            ConversationStarted.of(self._settings.conversation_id, self._settings.facts)
        )
        greeting = self._settings.greeting
        if not greeting and self._settings.opening and not self._settings.echo:
            greeting = await self._opened(self._settings.opening)
        if greeting:
            self._generation += 1
            self.history.add_heard(greeting, interrupted=False)
            self._journal.write(ReplyFinished(reply=self._generation, text=greeting))
        await self._llm.warm(self.history.recent)
        return greeting

    async def _opened(self, request: str) -> str:
        """What the model says when it is asked to speak first."""
        clauses = self._clauses(request, self.history.with_user(request))
        return " ".join([clause async for clause in clauses])

    async def say(self, text: str) -> AsyncIterator[str]:
        """One turn. Closing the iterator interrupts the reply; what was given by then counts as heard."""
        self._turns += 1
        self._generation += 1
        messages = self.history.with_user(text)
        self.history.add_user(text)
        self._journal.write(TurnTyped(turn=self._turns, reply=self._generation, text=text))
        shown: list[str] = []
        whole = False
        try:
            async for clause in self._clauses(text, messages):
                shown.append(clause)
                yield clause
            whole = True
        finally:
            heard = " ".join(shown)
            self.history.add_heard(heard, interrupted=not whole)
            if whole:
                self._journal.write(ReplyFinished(reply=self._generation, text=heard))
            else:
                self._journal.write(
                    ReplyInterrupted(reply=self._generation, why="asked", heard=heard, audible=False)
                )

    async def _clauses(self, text: str, messages: Sequence[Message]) -> AsyncIterator[str]:
        settings = self._settings
        if settings.echo:
            yield text
            return
        generation = self._generation
        clauses: AsyncIterator[Clause] = write_reply(
            self._llm,
            messages,
            settings.sampling,
            ClauseSplitter(settings.max_sentences, names=filter(None, [settings.persona_name])),
            on_first_token=lambda: self._journal.write(ReplyFirstToken(reply=generation)),
        )
        try:
            async for clause in clauses:
                yield clause.text
        except EngineError as error:
            self._journal.write(EngineFailed(reply=generation, message=str(error)))
            yield settings.apology
        finally:
            await clauses.aclose()  # type: ignore[attr-defined]

    def end(self, reason: str) -> None:
        self._journal.write(ConversationEnded(reason=reason))
