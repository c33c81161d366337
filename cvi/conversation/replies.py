"""What the persona says: replies made, put on stage, cut, and remembered as far as they were heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from cvi.conversation.events import (
    ReplyCommitted,
    ReplyFinished,
    ReplyFirstToken,
    ReplyGiven,
    ReplyInterrupted,
)
from cvi.conversation.history import History
from cvi.conversation.journal import Journal
from cvi.conversation.playout import AVPlayout
from cvi.conversation.reply import Reply, fixed_text
from cvi.conversation.settings import WELCOME, ConversationSettings, SpeechEngines
from cvi.conversation.writing import in_one_piece, write_reply
from cvi.llm.clauses import Clause, ClauseSplitter
from cvi.transport.base import Transport
from cvi.tts.base import TtsEngine


class Replies:
    """All replies of one conversation, numbered by generation. Event loop only.

    `on_change` is called when a reply takes or leaves the stage, `on_failure` with a fault of this
    program (an engine's failure is spoken as an apology instead).
    """

    def __init__(
        self,
        settings: ConversationSettings,
        layers: SpeechEngines,
        history: History,
        playout: AVPlayout,
        transport: Transport,
        journal: Journal,
        *,
        on_change: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._layers = layers
        self._history = history
        self._playout = playout
        self._transport = transport
        self._journal = journal
        self._on_change = on_change
        self._on_failure = on_failure
        self._generation = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def on_stage(self) -> Reply | None:
        """The reply that is heard now, or about to be."""
        return self._playout.reply

    def draft(self, turn: int, text: str) -> Reply:
        """A reply to the turn's `text`, its gate shut. The history is not changed."""
        if self._settings.echo:
            return self._make(fixed_text(text), turn, text)
        return self._make(self._written(text), turn, text)

    def _written(self, text: str) -> AsyncIterator[Clause]:
        """What the model answers to `text`."""
        generation = self._generation + 1
        clauses = write_reply(
            self._layers.llm,
            self._history.with_user(text),
            self._settings.sampling,
            ClauseSplitter(self._settings.max_sentences, names=filter(None, [self._settings.persona_name])),
            on_first_token=lambda: self._journal.write(ReplyFirstToken(reply=generation)),
        )
        return in_one_piece(clauses) if self._settings.whole_replies else clauses

    def commit(self, reply: Reply) -> None:
        """Open the gate of an answer: its turn is history, and it has the stage."""
        self._history.add_user(reply.user_text)
        self._stage(reply)

    def say(self, text: str, *, interruptible: bool = True) -> Reply:
        """Speak exactly this, as no answer to anything."""
        reply = self._make(fixed_text(text), None, "", interruptible)
        self._stage(reply)
        return reply

    def open(self, request: str) -> Reply:
        """Let the model speak first, asked to by `request`; what it says is history, the request is not."""
        reply = self._make(self._written(request), None, "", apology=WELCOME)
        self._stage(reply)
        return reply

    def play(self, sound: TtsEngine, utterance: str) -> Reply:
        """Let sound be heard in the voice's place; `utterance` is its name with who gives it."""
        reply = self._make(fixed_text(""), None, "", voice=sound)
        self._journal.write(ReplyGiven(reply=reply.generation, utterance=utterance))
        self._stage(reply)
        return reply

    def cut(self, why: str) -> None:
        """End the reply on stage; what was heard of it is history. Raises AssertionError without one."""
        reply = self._playout.reply
        assert reply is not None
        was_audible = self._playout.audible
        heard = self._playout.cut()
        reply.interrupt()
        self._history.add_heard(heard, interrupted=True)
        self._journal.write(
            ReplyInterrupted(
                reply=reply.generation,
                why=why,
                heard=heard,
                audible=was_audible,
                silent_s=round(self._playout.silent_s, 4),
            )
        )
        self._left_stage(heard)

    def finished(self, reply: Reply) -> None:
        """The playout has presented all of it."""
        reply.finish()
        text = reply.timeline.text
        self._history.add_heard(text, interrupted=False)
        self._journal.write(ReplyFinished(reply=reply.generation, text=text))
        self._left_stage(text)

    def read_ahead(self) -> None:
        """Let the model read what was said, so that the next turn only adds its own words."""
        if self._settings.speculative and not self._settings.echo:
            self._keep(self._layers.llm.prefill(self._history.recent, ""))

    async def ended(self) -> None:
        """Wait until no task of a reply is running."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _make(
        self,
        clauses: AsyncIterator[Clause],
        turn: int | None,
        user_text: str,
        interruptible: bool = True,
        *,
        voice: TtsEngine | None = None,
        apology: str | None = None,
    ) -> Reply:
        self._generation += 1
        reply = Reply(
            self._generation,
            turn,
            clauses,
            voice or self._layers.tts,
            self._journal,
            apology=self._settings.apology if apology is None else apology,
            user_text=user_text,
            interruptible=interruptible,
            ear=self._layers.ear,
        )
        self._watch(reply.task)
        return reply

    def _stage(self, reply: Reply) -> None:
        reply.commit()
        self._journal.write(ReplyCommitted(reply=reply.generation, turn=reply.turn))
        self._playout.stage(reply)
        self._on_change()

    def _left_stage(self, heard: str) -> None:
        self._transport.notify("persona", heard)
        self._transport.reply_ended()
        self._on_change()
        self.read_ahead()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self._watch(asyncio.create_task(work))

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._on_failure(failure)
