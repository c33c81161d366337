"""Whose floor it is: from voice and pauses to drafts, committed turns and yielded replies."""

from __future__ import annotations

import asyncio

from cvi.audio.block import Pcm
from cvi.conversation.audio_input import AudioInput
from cvi.conversation.events import (
    Backchannel,
    BargeIn,
    DraftDiscarded,
    DraftStarted,
    EngineFailed,
    JudgeLate,
    ReplyDucked,
    TranscriptFinal,
    TranscriptPartial,
    TurnCommitted,
    TurnEmpty,
    TurnReopened,
    TurnScored,
    UserPaused,
    UserResumed,
    UserStartedSpeaking,
)
from cvi.conversation.history import History
from cvi.conversation.journal import Journal
from cvi.conversation.playout import AVPlayout
from cvi.conversation.replies import Replies
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.conversation.turn import UserTurn
from cvi.errors import EngineError
from cvi.llm.text_completeness import text_completeness
from cvi.transport.base import Transport
from cvi.turns.barge_in import Verdict, judge, judge_ended
from cvi.turns.completeness import blend
from cvi.turns.voice import VoiceChange

# A voice this long without a recognized word deserves an answer; a shorter one was a noise.
UNHEARD_VOICE_S = 1.2


class Floor:
    """Follows the participant's turns and hands committed ones to `replies`. Event loop only.

    `thresholds` may be replaced at any time.
    """

    def __init__(
        self,
        settings: ConversationSettings,
        layers: SpeechEngines,
        ears: AudioInput,
        history: History,
        playout: AVPlayout,
        replies: Replies,
        transport: Transport,
        journal: Journal,
    ) -> None:
        self.thresholds = settings.thresholds
        self._settings = settings
        self._layers = layers
        self._ears = ears
        self._history = history
        self._playout = playout
        self._replies = replies
        self._transport = transport
        self._journal = journal
        self.turn: UserTurn | None = None
        """The turn under way, also while it pauses."""
        self.turns = 0
        """How many turns were begun."""

    # -- what the ears tell -----------------------------------------------------------------------

    def on_audio(self, pcm: Pcm) -> None:
        if self.turn is not None:
            self.turn.hear(pcm)

    def on_voice(self, change: VoiceChange) -> None:
        if change.kind == "paused":
            self._paused(change)
        elif self.turn is None:
            self._started(change)
        else:
            self._resumed(self.turn, change)

    def on_hop(self, now_s: float) -> None:
        """Every 32 ms: the decisions that only time makes."""
        turn = self.turn
        if turn is None:
            return
        if self._ears.speaking:
            self._while_speaking(turn, now_s)
        else:
            self._while_pausing(turn, now_s)

    def reply_finished(self) -> None:
        """The reply on stage came to its end: what overlapped it is a turn of its own now."""
        if self.turn is not None:
            self.turn.overlap = False

    def next_number(self) -> int:
        """The number of a turn that is not spoken."""
        self.turns += 1
        return self.turns

    def drop(self) -> None:
        """Forget the turn under way, and its draft."""
        if self.turn is not None:
            self.turn.discard_draft()
            self._drop_turn()

    def _started(self, change: VoiceChange) -> None:
        prefix = self._take_back_unheard()
        overlap = self._replies.on_stage is not None
        model = self._layers.turns
        turn = UserTurn(
            self.next_number(),
            self._layers.stt.open(),
            change.at_s,
            overlap=overlap,
            prefix=prefix,
            keep_s=model.window_s if model is not None else 0.0,
        )
        turn.hear(self._ears.preroll())
        self.turn = turn
        self._journal.write(
            UserStartedSpeaking(turn=turn.number, at_s=round(change.at_s, 4), overlap=overlap)
        )
        self._transport.notify("state", "listening")

    def _resumed(self, turn: UserTurn, change: VoiceChange) -> None:
        turn.stop_judging()
        if (draft := turn.discard_draft()) is not None:
            self._journal.write(DraftDiscarded(reply=draft.generation, reason="resumed"))
        turn.voice_started_s = change.at_s
        self._journal.write(UserResumed(turn=turn.number, at_s=round(change.at_s, 4)))

    def _take_back_unheard(self) -> str:
        """The participant went on before a word of the answer was heard: it was no end of turn."""
        reply = self._replies.on_stage
        if reply is None or reply.turn is None or self._playout.heard_text():
            return ""
        self._replies.cut("resumed")
        self._history.take_back_user()
        self._journal.write(TurnReopened(turn=reply.turn))
        return reply.user_text

    def _paused(self, change: VoiceChange) -> None:
        turn = self.turn
        if turn is None:
            return
        turn.voiced_s += max(change.at_s - turn.voice_started_s, 0.0)
        turn.paused_s = change.at_s
        turn.speech_end_s = self._ears.speech_end_s(change.known_s)
        self._journal.write(UserPaused(turn=turn.number, speech_end_s=round(turn.speech_end_s, 4)))
        turn.judge(self._judge_pause(turn))

    def _while_speaking(self, turn: UserTurn, now_s: float) -> None:
        reply = self._replies.on_stage
        limits = self.thresholds
        overlaps = turn.overlap and reply is not None
        every_s = limits.overlap_partial_every_s if overlaps else limits.partial_every_s
        if now_s - turn.partial_asked_s >= every_s:
            turn.partial_asked_s = now_s
            turn.background(self._hear_partial(turn))
        if reply is None or not turn.overlap:
            return
        voice_s = turn.voiced_s + max(self._ears.voiced_until_s - turn.voice_started_s, 0.0)
        verdict: Verdict = "carry_on"
        if reply.interruptible:
            verdict = judge(voice_s, turn.partial, limits, self._ears.fallen_db)
        if verdict == "yield":
            self._yield(turn)
        elif verdict == "duck" and self._playout.gain_target == 1.0:
            self._playout.gain_target = limits.duck_gain
            self._journal.write(ReplyDucked(reply=reply.generation))

    def _while_pausing(self, turn: UserTurn, now_s: float) -> None:
        silence_s = now_s - turn.speech_end_s
        if turn.completeness is None:
            return  # the recognizer or the judge is still at work
        if self._ears.voiced_until_s >= now_s:
            return  # perhaps they go on: the next hop tells
        if silence_s >= self.thresholds.patience_s(turn.completeness):
            self._commit(turn, silence_s)
        elif silence_s >= self.thresholds.draft_after_s:
            self._draft(turn)

    # -- judging a turn ---------------------------------------------------------------------------

    async def _hear_partial(self, turn: UserTurn) -> None:
        try:
            partial = await turn.stream.partial()
        except EngineError as error:
            self._journal.write(EngineFailed(layer="stt", message=str(error)))
            return
        if self.turn is not turn or partial == turn.partial:
            return
        turn.partial = partial
        self._journal.write(TranscriptPartial(turn=turn.number, text=turn.joined(partial)))
        self._transport.notify("user_partial", turn.joined(partial))
        stable = partial.rsplit(" ", 1)[0] if " " in partial else ""
        if stable and self._settings.speculative and self._replies.on_stage is None:
            await self._layers.llm.prefill(self._history.recent, turn.joined(stable))

    async def _judge_pause(self, turn: UserTurn) -> None:
        """At each pause: the final text so far, whose floor it is, and perhaps a draft."""
        voice = asyncio.create_task(self._voice_ended(turn))
        try:
            await self._judge_words_and(voice, turn)
        finally:
            voice.cancel()

    async def _judge_words_and(self, voice: asyncio.Task[float | None], turn: UserTurn) -> None:
        try:
            text = await turn.stream.final()
        except EngineError as error:
            self._journal.write(EngineFailed(layer="stt", message=str(error)))
            text = turn.partial
        turn.text = turn.joined(text)
        self._journal.write(TranscriptFinal(turn=turn.number, text=turn.text))
        reply = self._replies.on_stage
        if turn.overlap and reply is not None:
            verdict = judge_ended(turn.voiced_s, turn.text, self.thresholds)
            if not reply.interruptible or verdict != "yield":
                self._carry_on(turn)
                return
            self._yield(turn)
        words = await self._completeness(turn.text)
        heard = await voice if turn.text else None
        completeness = turn.completeness = blend(words, heard)
        self._journal.write(
            TurnScored(
                turn=turn.number,
                text=turn.text,
                completeness=round(completeness, 3),
                words=None if heard is None else round(words, 3),
                voice=None if heard is None else round(heard, 3),
            )
        )
        if completeness >= self.thresholds.draft:
            self._draft(turn)

    async def _voice_ended(self, turn: UserTurn) -> float | None:
        """What the turn model hears in the voice; None without one, or when it fails or takes too long."""
        model = self._layers.turns
        if model is None or not self._settings.judge_completeness:
            return None
        try:
            async with asyncio.timeout(self.thresholds.judge_within_s):
                return await model.ended(turn.recent())
        except TimeoutError:
            self._journal.write(JudgeLate(layer="turns"))
        except EngineError as error:
            self._journal.write(EngineFailed(layer="turns", message=str(error)))
        return None

    async def _completeness(self, text: str) -> float:
        if not text:
            return 1.0
        if not self._settings.judge_completeness:
            return self.thresholds.likely
        judged: float | None = None
        try:
            async with asyncio.timeout(self.thresholds.judge_within_s):
                judged = await self._layers.llm.completeness(self._history.recent, text)
        except TimeoutError:
            self._journal.write(JudgeLate(layer="llm"))
        except EngineError as error:
            self._journal.write(EngineFailed(layer="llm", message=str(error)))
        return text_completeness(text) if judged is None else judged

    def _carry_on(self, turn: UserTurn) -> None:
        """The overlapping voice was no bid for the floor."""
        self._playout.gain_target = 1.0
        self._journal.write(Backchannel(turn=turn.number, text=turn.text, voice_s=round(turn.voiced_s, 3)))
        self._drop_turn()

    def _yield(self, turn: UserTurn) -> None:
        turn.overlap = False
        self._journal.write(BargeIn(turn=turn.number, voice_at_s=round(turn.started_s, 4)))
        self._replies.cut("barge_in")

    # -- drafting and committing ------------------------------------------------------------------

    def _draft(self, turn: UserTurn) -> None:
        if not self._settings.speculative or not turn.text or turn.draft is not None:
            return
        if turn.drafts >= self.thresholds.drafts_per_turn or self._replies.on_stage is not None:
            return
        turn.drafts += 1
        turn.draft = self._replies.draft(turn.number, turn.text)
        self._journal.write(DraftStarted(turn=turn.number, reply=turn.draft.generation, text=turn.text))

    def _commit(self, turn: UserTurn, silence_s: float) -> None:
        """The floor passes to the persona."""
        if not turn.text:
            self._commit_unheard(turn)
            return
        draft = turn.draft
        if draft is not None and (draft.user_text != turn.text or draft.state != "draft"):
            turn.discard_draft()
            self._journal.write(DraftDiscarded(reply=draft.generation, reason="changed"))
            draft = None
        reply = draft or self._replies.draft(turn.number, turn.text)
        completeness = turn.completeness
        turn.draft = None
        self._drop_turn()
        self._journal.write(
            TurnCommitted(
                turn=turn.number,
                reply=reply.generation,
                text=turn.text,
                speech_start_s=round(turn.started_s, 4),
                speech_end_s=round(turn.speech_end_s, 4),
                silence_ms=round(silence_s * 1000),
                completeness=None if completeness is None else round(completeness, 3),
                draft_hit=draft is not None,
            )
        )
        self._transport.notify("user", turn.text)
        self._replies.commit(reply)

    def _commit_unheard(self, turn: UserTurn) -> None:
        self._journal.write(TurnEmpty(turn=turn.number, voice_s=round(turn.voiced_s, 3)))
        self._drop_turn()
        if turn.voiced_s >= UNHEARD_VOICE_S and self._replies.on_stage is None:
            self._replies.say(self._settings.not_heard)

    def _drop_turn(self) -> None:
        if self.turn is not None:
            self.turn.close()
            self._ears.forget_before(self.turn.paused_s)
            self.turn = None
