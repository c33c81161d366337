"""What the persona says: replies made, started, cut, and remembered as far as they were heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, cast

from cvi.conversation.events import (
    ContextProvided,
    ReplyCommitted,
    ReplyFinished,
    ReplyGiven,
    ReplyInterrupted,
    ReplyOpener,
    ReplyResumed,
)
from cvi.conversation.history import with_notes
from cvi.conversation.openers import OpenerPolicy
from cvi.conversation.playout import ReplyOutput
from cvi.conversation.reply import Pace, Reply, fixed_clauses, model_clauses, one_clause
from cvi.conversation.said_before import said_before_hint
from cvi.conversation.settings import SessionContext, SpeechEngines
from cvi.conversation.tool_runs import ToolRuns
from cvi.conversation.tool_turn import ToolTurn
from cvi.llm.base import Message
from cvi.llm.clauses import Clause
from cvi.tts.base import PhraseVoice, TtsEngine

DRY_S = 0.45
"""A voice with so little sound left needs words: on two cores a large model takes 0.1 s to the end of one,
and the voice 0.2 s for two."""


class Replies:
    """All replies of one conversation, numbered by generation; numbers the turns too. Event loop only.

    An engine that fails is apologized for in the reply; a fault of this program in a reply's task ends
    the conversation.
    """

    def __init__(self, context: SessionContext, output: ReplyOutput) -> None:
        self._context = context
        self._settings = context.settings
        self._history = context.history
        self._journal = context.journal
        self._output = output
        engines = context.engines
        self._voice = engines.tts if isinstance(engines, SpeechEngines) else None
        self._mouth_reader = engines.mouth_reader if isinstance(engines, SpeechEngines) else None
        self._generation = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._openers = OpenerPolicy(())
        if isinstance(engines, SpeechEngines) and context.settings.openers:
            self._openers = OpenerPolicy(engines.openers, engines.first_wait_s)

        toolbox = context.capabilities.toolbox
        self.tool_runs = ToolRuns(context, toolbox) if toolbox is not None else None
        """The calls of tools; None without any."""

        self.turns = 0
        """How many turns were begun, spoken or typed."""

    @property
    def current(self) -> Reply | None:
        """The reply that is heard now, or about to be."""
        return self._output.reply

    def go_on_from(self, turns: int, replies: int) -> None:
        """Number turns and replies on from those of the conversation's part before."""
        self.turns, self._generation = turns, replies

    def next_turn(self) -> int:
        """The number of a new turn."""
        self.turns += 1
        return self.turns

    def draft(self, turn: int, text: str) -> Reply:
        """A reply to the turn's `text`, its gate shut. The history is not changed."""
        if self._settings.echo:
            return self._make(fixed_clauses(text), turn=turn, user_text=text)
        toolbox = self._context.capabilities.toolbox
        if toolbox is None or self.tool_runs is None:
            return self._make(self._written(text), turn=turn, user_text=text)
        number = self._generation + 1
        messages = self._history.with_user(text)
        calls = ToolTurn(
            self._context,
            toolbox,
            self.tool_runs,
            number,
            turn,
            text,
            self._pace(number),
            self._history.recent,
            partial(self._told, text, messages, number),
        )
        clauses = self._guarded(calls.clauses(), number, text, lambda: calls.given or messages)
        reply = calls.reply = self._make(self._whole(clauses), turn=turn, user_text=text)
        reply.task.add_done_callback(lambda task: self._let_go(reply))
        return reply

    def commit(self, reply: Reply, waited_s: float = 0.0) -> None:
        """Let an answer be heard, `waited_s` seconds after the participant's words ended; its turn is history
        from now on."""
        self._history.add_user(reply.user_text)
        self._context.capabilities.committed(reply.user_text)
        self._open(reply, waited_s)
        self._start(reply)

    def say(self, text: str, *, interruptible: bool = True) -> Reply:
        """Speak exactly `text`, as no answer to anything."""
        reply = self._make(fixed_clauses(text), interruptible=interruptible)
        self._start(reply)
        return reply

    def resume(self, interrupted: Reply, heard: str) -> bool:
        """Go on with a reply that was cut after `heard`, from its sentence on; False if nothing is left."""
        left = interrupted.left_after(heard)
        if not left:
            return False
        reply = self._make(fixed_clauses(left))
        self._journal.write(ReplyResumed(reply=reply.generation, interrupted=interrupted.generation))
        self._start(reply)
        return True

    def open(self, request: str) -> Reply:
        """Let the model speak first, asked to by `request`, which does not become history."""
        reply = self._make(self._written(request), apology=self._settings.phrases.welcome)
        self._start(reply)
        return reply

    def play(self, sound: TtsEngine, utterance: str) -> Reply:
        """Let `sound` be heard instead of the voice; `utterance` is the application's name for it."""
        reply = self._make(fixed_clauses(""), voice=sound)
        self._journal.write(ReplyGiven(reply=reply.generation, utterance=utterance))
        self._start(reply)
        return reply

    def cut(self, why: str) -> str:
        """End the current reply and return what was heard of it, which is history. There must be one."""
        reply = self._output.reply
        assert reply is not None
        cut = self._output.cut()
        reply.interrupt()
        self._let_go(reply)
        self._note_wait(reply)
        self._history.add_heard(cut.heard, interrupted=True)
        self._journal.write(
            ReplyInterrupted(
                reply=reply.generation,
                why=why,
                heard=cut.heard,
                audible=cut.audible,
                silent_s=None if cut.silent_s is None else round(cut.silent_s, 4),
            )
        )
        self._ended(cut.heard)
        return cut.heard

    def finished(self, reply: Reply) -> None:
        """Note that a reply was heard to its end; a clause without sound is not history."""
        reply.finish()
        self._note_wait(reply)
        text = reply.spoken_text
        self._history.add_heard(text, interrupted=False)
        self._journal.write(ReplyFinished(reply=reply.generation, text=text))
        self._let_go(reply)
        self._ended(text)
        guard = self._context.capabilities.guard
        if reply.ends_conversation:
            self._context.end(reply.ends_conversation)
        elif guard is not None and guard.ends(reply.generation):
            self._context.end("guardrail")

    def replace(self, generation: int, text: str, *, ends: bool = False) -> None:
        """Say `text` in the place of a reply that is still being heard; otherwise nothing."""
        current = self.current
        if current is None or current.generation != generation:
            return
        self.cut("guardrail")
        reply = self._make(fixed_clauses(text))
        reply.ends_conversation = "guardrail" if ends else ""
        self._start(reply)

    def read_ahead(self) -> None:
        """Let the model read the history, and the notes that wait for no words, so that the next turn only
        adds its own."""
        if self._settings.speculative and not self._settings.echo:
            messages = self._history.recent_with(self._context.capabilities.standing_notes())
            self._run(self._context.engines.llm.prefill(messages, ""))

    def warm(self) -> None:
        """Let the model get ready beside the greeting. An EngineError of it ends the conversation."""
        self._run(self._context.engines.llm.warm(self._history.recent))

    def follow_tools(self, words: str) -> None:
        """The participant's stable words so far: where they begin to ask for a tool, the model reads them."""
        toolbox = self._context.capabilities.toolbox
        if toolbox is not None and not self._settings.echo:
            toolbox.decision.follow(self._context.engines.llm, self._history.recent, words)

    def warm_tools(self) -> None:
        """Get the decision about tools ready, beside the greeting. A CviError of it ends the conversation."""
        toolbox = self._context.capabilities.toolbox
        if toolbox is not None and not self._settings.echo:
            self._run(toolbox.decision.warm(self._context.engines.llm))

    async def wait_for_tasks(self) -> None:
        """Return when no task of a reply is running any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _open(self, reply: Reply, waited_s: float) -> None:
        """Let an answer whose own words are long in coming begin with an opener."""
        if reply.timeline.length:
            waited_s = left_s = 0.0
        else:
            left_s = self._openers.predicted_s(reply.age_s)
        opener = self._openers.choose(reply.user_text, waited_s, left_s)
        if opener is not None:
            reply.open_with(opener, self._openers.follow_up(opener))
            self._journal.write(
                ReplyOpener(reply=reply.generation, text=opener.text, predicted_wait_s=round(left_s, 3))
            )

    def _note_wait(self, reply: Reply) -> None:
        if reply.turn is not None and reply.first_wait_s is not None and not reply.calls_tools:
            self._openers.note(reply.first_wait_s)

    def _written(self, text: str) -> AsyncIterator[Clause]:
        """The model's answer to `text`."""
        # Read now: by the time the clauses are asked for, the turn may be part of the history.
        given = list(self._history.with_user(text))
        number = self._generation + 1
        return self._whole(self._guarded(self._clauses(text, given, number), number, text, lambda: given))

    def _guarded(
        self, clauses: AsyncIterator[Clause], reply: int, turn: str, given: Callable[[], Sequence[Message]]
    ) -> AsyncIterator[Clause]:
        """The clauses that may be spoken; `given` is what the model wrote them from."""
        guard = self._context.capabilities.guard
        if guard is None:
            return clauses

        def again(note: str) -> AsyncIterator[Clause]:
            # Behind the turn: a small model does what it reads last.
            told = (*given(), Message("system", note))
            return model_clauses(self._context, reply, told, self._pace(reply))

        return guard.clauses(reply, turn, clauses, again)

    async def _clauses(self, text: str, given: list[Message], reply: int) -> AsyncIterator[Clause]:
        """The model's answer to `given`, to which the notes for the turn are added first."""
        given[:] = await self._told(text, given, reply)
        written = model_clauses(self._context, reply, given, self._pace(reply))
        async with aclosing(cast("AsyncGenerator[Clause]", written)) as clauses:
            async for clause in clauses:
                yield clause

    async def _told(self, text: str, messages: Sequence[Message], reply: int) -> tuple[Message, ...]:
        """The messages with what the model should know for this turn, once that is there."""
        capabilities = self._context.capabilities
        notes = await capabilities.notes(text)
        for source, note in notes.items():
            passages = capabilities.sources(source, text)
            quote = capabilities.quote(source, text)
            self._journal.write(
                ContextProvided(reply=reply, source=source, text=note, passages=passages, quote=quote)
            )
        told = with_notes(messages, notes.values())
        hints = capabilities.hints(text)
        if said_before := said_before_hint(self._history, text):
            hints["said_before"] = said_before
        for source, hint in hints.items():
            self._journal.write(ContextProvided(reply=reply, source=f"{source}_hint", text=hint))
        return (*told, *(Message("system", hint) for hint in hints.values()))

    def _pace(self, reply: int) -> Pace | None:
        if not isinstance(self._voice, PhraseVoice):
            return None
        return Pace(self._voice.first_words, lambda: self._output.left_s(reply) < DRY_S)

    def _whole(self, clauses: AsyncIterator[Clause]) -> AsyncIterator[Clause]:
        return one_clause(clauses) if self._settings.whole_replies else clauses

    def _let_go(self, reply: Reply) -> None:
        """A reply that nobody will hear (to its end) waits for no tool any more."""
        if self.tool_runs is not None and not reply.alive:
            self.tool_runs.let_go(reply.generation, heard=reply.state == "finished")

    def _make(
        self,
        clauses: AsyncIterator[Clause],
        *,
        turn: int | None = None,
        user_text: str = "",
        interruptible: bool = True,
        voice: TtsEngine | None = None,
        apology: str | None = None,
    ) -> Reply:
        self._generation += 1
        reply = Reply(
            self._context,
            self._generation,
            clauses,
            turn=turn,
            user_text=user_text,
            voice=voice or self._voice,
            mouth_reader=self._mouth_reader,
            apology=self._settings.phrases.apology if apology is None else apology,
            interruptible=interruptible,
        )
        self._watch(reply.task)
        return reply

    def _start(self, reply: Reply) -> None:
        reply.commit()
        self._journal.write(ReplyCommitted(reply=reply.generation, turn=reply.turn))
        self._output.start(reply)

    def _ended(self, heard: str) -> None:
        self._context.transport.notify("persona", heard)
        self._context.transport.reply_ended()
        self.read_ahead()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._watch(asyncio.create_task(work))

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._context.fail(fault)
