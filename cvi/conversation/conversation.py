"""The conversation: joins one persona and one participant for one session, spoken or typed.

The way of sound, to be read from top to bottom: a block from the microphone (`Conversation._listen`)
-> voice changes (`AudioInput`) -> turns, drafts and commits (`Floor`) -> replies (`Replies`, `Reply`)
-> sound and frames (`AVPlayout`) -> a finished reply (`Conversation._play`). All of it runs on one
event loop, engines work on threads of their own. State changes happen in plain methods, between
awaits, so no lock is needed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from cvi.audio.block import AudioBlock, Pcm
from cvi.audio.echo import EchoCanceller
from cvi.clock import Clock
from cvi.conversation.audio_input import AudioHop, AudioInput
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import (
    ContextAppended,
    ContextReplaced,
    ConversationEnded,
    ConversationResumed,
    ConversationStarted,
    SensitivityChanged,
    SilenceBroken,
    TurnTyped,
)
from cvi.conversation.history import History
from cvi.conversation.idle_engagement import IdleEngagement
from cvi.conversation.journal import Journal
from cvi.conversation.passthrough import AudioPassthrough
from cvi.conversation.playout import AVPlayout, Render, ReplyOutput, TextOutput
from cvi.conversation.replies import Replies
from cvi.conversation.reply import Reply
from cvi.conversation.resumption import Past
from cvi.conversation.settings import ConversationSettings, SessionContext, SpeechEngines, TextEngines
from cvi.conversation.steering import ObserverSteering
from cvi.conversation.turn_taking import Floor
from cvi.errors import UsageError
from cvi.face.base import Cues
from cvi.transport.base import Transport
from cvi.turns.thresholds import Level, TurnThresholds

MAX_WAITING = 16
"""Typed turns that may wait to be answered."""


@dataclass(frozen=True, slots=True)
class _Speech:
    """The parts that only a spoken conversation has."""

    audio: AudioInput
    floor: Floor
    playout: AVPlayout
    passthrough: AudioPassthrough
    suppressor: EchoCanceller | None


class Conversation:
    """One live session. Build it, `await run()`, read the journal.

    >>> conversation = Conversation(settings, engines, render, transport, journal, clock)
    >>> reason = await conversation.run()

    With `SpeechEngines` it is spoken; with `TextEngines` it is typed: turns come by `respond` and are
    answered one after the other, clauses go to the transport's `notify`. While it runs, `say`, `play`,
    `respond`, `interrupt`, `replace_context`, `append_context`, `adjust` and `end` steer it from the
    event loop; each takes effect at once.
    """

    def __init__(
        self,
        settings: ConversationSettings,
        engines: SpeechEngines | TextEngines,
        render: Render | None,
        transport: Transport,
        journal: Journal,
        clock: Clock,
        capabilities: Capabilities | None = None,
        past: Past | None = None,
    ) -> None:
        """`render` draws the face; None for a typed conversation. Needs a running event loop.

        `past` is what the journal holds of a conversation that goes on.
        """
        self.history = History(settings.system, settings.recent_turns, settings.prelude)
        self.history.append_context(settings.context)
        capabilities = capabilities or Capabilities()
        self.history.append_context(capabilities.screened("memory", capabilities.background))
        ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        context = SessionContext(
            settings, engines, self.history, transport, journal, clock, ending, capabilities
        )
        self._context = context
        self._settings = settings
        self._journal = journal
        self._output: ReplyOutput
        self._speech: _Speech | None = None
        if isinstance(engines, SpeechEngines):
            assert render is not None, "a spoken conversation needs a renderer"
            playout = self._output = AVPlayout(context, render)
            self._replies = Replies(context, playout)
            audio = AudioInput(engines.vad, settings.thresholds, near=settings.voice_isolation)
            floor = Floor(context, engines, audio, playout, self._replies)
            suppressor = None
            if settings.noise_cancellation:
                suppressor = EchoCanceller(echo=False, noise_suppression=True)
            self._speech = _Speech(audio, floor, playout, AudioPassthrough(self._replies), suppressor)
        else:
            self._output = TextOutput(transport)
            self._replies = Replies(context, self._output)
        self._past = past
        if past is not None:
            past.tell(self.history)
            self._replies.go_on_from(past.turns, past.replies)
            if self._speech is not None and past.sensitivity is not None:
                self._speech.floor.thresholds = TurnThresholds().adapted(*past.sensitivity)
        self._steering = ObserverSteering(context, self._replies)
        self._typed: deque[str] = deque()
        self._answered = asyncio.Event()
        self._over = False
        self._idle = IdleEngagement(settings.idle_engagement)
        self._quiet_since_s = 0.0

    # -- from start to end ------------------------------------------------------------------------

    async def run(self) -> str:
        """Hold the conversation until it ends; returns the reason. The clock starts here, at zero unless it
        goes on.

        Raises what a fault of this program raised, and EngineError when a typed conversation's model
        cannot be warmed.
        """
        past = self._past
        if past is None:
            self._context.clock.restart()
            self._journal.write(ConversationStarted.of(self._settings.conversation_id, self._settings.facts))
        else:
            self._context.clock.restart(past.resumed_at_s)
            lost_s = max(past.resumed_at_s - past.events[-1].t, 0.0)
            self._journal.write(ConversationResumed(lost_s=round(lost_s, 3)))
        perceiver = self._context.capabilities.perceiver
        if perceiver is not None:
            perceiver.begin(
                self._context.clock, self._context.transport, self._journal, self._context.engines.llm
            )
        if self._speech is not None:
            work = [self._listen(self._speech), self._speech.playout.render_ahead(), self._play()]
        else:
            work = [self._play()]
            self._replies.warm()
        tasks = [asyncio.create_task(part) for part in work]
        waited: list[asyncio.Future[Any]] = [*tasks, self._context.ending]
        self._replies.warm_tools()
        self._steering.begin()
        for disclosure in self._settings.disclosures:
            self._journal.write(disclosure)
        self._greet()
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and (fault := task.exception()) is not None:
                    raise fault
            reason = self._context.ending.result()
        except asyncio.CancelledError:
            reason = "cancelled"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._typed.clear()
            self.interrupt("conversation_ended")
            self._drop_turn()
            self._over = True
            self._answered.set()
            await self._replies.wait_for_tasks()
            if self._replies.tool_runs is not None:
                await self._replies.tool_runs.close()
            if perceiver is not None:
                await perceiver.close()
            await self._steering.close()
        playout = self._speech.playout.counts.figures() if self._speech is not None else None
        self._journal.write(ConversationEnded(reason=reason, playout=playout))
        return reason

    @property
    def floor(self) -> Floor | None:
        """Who has the right to speak; None for a typed conversation."""
        return self._speech.floor if self._speech is not None else None

    @property
    def playout(self) -> AVPlayout | None:
        """Where sound and picture are presented; None for a typed conversation."""
        return self._speech.playout if self._speech is not None else None

    @property
    def had_a_turn(self) -> bool:
        """Whether the participant began a turn at all."""
        return self._replies.turns > 0

    def end(self, reason: str) -> None:
        """End the conversation from outside, for the first reason given: a key, a call, a signal."""
        self._context.end(reason)

    def _greet(self) -> None:
        settings = self._settings
        if self._past is not None and self._past.greeted:
            self._go_on()
        elif settings.wake_phrase and self._speech is not None:
            self._context.transport.reply_ended()  # silent until it is woken
        elif settings.greeting:
            self._replies.say(settings.greeting, interruptible=settings.greeting_interruptible)
        elif settings.opening and not settings.echo:
            self._replies.open(settings.opening)
        else:
            self._context.transport.reply_ended()
            self._answered.set()

    def _go_on(self) -> None:
        """Answer what was still unanswered when the process before was lost."""
        text = self.history.unanswered
        if text and not self._settings.echo:
            self.history.take_back_user()
            self._replies.commit(self._replies.draft(self._replies.turns, text))
        else:
            self._replies.read_ahead()
            self._context.transport.reply_ended()
            self._answered.set()

    async def _listen(self, speech: _Speech) -> None:
        """From the microphone's blocks to turns, until the participant has left."""
        perceiver = self._context.capabilities.perceiver
        async for heard in self._context.transport.microphone():
            block = heard if speech.suppressor is None else _cleaned(heard, speech.suppressor)
            speech.floor.hear(block.pcm)
            if perceiver is not None:
                perceiver.hear(block)
            for hop in speech.audio.push(block):
                self._on_hop(speech, hop)
        self.end("participant_left")

    def _on_hop(self, speech: _Speech, hop: AudioHop) -> None:
        floor = speech.floor
        if hop.change is not None:
            floor.on_change(hop.change)
        seen = self._context.capabilities.reactions
        speech.playout.cues = Cues(
            user_speaking=hop.speaking,
            user_level=hop.level if hop.speaking else 0.0,
            user_pause=floor.turn is not None and not hop.speaking,
            user_smile=seen.smile,
            user_concern=seen.concern,
            user_nod=seen.nods,
        )
        if floor.turn is not None:
            self._quiet_since_s = hop.end_s
            self._idle.heard()
            floor.on_hop(hop)
        else:
            self._consider_ending(hop.end_s)

    def _consider_ending(self, now_s: float) -> None:
        if self._replies.current is not None:
            self._quiet_since_s = now_s
        elif self._context.transport.caller_over and now_s - self._quiet_since_s >= self._settings.tail_s:
            self.end("caller_over")
        else:
            self._break_silence(now_s - self._quiet_since_s)
        if now_s >= self._settings.max_duration_s:
            self.end("max_call_duration")

    def _break_silence(self, silence_s: float) -> None:
        assert self._speech is not None
        if not self._speech.floor.attention.awake or self._context.transport.caller_over:
            return
        if (request := self._idle.due(silence_s)) is not None:
            reply = self._replies.open(request)
            self._journal.write(SilenceBroken(reply=reply.generation, silence_s=round(silence_s, 1)))

    async def _play(self) -> None:
        """Let replies be heard or shown, one after the other, until cancelled."""
        while True:
            self._finish(await self._output.next_finished())

    def _finish(self, reply: Reply) -> None:
        self._quiet_since_s = self._context.clock.now()
        if self._speech is not None:
            self._speech.floor.reply_finished()
        self._replies.finished(reply)
        if self._speech is not None:
            self._speech.passthrough.start_next()
        else:
            self._answer_next()

    # -- steering from outside --------------------------------------------------------------------

    def interrupt(self, why: str = "asked") -> None:
        """Cut the reply that is being heard, if any."""
        if self._replies.current is not None:
            self._replies.cut(why)
            self._answer_next()

    def say(self, text: str) -> int:
        """Speak exactly `text`; returns the reply's generation.

        A turn the participant is in the middle of is dropped, a reply being spoken is cut. Raises
        UsageError for a typed conversation.
        """
        self._need_speech()
        self._make_way()
        return self._replies.say(text).generation

    def play(self, pcm: Pcm, rate_hz: int, utterance: str = "", *, done: bool = True) -> None:
        """Let sound be heard (int16 mono at `rate_hz`), the mouth moving to it.

        Sound of one `utterance` may come in pieces, the last one `done`; utterances are heard one after the
        other. The first makes way for itself as `say` does. Raises UsageError for more than may wait, and
        for a typed conversation.
        """
        passthrough = self._need_speech().passthrough
        if passthrough.would_start(pcm, utterance):
            self._make_way()
        passthrough.play(pcm, rate_hz, utterance, done)

    def respond(self, text: str) -> None:
        """Answer `text` as if the participant had said it.

        A spoken conversation answers now; a typed one when the turns before are answered, and not after its
        end. Raises UsageError for more than MAX_WAITING typed turns.
        """
        if self._speech is not None:
            self._make_way()
            self._answer(text)
            return
        if self._over:
            return
        if len(self._typed) >= MAX_WAITING:
            raise UsageError(f"{MAX_WAITING} turns wait to be answered.", "Wait for the replies.")
        self._typed.append(text)
        self._answered.clear()
        if self._replies.current is None:
            self._answer_next()

    async def answered(self) -> bool:
        """Wait until the greeting and all typed turns are answered; False when the conversation has ended."""
        await self._answered.wait()
        return not self._over

    def replace_context(self, text: str) -> None:
        """Put `text` in the place of the conversation's context, for the turns to come; the persona stays."""
        self.history.replace_context(text)
        self._journal.write(ContextReplaced(text=text))
        self._replies.read_ahead()

    def append_context(self, text: str) -> None:
        """Add `text` to what the model knows, for the turns to come; what it has read stays read."""
        self.history.append_context(text)
        self._journal.write(ContextAppended(text=text))
        self._replies.read_ahead()

    def tool_result(self, call_id: str, output: object, ok: bool = True) -> None:
        """A tool that runs at the client has answered. Raises UsageError where no such call waits."""
        if self._replies.tool_runs is None:
            raise UsageError("No tool call waits for a result.")
        self._replies.tool_runs.answer(call_id, output, ok)

    def adjust(self, patience: Level, interruptibility: Level) -> None:
        """Change how long a pause must be to end a turn, and how easily the persona yields.

        A typed conversation has no pauses: nothing changes.
        """
        if self._speech is None:
            return
        now = TurnThresholds().adapted(patience, interruptibility)
        self._speech.floor.thresholds = replace(now, commit_at=self._settings.thresholds.commit_at)
        self._journal.write(SensitivityChanged(patience=patience, interruptibility=interruptibility))

    def _need_speech(self) -> _Speech:
        if self._speech is None:
            raise UsageError("A typed conversation has no voice to echo with.", "Use `conversation.respond`.")
        return self._speech

    def _make_way(self) -> None:
        """Drop the participant's turn and cut the reply, for what an application wants heard."""
        self._drop_turn()
        self.interrupt("replaced")

    def _drop_turn(self) -> None:
        if self._speech is not None:
            self._speech.floor.drop()

    def _answer(self, text: str) -> None:
        turn = self._replies.next_turn()
        reply = self._replies.draft(turn, text)
        self._journal.write(TurnTyped(turn=turn, reply=reply.generation, text=text))
        self._context.transport.notify("user", text)
        self._replies.commit(reply)

    def _answer_next(self) -> None:
        """In a typed conversation, answer the turn that has waited longest."""
        if self._typed:
            self._answer(self._typed.popleft())
        else:
            self._answered.set()


def _cleaned(block: AudioBlock, suppressor: EchoCanceller) -> AudioBlock:
    """The block with less of its steady noise."""
    return AudioBlock(suppressor.clean(block.pcm), block.start_s)
