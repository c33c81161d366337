"""A reply is a cancel scope.

`Reply` owns its language-model stream, its voice stream and its timeline. While it is a draft its
gate is shut: the model writes, the first clause is synthesized, and nothing is heard. `commit`
opens the gate; `discard` and `interrupt` end everything under it. Its generation number marks every
media unit made from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal

from cvi.audio.block import PLAYED_HZ
from cvi.conversation.events import EngineFailed, ReplyFirstClause, ReplyFirstSpeech, ReplyWritten
from cvi.conversation.journal import Journal
from cvi.conversation.timeline import SpeechTimeline
from cvi.errors import EngineError
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import MouthNetwork
from cvi.llm.clauses import Clause
from cvi.tts.base import TtsEngine

State = Literal["draft", "committed", "discarded", "interrupted", "finished"]
# Clauses the model may write ahead of the voice.
CLAUSES_AHEAD = 3


async def fixed_text(*sentences: str) -> AsyncIterator[Clause]:
    """Clauses whose text is known beforehand: a greeting, an apology, an echo."""
    for sentence in sentences:
        yield Clause(sentence, ends_sentence=True)


class Reply:
    """Made on the event loop and used there alone.

    Invariants: `state` only moves draft -> committed -> finished | interrupted, or draft ->
    discarded; after it has left draft and committed, no task of the reply is running and its
    timeline never grows again.
    """

    def __init__(
        self,
        generation: int,
        turn: int | None,
        clauses: AsyncIterator[Clause],
        tts: TtsEngine,
        journal: Journal,
        *,
        apology: str,
        user_text: str = "",
        interruptible: bool = True,
        ear: MouthNetwork | None = None,
    ) -> None:
        """`turn` and `user_text` are what is answered, None and "" for a greeting.

        `apology` is spoken when the model fails. `ear` as in `SpeechEngines`.
        """
        self.generation = generation
        self.turn = turn
        self.user_text = user_text
        self.interruptible = interruptible
        self.state: State = "draft"
        self.timeline = SpeechTimeline()
        self.mouth = MouthDriver(ear)
        self._emotions: list[tuple[int, str | None]] = []
        self.failure: Exception | None = None
        self.on_first_speech: Callable[[], None] = lambda: None
        """Called when the first sound joins the timeline."""
        self._clauses = clauses
        self._tts = tts
        self._journal = journal
        self._apology = apology
        self._gate = asyncio.Event()
        self._first_spoken = asyncio.Event()
        self.task = asyncio.create_task(self._produce(), name=f"reply-{generation}")

    @property
    def alive(self) -> bool:
        return self.state in ("draft", "committed")

    def emotion_at(self, position: int) -> str | None:
        """What the face shows while sample `position` of the timeline is heard; None for nothing in
        particular."""
        return next((emotion for start, emotion in reversed(self._emotions) if start <= position), None)

    def commit(self) -> None:
        assert self.state == "draft", self.state
        self.state = "committed"
        self._gate.set()

    def finish(self) -> None:
        """Everything was heard."""
        assert self.state == "committed" and self.timeline.complete
        self.state = "finished"

    def discard(self) -> None:
        assert self.state == "draft", self.state
        self._end("discarded")

    def interrupt(self) -> None:
        assert self.state == "committed", self.state
        self._end("interrupted")

    def _end(self, state: State) -> None:
        self.state = state
        self.timeline.complete = True
        self.task.cancel()

    async def _produce(self) -> None:
        ahead: asyncio.Queue[Clause | None] = asyncio.Queue(CLAUSES_AHEAD)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(ahead))
                group.create_task(self._voice(ahead))
            if self.failure is None and not self.timeline.text and not self.timeline.length:
                self._fail(EngineError("The language model gave an empty reply."))
        except* EngineError as errors:
            self._fail(errors.exceptions[0])
        if self.failure is not None:
            await self._apologize()
        if self.alive:
            self.timeline.complete = True

    async def _write(self, ahead: asyncio.Queue[Clause | None]) -> None:
        """Language model -> clauses. What was written before a failure is still spoken."""
        first = True
        written: list[str] = []
        try:
            async for clause in self._clauses:
                await ahead.put(clause)
                written.append(clause.text.strip())
                if first:
                    self._journal.write(ReplyFirstClause(reply=self.generation, text=clause.text))
                    first = False
                    # On few cores the voice, which somebody waits for, would share one with the model.
                    await self._first_spoken.wait()
        except EngineError as error:
            self._fail(error)
        finally:
            await _close(self._clauses)
        if any(written):
            self._journal.write(ReplyWritten(reply=self.generation, text=" ".join(written)))
        await ahead.put(None)

    async def _voice(self, ahead: asyncio.Queue[Clause | None]) -> None:
        """Clauses -> speech. Behind a shut gate only the first clause is spoken."""
        after_sentence = False
        first = True
        while (clause := await ahead.get()) is not None:
            if not first:
                await self._gate.wait()
            if clause.emotion is not None:
                self._emotions.append((self.timeline.length, clause.emotion))
            self.timeline.begin_clause(clause.text, after_sentence)
            await self._speak(clause.text)
            self._first_spoken.set()
            first = False
            after_sentence = clause.ends_sentence

    async def _speak(self, text: str) -> None:
        pieces = self._tts.speak(text)
        try:
            async for speech in pieces:
                if not self.alive:
                    return
                first = self.timeline.length == 0
                position = self.timeline.append(speech)
                self.mouth.append(speech.phones, speech.pcm, position / PLAYED_HZ)
                if first:
                    self._journal.write(ReplyFirstSpeech(reply=self.generation))
                    self.on_first_speech()
        finally:
            await _close(pieces)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._journal.write(EngineFailed(reply=self.generation, message=str(error)))

    async def _apologize(self) -> None:
        """A spoken apology, so that the conversation goes on; if the voice itself is broken, silence."""
        await self._gate.wait()
        try:
            self.timeline.begin_clause(self._apology, after_sentence=True)
            await self._speak(self._apology)
        except EngineError as error:
            self._journal.write(EngineFailed(reply=self.generation, message=str(error)))


async def _close(stream: object) -> None:
    """Generators are closed where they were used, so that an abort reaches the engine at once."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
