"""A reply is a cancel scope: from the language model's text to speech on a timeline.

`Reply` owns its language-model stream, its voice stream and its timeline. While it is a draft its
gate is shut: the model writes, the first clause is synthesized, and nothing is heard. `commit`
opens the gate; `discard` and `interrupt` end everything under it. Its generation number marks every
media unit made from it.
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.conversation.events import (
    EngineFailed,
    ReplyBridged,
    ReplyFirstClause,
    ReplyFirstSpeech,
    ReplyFirstToken,
    ReplyWritten,
)
from cvi.conversation.openers import GOES_ON_AFTER_S, Opener
from cvi.conversation.settings import ConversationSettings, SessionContext
from cvi.errors import EngineError
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import MouthReader
from cvi.llm.base import Message
from cvi.llm.clauses import Clause, ClauseSplitter, joined_clauses
from cvi.llm.sentence_ends import STOPS
from cvi.tts.base import SEAM_S, PhraseVoice, Speech, TtsEngine

_SENTENCE = re.compile(rf"[{re.escape(STOPS)}]+\s+|[。！？]+")
State = Literal["draft", "committed", "discarded", "interrupted", "finished"]
# Clauses the model may write ahead of the voice.
CLAUSES_AHEAD = 3
SENTENCE_GAP_S = 0.22
CLAUSE_GAP_S = 0.07
# A word counts as heard once this share of it has been.
HEARD_SHARE = 0.6
# Of 32768; what stays below is silence.
AUDIBLE = 64


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    speech: Speech
    clause: int
    audible: bool


class SpeechTimeline:
    """One reply's speech as it grows: sound, phones and words on one time axis. Append-only.

    Positions and lengths are samples at PLAYED_HZ; position 0 is the reply's first sample. The timeline
    says what is heard at a position; the playout decides when.
    """

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._starts: list[int] = []
        self.clauses: list[str] = []
        """The text of each clause handed to the voice so far."""
        self.length = 0
        self.complete = False
        """Nothing more comes."""
        self.preface = 0
        """Where sound ends that is no part of the reply's text and that its text is waited for after."""
        self._goes_on = False

    def begin_clause(self, text: str, after_sentence: bool, goes_on: bool = False) -> None:
        """A new clause follows; a short silence parts it from the one before.

        One that `goes_on` is the beginning of a clause, in one piece of sound: its last SEAM_S are heard
        together with the first ones of the next, which follows without a silence.
        """
        joined, self._goes_on = self._goes_on, goes_on
        if self.clauses and (after_sentence or not joined):
            begins_text = 0 < self.length == self.preface
            self.length += round((SENTENCE_GAP_S if after_sentence else CLAUSE_GAP_S) * PLAYED_HZ)
            if begins_text:
                self.preface = self.length
        self.clauses.append(text)

    def withdraw_clause(self) -> tuple[str, bool] | None:
        """Take back a clause that has begun and has no sound yet: its text, and whether it goes on."""
        if self.length or not self.clauses:
            return None
        goes_on, self._goes_on = self._goes_on, False
        return self.clauses.pop(), goes_on

    def append(self, speech: Speech) -> int:
        """Add sound to the current clause; returns the position of its first sample."""
        start = self.length
        audible = bool((np.abs(speech.pcm.astype(np.int32)) > AUDIBLE).any())
        self._pieces.append(_Piece(start, speech, len(self.clauses) - 1, audible))
        self._starts.append(start)
        seam = round(SEAM_S * PLAYED_HZ) if self._goes_on else 0
        self.length += max(len(speech.pcm) - seam, 0)
        return start

    def read(self, start: int, count: int) -> Pcm:
        """`count` samples from `start`; silence where there is no sound (yet)."""
        out = np.zeros(count, np.int32)
        # The piece before may reach into this one, by a seam.
        index = max(bisect_right(self._starts, start) - 2, 0)
        for piece in self._pieces[index:]:
            if piece.start >= start + count:
                break
            begin = max(start, piece.start)
            end = min(start + count, piece.start + len(piece.speech.pcm))
            if begin < end:
                out[begin - start : end - start] += piece.speech.pcm[begin - piece.start : end - piece.start]
        return np.clip(out, -32768, 32767).astype(np.int16)

    @property
    def text(self) -> str:
        """Everything that was handed to the voice so far."""
        return joined_clauses(self.clauses)

    @property
    def silent_clauses(self) -> list[str]:
        """The clauses that have words but no sound so far."""
        audible = {piece.clause for piece in self._pieces if piece.audible}
        return [text for number, text in enumerate(self.clauses) if text.strip() and number not in audible]

    @property
    def text_with_sound(self) -> str:
        """The clauses that can be heard."""
        audible = {piece.clause for piece in self._pieces if piece.audible}
        return joined_clauses(text for number, text in enumerate(self.clauses) if number in audible)

    def text_heard(self, position: int) -> str:
        """The text up to the last word of which enough lies before `position`; silence does not count."""
        ends = [0] * len(self.clauses)
        for piece in self._pieces:
            if not piece.audible:
                continue
            words = piece.speech.words
            if not words and position >= piece.start + len(piece.speech.pcm) * HEARD_SHARE:
                ends[piece.clause] = len(self.clauses[piece.clause])
            for word in words:
                middle_s = word.start_s + HEARD_SHARE * (word.end_s - word.start_s)
                if piece.start + middle_s * PLAYED_HZ <= position:
                    ends[piece.clause] = max(ends[piece.clause], word.text_end)
        clauses = zip(self.clauses, ends, strict=True)
        return joined_clauses(_with_punctuation(clause, end) for clause, end in clauses if end)


def _with_punctuation(text: str, end: int) -> str:
    while end < len(text) and not text[end].isalnum() and not text[end].isspace():
        end += 1
    return text[:end]


async def fixed_clauses(*sentences: str) -> AsyncIterator[Clause]:
    """Sentences that are known beforehand as clauses: a greeting, an apology, an echo."""
    for sentence in sentences:
        yield Clause(sentence, ends_sentence=True)


async def clauses_of(text: str, splitter: ClauseSplitter) -> AsyncIterator[Clause]:
    """A given text, cut and cleaned for speech as a model's is."""
    for clause in [*splitter.push(text), *splitter.finish()]:
        yield clause


@dataclass(frozen=True, slots=True)
class Pace:
    """How a voice that speaks parts of clauses is given its words: `first_words` as its `first_words`;
    `runs_dry` whether so little of its sound is left that it needs the next words now."""

    first_words: int
    runs_dry: Callable[[], bool]


def reply_splitter(settings: ConversationSettings, pace: Pace | None) -> ClauseSplitter:
    """What cuts a reply into clauses; with a `pace` the first one comes in phrases, and so does what the
    voice would wait for."""
    names = filter(None, [settings.persona_name])
    if pace is None:
        return ClauseSplitter(settings.max_sentences, names=names, language=settings.language)
    return ClauseSplitter(
        settings.max_sentences,
        names=names,
        language=settings.language,
        phrase_words=pace.first_words,
        runs_dry=pace.runs_dry,
    )


async def model_clauses(
    context: SessionContext, reply: int, messages: Sequence[Message], pace: Pace | None = None
) -> AsyncIterator[Clause]:
    """The model's answer to `messages`, each clause as soon as it can be spoken.

    Closing the iterator aborts the model. Raises EngineError when the model fails, also in the middle.
    """
    settings = context.settings
    splitter = reply_splitter(settings, pace)
    stream = context.engines.llm.stream(messages, settings.sampling)
    first = True
    try:
        async for piece in stream:
            if first:
                context.journal.write(ReplyFirstToken(reply=reply))
                first = False
            for clause in splitter.push(piece):
                yield clause
            if splitter.done:
                return
        for clause in splitter.finish():
            yield clause
    finally:
        await close_stream(stream)


async def one_clause(clauses: AsyncIterator[Clause]) -> AsyncIterator[Clause]:
    """All clauses as one, once the last is written."""
    written: list[Clause] = []
    async for clause in clauses:
        written = [] if clause.restarts else [*written, clause]
    if written:
        emotion = next((clause.emotion for clause in written if clause.emotion), None)
        yield Clause(joined_clauses(clause.text for clause in written), ends_sentence=True, emotion=emotion)


class Reply:
    """Made on the event loop and used there alone.

    Invariants: `state` only moves draft -> committed -> finished | interrupted, or draft ->
    discarded; after it has left draft and committed, no task of the reply is running and its
    timeline never grows again.
    """

    def __init__(
        self,
        context: SessionContext,
        generation: int,
        clauses: AsyncIterator[Clause],
        *,
        turn: int | None = None,
        user_text: str = "",
        voice: TtsEngine | None,
        mouth_reader: MouthReader | None = None,
        apology: str,
        interruptible: bool = True,
    ) -> None:
        """`turn` and `user_text` are what is answered, None and "" for a greeting.

        `voice` None makes a reply of text alone. `apology` is spoken when the model fails, and words
        over a reply that is not `interruptible` do not end it. `mouth_reader` as in `SpeechEngines`.
        """
        self.generation = generation
        self.turn = turn
        self.user_text = user_text
        self.interruptible = interruptible
        self.state: State = "draft"
        self.timeline = SpeechTimeline()
        self.mouth = MouthDriver(mouth_reader)
        self.failure: Exception | None = None
        self.on_first_speech: Callable[[], None] = lambda: None
        """Called when the first sound joins the timeline."""
        self._journal = context.journal
        self._clauses = clauses
        self._tts = voice
        self._mouth_reader = mouth_reader
        self._apology = apology
        self._emotions: list[tuple[int, str | None]] = []
        self._written: list[str] = []
        self._bridge = context.settings.phrases.bridge
        self._bridge_after_s = context.settings.bridge_after_s
        self._began_s = context.clock.now()
        self._clock = context.clock
        self._follow_up: Opener | None = None
        self._own_speech = False
        self.first_wait_s: float | None = None
        """How long the first sound of its own words took from its start, seconds; None as long as there is
        none."""
        self.calls_tools = False
        """Its words waited for more than the model."""
        self.ends_conversation = ""
        """The conversation ends once the reply was heard to its end: for this reason, "" if it goes on."""
        self._restarts = 0
        self._prepared = False  # a clause waits behind the gate
        self._awaits_commit = False
        self._gate = asyncio.Event()
        self._first_written = asyncio.Event()
        self._first_spoken = asyncio.Event()
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._produce(), name=f"reply-{generation}")

    @property
    def alive(self) -> bool:
        """Whether it is a draft or being spoken."""
        return self.state in ("draft", "committed")

    @property
    def spoken_text(self) -> str:
        """The text whose sound was made; without a voice all of it."""
        return self.timeline.text if self._tts is None else self.timeline.text_with_sound

    def left_after(self, heard: str) -> str:
        """What was written and not heard, from the start of the sentence that `heard` ends in, or ""."""
        written = joined_clauses(self._written)
        if len(heard) >= len(written):
            return ""
        starts = [match.end() for match in _SENTENCE.finditer(written, 0, len(heard) + 1)]
        return written[max(starts, default=0) :]

    def emotion_at(self, position: int) -> str | None:
        """The emotion that the face shows at sample `position`; None for no particular one."""
        return next((emotion for start, emotion in reversed(self._emotions) if start <= position), None)

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return self._clock.now() - self._began_s

    def open_with(self, opener: Opener, follow_up: Opener | None = None) -> None:
        """Let a draft without sound begin with `opener`, which is no part of its text, and with `follow_up`
        as well where its own words are late."""
        assert self.state == "draft" and not self.timeline.length
        begun = self.timeline.withdraw_clause()
        self._begin_clause("", after_sentence=False)
        self._fill(opener)
        if begun is not None:  # its sound is being made
            text, goes_on = begun
            self._begin_clause(text, after_sentence=False, goes_on=goes_on)
        self._follow_up = follow_up

    def _fill(self, opener: Opener) -> None:
        self._append(opener.speech)
        # A unit of silence more, so that the last of the sound fills one.
        self._append(Speech(np.zeros(PLAYED_HZ // 25, np.int16)))
        self.timeline.preface = self.timeline.length

    def commit(self) -> None:
        """Open the gate: what is made of the draft may be heard."""
        assert self.state == "draft", self.state
        self.state = "committed"
        self._gate.set()

    async def committed(self) -> None:
        """Return once the reply may be heard: what it does besides may be done now."""
        self._awaits_commit = True
        await self._gate.wait()

    @property
    def ready(self) -> bool:
        """Whether committing it would change anything now: there is sound, or something waits for that."""
        return self.timeline.length > 0 or self._awaits_commit or self.failure is not None

    def keep_silent(self) -> None:
        """Say nothing of its own accord where its first clause is long in coming."""
        self._bridge, self._follow_up = "", None

    def finish(self) -> None:
        """Note that everything was heard."""
        assert self.state == "committed" and self.timeline.complete
        self.state = "finished"

    def discard(self) -> None:
        """End a draft that nobody will hear."""
        assert self.state == "draft", self.state
        self._end("discarded")

    def interrupt(self) -> None:
        """End a committed reply in the middle."""
        assert self.state == "committed", self.state
        self._end("interrupted")

    async def texts(self) -> AsyncIterator[str]:
        """Each clause as it is written; ends when the reply is complete or ended."""
        shown = 0
        while self.alive:
            clauses = self.timeline.clauses
            if shown < len(clauses):
                shown += 1
                yield clauses[shown - 1]
            elif self.timeline.complete:
                return
            else:
                self._changed.clear()
                await self._changed.wait()

    def _end(self, state: State) -> None:
        self.state = state
        self._complete()
        self.task.cancel()

    def _complete(self) -> None:
        self.timeline.complete = True
        self._changed.set()

    def _begin_clause(self, text: str, after_sentence: bool, goes_on: bool = False) -> None:
        self.timeline.begin_clause(text, after_sentence, goes_on)
        self._changed.set()

    async def _produce(self) -> None:
        ahead: asyncio.Queue[Clause | None] = asyncio.Queue(CLAUSES_AHEAD)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(ahead))
                group.create_task(self._voice(ahead))
            self._check_heard()
        except* EngineError as errors:
            self._fail(errors.exceptions[0])
        if self.failure is not None:
            await self._apologize()
        if self.alive:
            self._complete()

    def _check_heard(self) -> None:
        """A reply of which nothing can be heard has failed; one with a silent clause is written down."""
        if self.failure is not None:
            return
        if not self.timeline.text and self.timeline.length == self.timeline.preface:
            self._fail(EngineError("The language model gave an empty reply."))
        elif self._tts is not None and (silent := self.timeline.silent_clauses):
            error = EngineError(f"The voice made no sound for '{silent[0][:60]}'.", "Try another voice.")
            if self.timeline.text_with_sound:
                self._journal.write(EngineFailed(reply=self.generation, message=str(error)))
            else:
                self._fail(error)

    async def _write(self, ahead: asyncio.Queue[Clause | None]) -> None:
        """Language model -> clauses. What was written before a failure is still spoken."""
        first = True
        try:
            async for clause in self._clauses:
                if clause.restarts:
                    self._restart(ahead)
                    continue
                self._first_written.set()
                await ahead.put(clause)
                self._written.append(clause.text.strip())
                if first:
                    self._journal.write(ReplyFirstClause(reply=self.generation, text=clause.text))
                    first = False
                    # On few cores the voice, which somebody waits for, would share one with the model.
                    await self._first_spoken.wait()
        except EngineError as error:
            self._fail(error)
        finally:
            await close_stream(self._clauses)
            self._first_written.set()
        if any(self._written):
            self._journal.write(ReplyWritten(reply=self.generation, text=joined_clauses(self._written)))
        await ahead.put(None)

    def _restart(self, ahead: asyncio.Queue[Clause | None]) -> None:
        """What was written so far was reasoning: forget what nobody has heard of it."""
        while not ahead.empty():
            ahead.get_nowait()
        self._written.clear()
        self._restarts += 1
        if self.state == "draft":
            self.timeline, self.mouth = SpeechTimeline(), MouthDriver(self._mouth_reader)
            self._emotions.clear()
            self._prepared = False

    async def _voice(self, ahead: asyncio.Queue[Clause | None]) -> None:
        """Clauses -> speech. Behind a shut gate only the first clause is spoken."""
        after_sentence = False
        before = ""
        await self._bridge_silence()
        while (clause := await _next_clause(ahead)) is not None:
            restarts = self._restarts
            if self._prepared:
                await self._gate.wait()
            if restarts != self._restarts:
                before = ""
                continue
            if clause.emotion is not None:
                self._emotions.append((self.timeline.length, clause.emotion))
            self._begin_clause(clause.text, after_sentence, clause.goes_on)
            await self._speak(clause, before)
            before = f"{before} {clause.text}".strip() if clause.goes_on else ""
            self._first_spoken.set()
            self._prepared = not clause.goes_on
            after_sentence = clause.ends_sentence or clause.text.endswith(tuple(STOPS))

    async def _bridge_silence(self) -> None:
        """Wait for the first clause. Where somebody waits long for it, something is said meanwhile."""
        if self._tts is None or self.turn is None:
            return
        written = asyncio.create_task(self._first_written.wait())
        committed = asyncio.create_task(self._gate.wait())
        try:
            await asyncio.wait({committed, written}, return_when=asyncio.FIRST_COMPLETED)
            began_s = self._clock.now()
            if self._follow_up is not None:
                opener_s = self.timeline.length / PLAYED_HZ
                if not await _done_within(written, opener_s + GOES_ON_AFTER_S):
                    self._journal.write(ReplyBridged(reply=self.generation, text=self._follow_up.text))
                    self._fill(self._follow_up)
                    self.on_first_speech()
            left_s = began_s + self._bridge_after_s - self._clock.now()
            if self._bridge and not await _done_within(written, left_s) and self._bridge:
                self._journal.write(ReplyBridged(reply=self.generation, text=self._bridge))
                self._begin_clause("", after_sentence=False)
                await self._speak(Clause(self._bridge, ends_sentence=True), own=False)
                self.timeline.preface = self.timeline.length
        finally:
            written.cancel()
            committed.cancel()

    async def _speak(self, clause: Clause, before: str = "", own: bool = True) -> None:
        if self._tts is None:
            return
        if isinstance(self._tts, PhraseVoice) and (before or clause.goes_on):
            pieces = self._tts.speak_part(clause.text, before, clause.following)
        else:
            pieces = self._tts.speak(clause.text)
        try:
            async for speech in pieces:
                if not self.alive:
                    return
                first = self.timeline.length == 0 or (own and not self._own_speech)
                self._append(speech)
                if own and self.first_wait_s is None:
                    self.first_wait_s = self.age_s
                if first:
                    self._own_speech = own
                    self._journal.write(ReplyFirstSpeech(reply=self.generation))
                    self.on_first_speech()
        finally:
            await close_stream(pieces)

    def _append(self, speech: Speech) -> None:
        position = self.timeline.append(speech)
        self.mouth.append(speech.phones, speech.pcm, position / PLAYED_HZ)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._journal.write(EngineFailed(reply=self.generation, message=str(error)))

    async def _apologize(self) -> None:
        """A spoken apology, so that the conversation goes on; if the voice itself is broken, silence."""
        await self._gate.wait()
        try:
            self._begin_clause(self._apology, after_sentence=True)
            await self._speak(Clause(self._apology, ends_sentence=True))
        except EngineError as error:
            self._journal.write(EngineFailed(reply=self.generation, message=str(error)))


async def _done_within(task: asyncio.Task[Any], timeout_s: float) -> bool:
    done, _ = await asyncio.wait({task}, timeout=max(timeout_s, 0.0))
    return bool(done)


async def _next_clause(ahead: asyncio.Queue[Clause | None]) -> Clause | None:
    """The next clause; where it is the beginning of one, with as much of the rest as is written already."""
    clause = await ahead.get()
    while clause is not None and clause.goes_on and not ahead.empty():
        rest = ahead.get_nowait()
        if rest is None:
            ahead.put_nowait(rest)
            return replace(clause, goes_on=False)
        clause = replace(rest, text=f"{clause.text} {rest.text}", emotion=clause.emotion or rest.emotion)
    return clause


async def close_stream(stream: object) -> None:
    """Close a stream of clauses or of text.

    Generators are closed where they were used, so that an abort reaches the engine at once.
    """
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
