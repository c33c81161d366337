"""The conversation: joins ears, floor, replies and the playout for one session.

All of it runs on one event loop; engines work on threads of their own. State changes happen in
plain methods, between awaits, so no lock is needed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from cvi.audio.block import Pcm
from cvi.clock import Clock
from cvi.conversation.audio_input import AudioInput
from cvi.conversation.events import (
    ContextAppended,
    ContextReplaced,
    ConversationEnded,
    ConversationStarted,
    SensitivityChanged,
    TurnTyped,
)
from cvi.conversation.history import History
from cvi.conversation.journal import Journal
from cvi.conversation.passthrough import AudioPassthrough
from cvi.conversation.playout import AVPlayout, Render
from cvi.conversation.replies import Replies
from cvi.conversation.reply import Reply
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.conversation.turn_taking import Floor
from cvi.face.base import Cues
from cvi.face.behaviour import Behaviour
from cvi.transport.base import Transport
from cvi.turns.thresholds import Level, TurnThresholds
from cvi.turns.voice import VoiceChange, VoiceState


class Conversation:
    """One live session. Build it, `await run()`, read the journal.

    >>> conversation = Conversation(settings, layers, render, transport, journal, clock)
    >>> reason = await conversation.run()

    While it runs, `say`, `respond`, `interrupt`, the context's methods, `adjust` and `end` steer it
    from the event loop; each takes effect at once and leaves its mark in the journal.
    """

    def __init__(
        self,
        settings: ConversationSettings,
        layers: SpeechEngines,
        render: Render,
        transport: Transport,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._journal = journal
        self._clock = clock
        self.history = History(settings.system, settings.recent_turns, settings.prelude)
        self._ears = AudioInput(
            transport,
            layers.vad,
            VoiceState(settings.thresholds),
            on_change=self._on_voice,
            on_hop=self._on_hop,
            on_audio=lambda pcm: self._floor.on_audio(pcm),
        )
        self.playout = AVPlayout(
            transport, render, Behaviour(settings.seed), journal, clock, on_finished=self._on_reply_finished
        )
        self._replies = Replies(
            settings,
            layers,
            self.history,
            self.playout,
            transport,
            journal,
            on_change=self._set_activity,
            on_failure=self._fail,
        )
        self._given = AudioPassthrough(self._replies.play)
        self._floor = Floor(
            settings,
            layers,
            self._ears,
            self.history,
            self.playout,
            self._replies,
            transport,
            journal,
        )
        self._quiet_since_s = 0.0
        self._ending: asyncio.Future[str] | None = None

    # -- from start to end ------------------------------------------------------------------------

    async def run(self) -> str:
        """Hold the conversation until it ends; returns the reason. The clock starts at zero here."""
        self._ending = asyncio.get_running_loop().create_future()
        self._clock.restart()
        self._journal.write(
            ConversationStarted.of(self._settings.conversation_id, self._settings.facts)
        )
        tasks = [
            asyncio.create_task(self._listen(), name="ears"),
            asyncio.create_task(self.playout.run(), name="playout"),
        ]
        if self._settings.greeting:
            self._replies.say(self._settings.greeting, interruptible=self._settings.greeting_interruptible)
        elif self._settings.opening and not self._settings.echo:
            self._replies.open(self._settings.opening)
        else:
            self._transport.reply_ended()
        try:
            waited: list[asyncio.Future[Any]] = [*tasks, self._ending]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and (failure := task.exception()) is not None:
                    raise failure
            reason = self._ending.result() if self._ending.done() else "participant_left"
        except asyncio.CancelledError:
            reason = "cancelled"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.interrupt("conversation_ended")
            self._floor.drop()
            await self._replies.ended()
        self._journal.write(ConversationEnded(reason=reason, playout=self.playout.counts.figures()))
        return reason

    @property
    def heard_somebody(self) -> bool:
        """Whether a turn was begun at all."""
        return self._floor.turns > 0

    def end(self, reason: str) -> None:
        """End the conversation from outside: a key, a call, a signal."""
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(reason)

    def _fail(self, failure: BaseException) -> None:
        """Not an engine's failure but a fault of this program: end in the open."""
        if self._ending is not None and not self._ending.done():
            self._ending.set_exception(failure)

    async def _listen(self) -> None:
        await self._ears.run()
        self.end("participant_left")

    # -- steering from outside --------------------------------------------------------------------

    def interrupt(self, why: str = "asked") -> None:
        """Cut the reply that is being spoken, if any."""
        if self._replies.on_stage is not None:
            self._replies.cut(why)

    def say(self, text: str) -> int:
        """Speak exactly `text`; returns the reply's generation.

        A turn the participant is in the middle of is dropped, a reply being spoken is cut.
        """
        self._floor.drop()
        self.interrupt("replaced")
        return self._replies.say(text).generation

    def play(self, pcm: Pcm, rate_hz: int, utterance: str = "", *, done: bool = True) -> None:
        """Let sound be heard (int16 mono at `rate_hz`), the mouth moving to it.

        Sound of one `utterance` may come in pieces, the last one `done`; utterances are heard one after the
        other. The first takes the stage as `say` does. Raises UsageError for more than is kept waiting.
        """
        if self._given.begins(pcm, utterance):
            self._floor.drop()
            self.interrupt("replaced")
        self._given.play(pcm, rate_hz, utterance, done)

    def respond(self, text: str) -> int:
        """Answer `text` as if the participant had said it, now; returns the reply's generation."""
        self._floor.drop()
        self.interrupt("replaced")
        turn = self._floor.next_number()
        reply = self._replies.draft(turn, text)
        self._journal.write(TurnTyped(turn=turn, reply=reply.generation, text=text))
        self._transport.notify("user", text)
        self._replies.commit(reply)
        return reply.generation

    def replace_context(self, text: str) -> None:
        """Put `text` in the place of the system message, for the turns to come."""
        self.history.replace_context(text)
        self._journal.write(ContextReplaced(text=text))
        self._replies.read_ahead()

    def append_context(self, text: str) -> None:
        """Add `text` to the system message, for the turns to come."""
        self.history.append_context(text)
        self._journal.write(ContextAppended(text=text))
        self._replies.read_ahead()

    def adjust(self, patience: Level, interruptibility: Level) -> None:
        """Change how long a pause must be to pass the floor, and how easily the persona yields."""
        self._floor.thresholds = TurnThresholds().adapted(patience, interruptibility)
        self._journal.write(SensitivityChanged(patience=patience, interruptibility=interruptibility))

    # -- what the ears and the stage tell ---------------------------------------------------------

    def _on_voice(self, change: VoiceChange) -> None:
        self._floor.on_voice(change)
        self._set_activity()

    def _on_hop(self, now_s: float) -> None:
        speaking, turn = self._ears.speaking, self._floor.turn
        self.playout.cues = Cues(
            user_speaking=speaking,
            user_level=self._ears.level if speaking else 0.0,
            user_pause=turn is not None and not speaking,
        )
        if turn is None:
            self._consider_ending(now_s)
        else:
            self._quiet_since_s = now_s
            self._floor.on_hop(now_s)

    def _consider_ending(self, now_s: float) -> None:
        if self._replies.on_stage is not None:
            self._quiet_since_s = now_s
        elif self._transport.caller_over and now_s - self._quiet_since_s >= self._settings.tail_s:
            self.end("caller_over")
        if now_s >= self._settings.max_duration_s:
            self.end("max_call_duration")

    def _on_reply_finished(self, reply: Reply) -> None:
        self._floor.reply_finished()
        self._quiet_since_s = self._clock.now()
        self._replies.finished(reply)
        self._given.go_on()

    def _set_activity(self) -> None:
        if self._floor.turn is not None:
            self.playout.activity = "listening"
        elif self._replies.on_stage is not None:
            self.playout.activity = "thinking"  # until its first unit is spoken
        else:
            self.playout.activity = "idle"
        self._transport.notify("state", self.playout.activity)
