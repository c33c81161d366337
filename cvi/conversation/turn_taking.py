"""Whose turn it is: from voice and pauses to drafts, committed turns and interrupted replies."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.conversation.attention import Attention
from cvi.conversation.audio_input import AudioHop, AudioInput
from cvi.conversation.events import (
    Backchannel,
    BargeIn,
    DraftDiscarded,
    DraftStarted,
    EchoHeard,
    EngineFailed,
    JudgeLate,
    ListeningSignGiven,
    ReplyDucked,
    SleepPhraseDetected,
    TranscriptFinal,
    TranscriptLate,
    TranscriptPartial,
    TurnCommitted,
    TurnEmpty,
    TurnReopened,
    TurnScored,
    TurnUnanswered,
    UserPaused,
    UserResumed,
    UserStartedSpeaking,
    WakePhraseDetected,
)
from cvi.conversation.listening_signs import ListeningPolicy
from cvi.conversation.playout import AVPlayout
from cvi.conversation.replies import Replies
from cvi.conversation.reply import Reply
from cvi.conversation.settings import SessionContext, SpeechEngines
from cvi.errors import EngineError
from cvi.llm.text_completeness import text_completeness
from cvi.stt.base import SttStream
from cvi.turns.barge_in import Verdict, judge, judge_ended
from cvi.turns.expected_answer import Expected, expected_answer
from cvi.turns.floor_prediction import QUESTION_MARKS, after_silence, floor_signs, shipped_weights
from cvi.turns.pause_habits import PauseHabits
from cvi.turns.prosody import PhraseProsody
from cvi.turns.thresholds import USUAL_PAUSE_S
from cvi.turns.voice_state import VoiceChange
from cvi.turns.words import floor_words

LONG_ANSWER_PAUSES = 1.6
"""How much longer pauses are waited for in an answer that calls for them: a spelling, a number, a story."""
# A voice this long without a recognized word deserves an answer; a shorter one was a noise.
UNHEARD_VOICE_S = 1.2


class UserTurn:
    """One turn of the participant while it is spoken; after `close` nothing of it runs.

    `prefix` is text of an earlier part whose end was guessed too early. `text` is prefix and the latest
    final transcript; `completeness`, 0 to 1, is None until that text has been judged. `overlap` while it
    is spoken over a reply. Times are seconds on the conversation's clock: `started_s` and `paused_s` the
    detector's, `speech_end_s` the waveform's; `voiced_s` is how long the voice lasted, pauses left out.
    `said` is what the persona said last when it was spoken over a reply, `interrupted` the reply that it cut
    and what was heard of that; `transcript_late` if its final words did not come in time. `notes` are those
    that the model read with its words so far.
    """

    def __init__(
        self,
        number: int,
        stream: SttStream,
        started_s: float,
        *,
        overlap: bool,
        prefix: str = "",
        keep_s: float = 0.0,
    ) -> None:
        """`stream` is the turn's recognizer; the last `keep_s` seconds of its sound stay in `recent`."""
        self.number = number
        self.stream = stream
        self.started_s = started_s
        self.voice_started_s = started_s
        self.speech_end_s = started_s
        self.paused_s = started_s
        self.voiced_s = 0.0
        self.overlap = overlap
        self.prefix = prefix
        self.partial = ""
        self.partial_asked_s = started_s
        self.text = ""
        self.completeness: float | None = None
        self.said = ""
        self.prosody: PhraseProsody | None = None
        self.expected: Expected = "any"
        self.draft: Reply | None = None
        self.drafts = 0
        self.interrupted: tuple[Reply, str] | None = None
        self.transcript_late = False
        self.notes: list[str] = []
        self._recent: deque[Pcm] = deque()
        self._recent_samples = 0
        self._max_samples = round(keep_s * HEARD_HZ)
        self._judging: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    def joined(self, text: str) -> str:
        """The prefix and `text`."""
        return f"{self.prefix} {text}".strip()

    def hear(self, pcm: Pcm) -> None:
        """Give the recognizer sound of the turn, 16 kHz int16."""
        self.stream.feed(pcm)
        if self._max_samples:
            self._recent.append(pcm)
            self._recent_samples += len(pcm)
            while self._recent_samples - len(self._recent[0]) >= self._max_samples:
                self._recent_samples -= len(self._recent.popleft())

    def recent(self) -> Pcm:
        """The last `keep_s` of its sound, pauses included."""
        recent = np.concatenate(self._recent) if self._recent else np.zeros(0, np.int16)
        return recent[-self._max_samples :] if self._max_samples else recent

    def judge(self, work: Coroutine[Any, Any, None]) -> None:
        """Start judging the pause; only the newest pause is judged."""
        self.stop_judging()
        self._judging = asyncio.create_task(work)

    def stop_judging(self) -> None:
        """Forget the judgement of the last pause: speech goes on."""
        self.completeness = None
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Work beside the turn, at most one piece at a time; more is dropped."""
        if self._background:
            work.close()
            return
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def discard_draft(self) -> Reply | None:
        """End the draft, if there is one still alive; returns it."""
        draft, self.draft = self.draft, None
        if draft is not None and draft.state == "draft":
            draft.discard()
            return draft
        return None

    def close(self) -> None:
        """Stop its background work and its recognizer."""
        self.stop_judging()
        for task in self._background:
            task.cancel()
        self.stream.close()


class Floor:
    """Decides who has the right to speak: follows the participant's turns and has them answered.

    Event loop only. `thresholds` may be replaced at any time. The way of a turn: `_started`, `_paused`,
    `_judge_pause` (its words and voice), `_draft`, `_commit`; over a reply also `_yield` or `_carry_on`.
    """

    def __init__(
        self,
        context: SessionContext,
        engines: SpeechEngines,
        audio: AudioInput,
        playout: AVPlayout,
        replies: Replies,
    ) -> None:
        self.thresholds = context.settings.thresholds
        self._settings = context.settings
        self._history = context.history
        self._transport = context.transport
        self._journal = context.journal
        self._engines = engines
        self._capabilities = context.capabilities
        self._audio = audio
        self._playout = playout
        self._replies = replies
        self.turn: UserTurn | None = None
        """The turn under way, also while it pauses."""
        self._hop: AudioHop | None = None
        self.on_probability: Callable[[float, float, bool], None] | None = None
        """Told every 32 ms of a turn: the time, how likely the floor is free, and whether somebody speaks;
        while they do, it is how likely the turn would be over if they fell silent now."""
        self._clock = context.clock
        self._committed_s = 0.0
        self._habits = PauseHabits(USUAL_PAUSE_S)
        self.attention = Attention(context.settings.wake_phrase, context.settings.sleep_phrase)
        self._listening = ListeningPolicy(engines.listening_signs)
        self._words = floor_words(context.settings.language)
        self._weights = shipped_weights()
        self._punctuates = False
        """The recognizer writes punctuation: where there is none, that says something."""
        self._wary = False
        """The last voice over a reply held no word, or the reply's own: another one needs words."""

    # -- what is heard ----------------------------------------------------------------------------

    def hear(self, pcm: Pcm) -> None:
        """The participant's sound, 16 kHz int16, for the recognizer."""
        if self.turn is not None:
            self.turn.hear(pcm)

    def on_change(self, change: VoiceChange) -> None:
        """A voice began or fell silent."""
        if change.kind == "paused":
            self._paused(change)
        elif self.turn is None:
            self._started(change)
        else:
            self._resumed(self.turn, change)

    def on_hop(self, hop: AudioHop) -> None:
        """Every 32 ms: what depends on how long voice or silence has lasted."""
        self._hop = hop
        turn = self.turn
        if turn is None:
            return
        if self.on_probability is not None:
            self.on_probability(hop.end_s, self._probability(turn, hop), hop.speaking)
        if hop.speaking:
            self._while_speaking(turn, hop)
        else:
            self._while_pausing(turn, hop)

    def reply_finished(self) -> None:
        """The present reply was heard to its end: what overlapped it is a turn of its own now."""
        if self.turn is not None:
            self.turn.overlap = False

    def drop(self) -> None:
        """Forget the turn under way, and its draft."""
        self._drop_turn()

    def _started(self, change: VoiceChange) -> None:
        prefix = self._take_back_unheard()
        overlap = self._replies.current is not None
        model = self._engines.turns
        turn = UserTurn(
            self._replies.next_turn(),
            self._engines.stt.open(),
            change.at_s,
            overlap=overlap,
            prefix=prefix,
            keep_s=model.window_s if model is not None else 0.0,
        )
        turn.hear(self._audio.preroll())
        self.turn = turn
        self._journal.write(
            UserStartedSpeaking(turn=turn.number, at_s=round(change.at_s, 4), overlap=overlap)
        )
        self._playout.set_listening(True)

    def _resumed(self, turn: UserTurn, change: VoiceChange) -> None:
        self._habits.went_on_after(change.at_s - turn.speech_end_s)
        turn.stop_judging()
        if (draft := turn.discard_draft()) is not None:
            self._journal.write(DraftDiscarded(reply=draft.generation, reason="resumed"))
        turn.voice_started_s = change.at_s
        self._journal.write(UserResumed(turn=turn.number, at_s=round(change.at_s, 4)))

    def _take_back_unheard(self) -> str:
        """Reopen a turn whose answer has not been heard by a word yet; returns its text."""
        reply = self._replies.current
        if reply is None or reply.turn is None or self._playout.heard_text:
            return ""
        if self._clock.now() - self._committed_s > self.thresholds.reopen_within_s:
            return ""
        self._replies.cut("resumed")
        self._history.take_back_user()
        self._habits.reopened()
        self._journal.write(TurnReopened(turn=reply.turn))
        return reply.user_text

    def _paused(self, change: VoiceChange) -> None:
        turn = self.turn
        if turn is None:
            return
        turn.voiced_s += max(change.at_s - turn.voice_started_s, 0.0)
        turn.paused_s = change.at_s
        turn.speech_end_s = self._audio.speech_end_s(change.known_s)
        turn.prosody = self._audio.prosody(turn.voice_started_s, turn.speech_end_s)
        turn.expected = expected_answer(self._last_said())
        self._journal.write(UserPaused(turn=turn.number, speech_end_s=round(turn.speech_end_s, 4)))
        turn.judge(self._judge_pause(turn))

    def _while_speaking(self, turn: UserTurn, hop: AudioHop) -> None:
        reply = self._replies.current
        limits = self.thresholds
        overlaps = turn.overlap and reply is not None
        every_s = limits.overlap_partial_every_s if overlaps else limits.partial_every_s
        if hop.end_s - turn.partial_asked_s >= every_s:
            turn.partial_asked_s = hop.end_s
            turn.background(self._hear_partial(turn))
        voice_s = turn.voiced_s + max(hop.voiced_until_s - turn.voice_started_s, 0.0)
        if reply is None and not turn.partial and voice_s >= limits.wordless_s:
            self._speak_over(turn)
        if reply is None or not turn.overlap:
            return
        verdict: Verdict = "carry_on"
        if reply.interruptible:
            voice = self._audio.overlap_voice(turn.started_s)
            verdict = judge(voice, turn.partial, self._words, limits)
        turn.said = self._playout.sounding_text
        if self._words.repeats(turn.partial, turn.said):
            self._wary = True
            self._playout.gain_target = 1.0
            return
        if self._wary and not self._words.asks_to_stop(turn.partial) and self._words.count(turn.partial) < 2:
            verdict = "carry_on"
        if verdict == "yield":
            self._yield(turn)
        elif verdict == "duck" and self._playout.gain_target == 1.0:
            self._playout.gain_target = limits.duck_gain
            self._journal.write(ReplyDucked(reply=reply.generation))

    def _probability(self, turn: UserTurn, hop: AudioHop) -> float:
        """How likely the floor is free; before a pause is judged, by the words so far and how they sound."""
        if not hop.speaking and turn.completeness is not None:
            usual_s, shape = self._usual_pause_s(turn), self.thresholds.pause_shape
            return after_silence(turn.completeness, hop.end_s - turn.speech_end_s, usual_s, shape)
        text = turn.joined(turn.partial)
        prosody = self._audio.prosody(turn.voice_started_s, hop.voiced_until_s)
        return self._weights.probability(self._signs(turn, text, text_completeness(text), None, prosody))

    def _signs(
        self, turn: UserTurn, text: str, words: float, voice: float | None, prosody: PhraseProsody | None
    ) -> dict[str, float]:
        signs = floor_signs(text, words, voice, prosody, self._words, turn.expected)
        signs["habit"] = self._habits.end_odds
        if not signs["punctuation"] and not self._punctuates:
            del signs["punctuation"]
        return signs

    def _while_pausing(self, turn: UserTurn, hop: AudioHop) -> None:
        silence_s = hop.end_s - turn.speech_end_s
        if turn.completeness is None:
            return  # the recognizer or the judge is still at work
        if hop.voiced_until_s >= hop.end_s:
            return  # perhaps speech goes on: the next hop tells
        limits = self.thresholds
        ready = turn.draft is None or turn.draft.ready
        patience_s = limits.patience_s(turn.completeness, self._usual_pause_s(turn), ready=ready)
        patience_s *= self._patience_for_face(turn, turn.completeness)
        if silence_s >= max(patience_s, limits.least_patience_s):
            self._commit(turn, silence_s)
        elif silence_s >= limits.draft_after_s:
            self._draft(turn)

    def _draft_sounds(self) -> None:
        """The draft has sound: perhaps it was all that the turn's end waited for."""
        if self.turn is not None and self._hop is not None and not self._hop.speaking:
            self._while_pausing(self.turn, self._hop)

    def _patience_for_face(self, turn: UserTurn, completeness: float) -> float:
        """How many times as long to wait, by what the participant's face does in the pause."""
        seen, limits = self._capabilities.reactions, self.thresholds
        parted_s, back_s = seen.lips_parted_s, seen.looked_back_s
        parts_lips = parted_s is not None and parted_s > turn.speech_end_s + limits.lips_settle_s
        if (seen.thinks or parts_lips) and completeness < limits.commit_at:
            return limits.patience_for_thinking
        looked_back = back_s is not None and back_s > turn.speech_end_s - limits.looked_back_before_s
        if looked_back and not parts_lips and completeness >= limits.likely:
            return limits.patience_looked_at
        return 1.0

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
        if not stable or self._replies.current is not None:
            return
        words = turn.joined(stable)
        self._capabilities.follow(words)
        self._replies.follow_tools(words)
        pausing = self._hop is not None and not self._hop.speaking
        if self._settings.speculative and not pausing:  # in a pause the final words are read, in one go
            turn.notes = list((await self._capabilities.notes(words)).values())
            await self._engines.llm.prefill(self._history.recent_with(turn.notes), words)

    async def _judge_pause(self, turn: UserTurn) -> None:
        """At each pause: the final text so far, whose floor it is, and perhaps a draft."""
        voice = asyncio.create_task(self._voice_ended(turn))
        try:
            await self._judge_words_and(voice, turn)
        finally:
            voice.cancel()

    async def _judge_words_and(self, voice: asyncio.Task[float | None], turn: UserTurn) -> None:
        turn.text = turn.joined(await self._final_words(turn))
        self._journal.write(TranscriptFinal(turn=turn.number, text=turn.text))
        reply = self._replies.current
        if turn.overlap and reply is not None:
            verdict = judge_ended(turn.voiced_s, turn.text, self._words, self.thresholds)
            if not reply.interruptible or verdict != "yield" or self._words.repeats(turn.text, turn.said):
                self._carry_on(turn)
                return
            self._yield(turn)
        if turn.text and text_completeness(turn.text) >= self.thresholds.draft_on_words:
            self._draft(turn)
        words = await self._completeness(turn)
        heard = await voice if turn.text else None
        completeness = turn.completeness = self._weigh(turn, words, heard)
        if completeness >= self.thresholds.draft:
            self._draft(turn)
        elif not turn.overlap and self._replies.current is None:
            self._show_listening(turn, completeness)

    def _show_listening(self, turn: UserTurn, completeness: float) -> None:
        sign = self._listening.at_pause(self._clock.now(), turn.started_s, completeness)
        if sign is not None:
            self._playout.murmur(sign.pcm)
            self._journal.write(ListeningSignGiven(turn=turn.number, text=sign.text))

    def _weigh(self, turn: UserTurn, words: float, voice: float | None) -> float:
        """How likely the turn is over: all its signs weighed. Written into the journal."""
        signs: dict[str, float] = {}
        completeness = words
        if turn.text and self._settings.judge_completeness:
            signs = self._signs(turn, turn.text, words, voice, turn.prosody)
            self._punctuates = self._punctuates or "punctuation" in signs
            completeness = self._weights.probability(signs)
        self._journal.write(
            TurnScored(
                turn=turn.number,
                text=turn.text,
                completeness=round(completeness, 3),
                words=round(words, 3) if signs else None,
                voice=None if voice is None else round(voice, 3),
                signs={name: round(value, 3) for name, value in signs.items()},
                usual_pause_s=round(self._usual_pause_s(turn), 3),
            )
        )
        return completeness

    def _usual_pause_s(self, turn: UserTurn) -> float:
        """How long this person pauses within a turn, longer where the persona asked for that."""
        longer = LONG_ANSWER_PAUSES if turn.expected == "long" else 1.0
        return longer * self._habits.factor * self.thresholds.usual_pause_s

    def _last_said(self) -> str:
        said = (message for message in reversed(self._history.recent) if message.role != "system")
        last = next(said, None)
        return last.content if last is not None and last.role == "assistant" else ""

    async def _final_words(self, turn: UserTurn) -> str:
        """The recognizer's final words; the words so far where it fails or takes too long.

        Without any words so far it is given more time: asking again would help nobody.
        """
        final = asyncio.create_task(turn.stream.final())
        try:
            waits_s = (self.thresholds.final_within_s, self.thresholds.final_without_words_within_s)
            for wait_s in waits_s:
                done, _ = await asyncio.wait({final}, timeout=wait_s)
                if done:
                    return final.result()
                if turn.partial:
                    break
            turn.transcript_late = True
            self._journal.write(TranscriptLate(turn=turn.number, text=turn.joined(turn.partial)))
        except EngineError as error:
            self._journal.write(EngineFailed(layer="stt", message=str(error)))
        finally:
            final.cancel()
        return turn.partial

    async def _voice_ended(self, turn: UserTurn) -> float | None:
        """The turn model's probability that the turn is over; None without one, where it is not weighed, and
        where it fails or is late."""
        model = self._engines.turns
        if model is None or "voice" not in self._weights.signs or not self._settings.judge_completeness:
            return None
        try:
            async with asyncio.timeout(self.thresholds.judge_within_s):
                return await model.ended(turn.recent())
        except TimeoutError:
            self._journal.write(JudgeLate(layer="turns"))
        except EngineError as error:
            self._journal.write(EngineFailed(layer="turns", message=str(error)))
        return None

    async def _completeness(self, turn: UserTurn) -> float:
        text = turn.text
        if not text:
            return 1.0
        if not self._settings.judge_completeness:
            return self.thresholds.likely
        judged: float | None = None
        try:
            async with asyncio.timeout(self.thresholds.judge_within_s):
                # With the notes that it has read: a model that judges and answers would forget them.
                judged = await self._engines.llm.completeness(self._history.recent_with(turn.notes), text)
        except TimeoutError:
            self._journal.write(JudgeLate(layer="llm"))
        except EngineError as error:
            self._journal.write(EngineFailed(layer="llm", message=str(error)))
        return text_completeness(text) if judged is None else judged

    def _carry_on(self, turn: UserTurn) -> None:
        """The voice over the reply was no interruption."""
        self._playout.gain_target = 1.0
        self._note_unanswered(turn)
        self._drop_turn()

    def _note_unanswered(self, turn: UserTurn) -> None:
        """Write down what a voice over a reply was that asks for no answer."""
        voice_s = round(turn.voiced_s, 3)
        if self._words.repeats(turn.text, turn.said):
            self._wary = True
            self._journal.write(EchoHeard(turn=turn.number, text=turn.text, voice_s=voice_s))
        else:
            self._journal.write(Backchannel(turn=turn.number, text=turn.text, voice_s=voice_s))

    def _yield(self, turn: UserTurn) -> None:
        """The voice over the reply interrupts it."""
        turn.overlap = False
        self._journal.write(BargeIn(turn=turn.number, voice_at_s=round(turn.started_s, 4)))
        reply = self._replies.current
        assert reply is not None
        turn.interrupted = reply, self._replies.cut("barge_in")

    # -- drafting and committing ------------------------------------------------------------------

    def _draft(self, turn: UserTurn) -> None:
        if not self._settings.speculative or not turn.text or turn.draft is not None:
            return
        if not self.attention.awake:
            return
        if turn.drafts >= self.thresholds.drafts_per_turn or self._replies.current is not None:
            return
        if self._only_listened(turn):
            return
        turn.drafts += 1
        turn.draft = self._replies.draft(turn.number, turn.text)
        turn.draft.on_first_speech = self._draft_sounds
        self._journal.write(DraftStarted(turn=turn.number, reply=turn.draft.generation, text=turn.text))

    def _commit(self, turn: UserTurn, silence_s: float) -> None:
        """The floor passes to the persona."""
        if not turn.text or self._only_listened(turn):
            self._commit_unheard(turn)
            return
        if not self._is_answered(turn):
            return
        self._wary = False
        self._habits.ended()
        draft = turn.draft
        if draft is not None and (draft.user_text != turn.text or draft.state != "draft"):
            turn.discard_draft()
            self._journal.write(DraftDiscarded(reply=draft.generation, reason="changed"))
            draft = None
        reply = draft or self._replies.draft(turn.number, turn.text)
        completeness = turn.completeness
        turn.draft = None
        self._close_turn()
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
        self._replies.commit(reply, silence_s)
        self._committed_s = self._clock.now()
        self._playout.set_listening(False)

    def _is_answered(self, turn: UserTurn) -> bool:
        """Whether the persona is awake for this turn; what wakes it and sends it to sleep is written down."""
        heard = self.attention.hear(turn.text)
        if heard == "awake":
            return True
        if heard == "woke":
            self._journal.write(WakePhraseDetected(turn=turn.number))
            return True
        if heard == "slept":
            self._journal.write(SleepPhraseDetected(turn=turn.number))
        self._journal.write(
            TurnUnanswered(
                turn=turn.number,
                text=turn.text,
                speech_start_s=round(turn.started_s, 4),
                speech_end_s=round(turn.speech_end_s, 4),
            )
        )
        self._transport.notify("user", turn.text)
        self._history.add_user(turn.text)
        self._drop_turn()
        self._transport.reply_ended()
        return False

    def _only_listened(self, turn: UserTurn) -> bool:
        """Whether the voice that cut a reply only shows listening ("mhm", where nothing had been asked), or
        was the reply's own."""
        if turn.interrupted is None:
            return False
        if self._words.repeats(turn.text, turn.said):
            return True
        if turn.interrupted[1].rstrip().endswith(QUESTION_MARKS):
            return False
        return self._words.is_listening(turn.text)

    def _commit_unheard(self, turn: UserTurn) -> None:
        """A turn without a word that asks for an answer: go on with the reply that it cut, or ask."""
        if turn.text:
            self._note_unanswered(turn)
        else:
            self._journal.write(TurnEmpty(turn=turn.number, voice_s=round(turn.voiced_s, 3)))
            self._wary = turn.interrupted is not None
        self._drop_turn()
        if self._replies.current is not None:
            return
        if turn.interrupted is not None and self._replies.resume(*turn.interrupted):
            return
        if turn.interrupted is not None or turn.transcript_late or turn.voiced_s >= UNHEARD_VOICE_S:
            self._replies.say(self._settings.phrases.not_heard)

    def _speak_over(self, turn: UserTurn) -> None:
        """Go on with the reply that an endless noise has cut; words in it may still interrupt."""
        if turn.interrupted is None:
            return
        interrupted, turn.interrupted = turn.interrupted, None
        self._wary = turn.overlap = True
        if not self._replies.resume(*interrupted):
            self._replies.say(self._settings.phrases.not_heard)

    def _drop_turn(self) -> None:
        """End the turn without an answer; nobody will hear its draft."""
        if self.turn is not None and (draft := self.turn.discard_draft()) is not None:
            self._journal.write(DraftDiscarded(reply=draft.generation, reason="dropped"))
        self._close_turn()
        self._playout.set_listening(False)

    def _close_turn(self) -> None:
        if self.turn is not None:
            self.turn.close()
            self._audio.forget_before(self.turn.paused_s)
            self.turn = None
