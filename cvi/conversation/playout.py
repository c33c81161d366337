"""What the participant sees and hears: one media unit each frame period, without an end.

Units are planned in order on the event loop, rendered on the face's own thread a few ahead, and
presented on the transport's playout clock. A unit that is not rendered in time is presented with
the frame before it, so that sound never waits for picture; it is counted as late. The journal gets
each thing when it reaches eye and ear. A typed conversation has `TextOutput` instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Protocol

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.conversation.events import (
    FrameRateChanged,
    MouthAtRest,
    PlayoutFigures,
    ReplyAfterOpener,
    ReplyFirstAudio,
    ReplyFirstFrame,
    ReplyHeard,
    SpeechGap,
)
from cvi.conversation.journal import Journal
from cvi.conversation.overload import OverloadMonitor
from cvi.conversation.reply import Reply
from cvi.conversation.settings import SessionContext
from cvi.face.base import NO_CUES, REST, Activity, Controls, Cues, MouthShape
from cvi.face.behaviour import Behaviour
from cvi.face.driver import MouthDriver
from cvi.llm.clauses import joined_clauses
from cvi.media.frames import AVUnit, Frame
from cvi.transport.base import Transport

# Units rendered ahead, to ride out a busy processor: 120 ms at 25 fps while speaking. In idle two are
# enough; they are dropped, not waited for, when a reply comes.
AHEAD_SPEAKING = 3
AHEAD_IDLE = 2
MOVING_MOUTH = 0.04
HEARD_EVERY_S = 1.0
"""How often the words heard so far are written into the journal."""
_AUDIBLE = 64  # of 32768
# The full frame rate returns when drawing takes less than this share of a frame's period, and after this long
# without a late frame; the wait doubles with every return that did not last.
_ROOMY_SHARE = 0.7
_FIRST_TRIAL_S, _LONGEST_TRIAL_S = 5.0, 80.0
_DRAW_MEMORY = 0.9

Render = Callable[[Controls], Awaitable[Frame]]
"""Draws one frame, on whatever thread the renderer lives."""


@dataclass(frozen=True, slots=True)
class CutReply:
    """What became of a reply that was cut: the text that was heard, whether any sound of it was audible,
    and when it fell silent at the ear (seconds; None for text)."""

    heard: str
    audible: bool
    silent_s: float | None


class ReplyOutput(Protocol):
    """Where replies are heard or shown, one at a time. Event loop only."""

    @property
    def reply(self) -> Reply | None:
        """The reply that is heard now, or about to be."""

    def left_s(self, reply: int) -> float:
        """How much of a reply's sound is left to be heard, seconds; infinite while none of it is heard."""

    def start(self, reply: Reply) -> None:
        """Let a committed reply be heard; none may be heard already."""

    def cut(self) -> CutReply:
        """Take the present reply away at once. Raises AssertionError without one."""

    async def next_finished(self) -> Reply:
        """Go on until a reply has been heard to its end; returns it. Called again and again."""


class TextOutput:
    """Shows a reply's clauses as soon as they are written, through `Transport.notify`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._started = asyncio.Event()
        self._shown: list[str] = []
        self.reply: Reply | None = None
        """The reply that is being shown."""

    def left_s(self, reply: int) -> float:
        """Infinite: nothing waits for a text's next words."""
        return inf

    def start(self, reply: Reply) -> None:
        """Show a committed reply."""
        assert self.reply is None, "one reply at a time"
        self.reply, self._shown = reply, []
        self._started.set()

    def cut(self) -> CutReply:
        """Show no more of the reply; what was shown counts as heard."""
        assert self.reply is not None
        self.reply = None
        self._started.clear()
        return CutReply(joined_clauses(self._shown), audible=False, silent_s=None)

    async def next_finished(self) -> Reply:
        """Show replies until one has been shown to its end."""
        while True:
            await self._started.wait()
            reply = self.reply
            assert reply is not None
            async for text in reply.texts():
                self._shown.append(text)
                self._transport.notify("clause", text)
            if reply is self.reply:
                self.reply = None
                self._started.clear()
                return reply


@dataclass(slots=True)
class PlayoutCounts:
    """How units were presented, counted while the conversation lasts; see `PlayoutFigures`."""

    units: int = 0
    late: int = 0
    repeated: int = 0
    stale: int = 0
    gaps: int = 0
    worst_late_s: float = 0.0

    def figures(self) -> PlayoutFigures:
        """The counts as the journal's last event holds them."""
        worst_late_ms = round(self.worst_late_s * 1000, 1)
        return PlayoutFigures(self.units, self.late, self.repeated, self.stale, self.gaps, worst_late_ms)


class PlayoutLog:
    """Writes into the journal what the participant sees and hears of a reply, when it first happens.

    It is given every unit that is presented, in order, with the time it reaches eye and ear.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._awaits_rest = False
        self._visible = False
        self._heard_logged_s = 0.0
        self._preface_s: float | None = None
        self._preface_gap_s = 0.0
        self.audible = False
        """Some sound of the present reply has been heard."""

    def begin(self) -> None:
        """Another reply starts."""
        self.audible = self._visible = False
        self._heard_logged_s = self._preface_gap_s = 0.0
        self._preface_s = None

    def await_rest(self) -> None:
        """The reply was cut: the next mouth at rest is written."""
        self._awaits_rest = True

    def see(self, mouth_moves: bool, at_s: float) -> None:
        """A unit's picture is seen at `at_s`."""
        if self._awaits_rest and not mouth_moves:
            self._journal.write(MouthAtRest(at_s=round(at_s, 4)))
            self._awaits_rest = False

    def part(self, reply: Reply, pcm: Pcm, position: int, at_s: float) -> None:
        """A unit of the reply with sound `pcm`, from sample `position` on, is heard at `at_s`."""
        if position + len(pcm) <= reply.timeline.preface:
            if np.abs(pcm).max() > _AUDIBLE:
                if self._preface_s is not None:
                    self._preface_gap_s = max(self._preface_gap_s, at_s - self._preface_s)
                self._preface_s = at_s
        elif self._preface_s is not None:
            pause_s = max(at_s - self._preface_s, self._preface_gap_s)
            self._journal.write(
                ReplyAfterOpener(reply=reply.generation, at_s=round(at_s, 4), pause_s=round(pause_s, 3))
            )
            self._preface_s = None

    def hear(self, reply: Reply, pcm: Pcm, mouth_moves: bool, at_s: float, heard: int) -> None:
        """A unit of the reply's speech is heard at `at_s`.

        `pcm` is its sound, `heard` how much of the reply has been heard by now, in samples.
        """
        if not self.audible and (loud := np.flatnonzero(np.abs(pcm) > _AUDIBLE)).size:
            self.audible = True
            sound_s = at_s + float(loud[0]) / PLAYED_HZ
            self._journal.write(ReplyFirstAudio(reply=reply.generation, at_s=round(sound_s, 4)))
        if not self._visible and mouth_moves:
            self._visible = True
            self._journal.write(ReplyFirstFrame(reply=reply.generation, at_s=round(at_s, 4)))
        if at_s - self._heard_logged_s >= HEARD_EVERY_S:
            self._heard_logged_s = at_s
            self._journal.write(ReplyHeard(reply=reply.generation, text=reply.timeline.text_heard(heard)))


@dataclass(frozen=True, slots=True)
class _PlannedUnit:
    index: int
    reply: Reply | None
    position: int | None
    controls: Controls
    mouth_moves: bool


@dataclass(slots=True)
class _Speaking:
    """The present reply; `next` is the position after the last planned unit, in samples."""

    reply: Reply
    next: int = 0


class AVPlayout:
    """Presents sound and picture from the start to the end of the conversation. Event loop only.

    `render_ahead` and `next_finished` run side by side, each in a task of its own.
    """

    def __init__(self, context: SessionContext, render: Render) -> None:
        self._transport = context.transport
        self._journal = context.journal
        self._clock = context.clock
        self._render = render
        self._behaviour = Behaviour(context.settings.seed)
        self._log = PlayoutLog(context.journal)
        self._samples = PLAYED_HZ // self._transport.fps
        self._speaking: _Speaking | None = None
        self._closing: tuple[MouthDriver, float] | None = None
        """The mouth of a reply that was cut, and what its timeline's time is ahead of the units' time."""
        self._ready: deque[tuple[_PlannedUnit, Frame]] = deque()
        self._under_way: _PlannedUnit | None = None
        self._next_index = 0
        self._presented = 0
        self._epoch = 0
        self._room = asyncio.Event()
        self._last_frame: Frame | None = None
        self._drawn: Frame | None = None
        self._draw_s = 0.0
        self._halved_s: float | None = None
        self._trial_s = _FIRST_TRIAL_S
        self._overload = OverloadMonitor(context)
        # How far what is heard lags behind the units' own times: a device has buffers of its own.
        self._lag_s = 0.0
        self._repeats = 0
        self._placed: deque[tuple[float, int]] = deque(maxlen=64)
        self._gain = 1.0
        self._listening = False
        self._activity: Activity = "idle"
        self._murmured: Pcm = np.zeros(0, np.int16)
        self.gain_target = 1.0
        """What the reply's sound is multiplied by; reached within one unit."""
        self.cues = NO_CUES
        """What the face answers in the participant's speech."""
        self.counts = PlayoutCounts()

    @property
    def reply(self) -> Reply | None:
        """The reply that is heard now, or about to be."""
        return self._speaking.reply if self._speaking else None

    @property
    def heard_text(self) -> str:
        """What has been heard of the present reply so far."""
        return self.reply.timeline.text_heard(self._heard_position()) if self.reply else ""

    @property
    def sounding_text(self) -> str:
        """The same with the words of the next second, which a microphone may hear before they are counted."""
        if self.reply is None:
            return ""
        return self.reply.timeline.text_heard(self._heard_position() + PLAYED_HZ)

    def left_s(self, reply: int) -> float:
        """As `ReplyOutput.left_s`, less what is drawn already."""
        speaking = self._speaking
        if speaking is None or speaking.reply.generation != reply or speaking.next == 0:
            return inf
        return max(speaking.reply.timeline.length - speaking.next, 0) / PLAYED_HZ

    def start(self, reply: Reply) -> None:
        """Let a committed reply be heard from the next unit on."""
        assert self._speaking is None, "one reply at a time"
        self._speaking = _Speaking(reply)
        self._murmured = self._murmured[:0]
        self._log.begin()
        reply.on_first_speech = self._replan
        self._closing = None
        self._placed.clear()
        self.gain_target = self._gain = 1.0
        self._replan()
        self._update_activity()

    def cut(self) -> CutReply:
        """Take the present reply away at once. Raises AssertionError without one."""
        assert self._speaking is not None
        reply, audible = self._speaking.reply, self._log.audible
        heard = reply.timeline.text_heard(self._heard_position())
        presented = self._placed[-1][1] + self._samples if self._placed else 0
        self._transport.flush()
        presented_s = presented / PLAYED_HZ
        reply.mouth.cut(presented_s)
        self._closing = (reply.mouth, presented_s - self._presented / self._transport.fps)
        self._speaking = None
        # What is between the transport and the ear can't be called back.
        now_s = self._clock.now()
        silent_s = now_s + max(now_s - self._transport.heard_s() - self._lag_s, 0.0)
        self._log.await_rest()
        self._replan()
        self._update_activity()
        return CutReply(heard, audible, silent_s)

    def murmur(self, pcm: Pcm) -> None:
        """Let a sign of listening (24 kHz int16) be heard beside the participant; not during a reply."""
        if self._speaking is None:
            self._murmured = pcm

    def set_listening(self, listening: bool) -> None:
        """Whether the participant is in the middle of a turn; the face and the display show it."""
        self._listening = listening
        self._update_activity()

    def _update_activity(self) -> None:
        activity: Activity = "idle"
        if self._listening:
            activity = "listening"
        elif self._speaking is not None:
            activity = "thinking"  # until its first unit is spoken
        if activity != self._activity:
            self._activity = activity
            self._transport.notify("state", activity)

    async def render_ahead(self) -> None:
        """Plan and render units a few ahead, until cancelled."""
        while True:
            while len(self._ready) >= self._ahead:
                self._room.clear()
                await self._room.wait()
            unit, epoch = self._plan(), self._epoch
            frame = await self._draw(unit)
            if epoch != self._epoch:
                continue
            if unit.index >= self._presented:
                self._ready.append((unit, frame))
            else:
                self._last_frame = frame
                self._repeats = 0

    async def _draw(self, unit: _PlannedUnit) -> Frame:
        """The unit's frame; at half the rate, every second one is the one before."""
        if self._halved_s is not None and unit.index % 2 and self._drawn is not None:
            return self._drawn
        began_s = self._clock.now()
        self._drawn = await self._render(unit.controls)
        took_s = self._clock.now() - began_s
        self._draw_s += (1 - _DRAW_MEMORY) * (took_s - self._draw_s)
        return self._drawn

    def _adapt_frame_rate(self, now_s: float, late: bool) -> None:
        """The face gives way first: it is drawn half as often while frames are late."""
        self._overload.frame(now_s, late)
        fps = self._transport.fps
        if self._halved_s is None:
            if self._overload.frames_late:
                self._halved_s = now_s
                self._overload.forget_frames()
                self._journal.write(FrameRateChanged(fps=fps / 2))
        elif (
            now_s - self._halved_s >= self._trial_s
            and self._overload.frames_in_time
            and self._draw_s < _ROOMY_SHARE / fps
        ):
            self._halved_s = None
            self._trial_s = min(2 * self._trial_s, _LONGEST_TRIAL_S)
            self._overload.forget_frames()
            self._journal.write(FrameRateChanged(fps=fps))

    async def next_finished(self) -> Reply:
        """Present units, one each frame period, until a reply has been heard to its end; returns it."""
        finished = None
        while finished is None:
            finished = await self._present_next()
        return finished

    async def _present_next(self) -> Reply | None:
        fps = self._transport.fps
        heard_at_s = await self._transport.due(self._presented)
        repeated = self.counts.repeated
        unit, frame = self._take()
        if frame is None:
            # Only before the very first frame: there is nothing to show yet.
            frame = await self._render(unit.controls)
        self._last_frame = frame
        start_s = unit.index / fps
        late_s = self._clock.now() - heard_at_s
        self._lag_s = heard_at_s - start_s
        self.counts.units += 1
        self.counts.worst_late_s = max(self.counts.worst_late_s, late_s)
        late = late_s > 1 / fps
        self.counts.late += late
        self._adapt_frame_rate(start_s, late or self.counts.repeated > repeated)
        finished = self._present(unit, frame, start_s)
        self._presented += 1
        self._room.set()
        return finished

    @property
    def _ahead(self) -> int:
        """While the reply is awaited, nothing but idle may wait in its way."""
        return AHEAD_SPEAKING if self._speaking is not None and self._speaking.next > 0 else AHEAD_IDLE

    def _take(self) -> tuple[_PlannedUnit, Frame | None]:
        while self._ready and self._ready[0][0].index < self._presented:
            self._ready.popleft()
        if self._ready and self._ready[0][0].index == self._presented:
            self._repeats = 0
            return self._ready.popleft()
        # The unit being rendered is this one; when it is done it will be too late and is dropped.
        if self._last_frame is not None:
            self.counts.repeated += 1
            self._repeats += 1
            self.counts.stale += self._repeats > 1
        under_way_is_next = self._next_index == self._presented + 1
        under_way = self._under_way if under_way_is_next else None
        return under_way or self._plan(), self._last_frame

    def _plan(self) -> _PlannedUnit:
        """Decide unit `_next_index`: what is heard in it, and the pose."""
        index = max(self._next_index, self._presented)
        self._next_index = index + 1
        time_s = (index + 0.5) / self._transport.fps
        reply, position, mouth, cues = None, None, REST, self.cues
        speaking = self._speaking
        if speaking is not None:
            timeline = speaking.reply.timeline
            left = timeline.length - speaking.next
            if left >= self._samples or (left > 0 and timeline.complete):
                reply, position = speaking.reply, speaking.next
                mouth, cues = self._mouth_of(speaking.reply, position / PLAYED_HZ + 0.5 / self._transport.fps)
                speaking.next += self._samples
            elif not timeline.complete and speaking.next > timeline.preface:
                self.counts.gaps += 1
                self._journal.write(SpeechGap(reply=speaking.reply.generation))
        elif self._closing is not None:
            driver, shift_s = self._closing
            mouth = driver.mouth_at(time_s + shift_s)
        activity: Activity = "speaking" if position is not None else self._activity
        controls = self._behaviour.advance(time_s, activity, mouth, cues)
        unit = self._under_way = _PlannedUnit(index, reply, position, controls, _moves(mouth))
        return unit

    def _mouth_of(self, reply: Reply, at_s: float) -> tuple[MouthShape, Cues]:
        """The mouth at a time of the reply, and what the rest of the face takes from the speech."""
        driver = reply.mouth
        emotion = reply.emotion_at(round(at_s * PLAYED_HZ))
        cues = replace(
            self.cues,
            phrase_end=driver.phrase_end_at(at_s),
            emphasis=driver.emphasis_at(at_s),
            emotion=emotion or "neutral",
            emotion_level=0.7 if emotion else 0.0,
        )
        return driver.mouth_at(at_s), cues

    def _present(self, unit: _PlannedUnit, frame: Frame, start_s: float) -> Reply | None:
        """Hand a unit to the transport; returns the reply that this unit shows to be over, if any."""
        reply = unit.reply
        if reply is not None and (self.reply is not reply or not reply.alive):
            reply = None  # stale: cut after it was planned
        if reply is None or unit.position is None:
            pcm = np.zeros(self._samples, np.int16)
            part, self._murmured = self._murmured[: self._samples], self._murmured[self._samples :]
            pcm[: len(part)] = part
        else:
            pcm = self._level(reply.timeline.read(unit.position, self._samples))
            self._placed.append((start_s, unit.position))
        generation = reply.generation if reply is not None else 0
        self._transport.present(AVUnit(unit.index, start_s, frame, pcm, generation))
        at_s = start_s + self._lag_s
        self._log.see(unit.mouth_moves, at_s)
        if reply is not None:
            self._log.hear(reply, pcm, unit.mouth_moves, at_s, self._heard_position())
            if unit.position is not None:
                self._log.part(reply, pcm, unit.position, at_s)
            return None
        return self._finish_spoken()

    def _finish_spoken(self) -> Reply | None:
        """The present reply, if every unit of it has been planned and presented."""
        speaking = self._speaking
        if speaking is None:
            return None
        timeline = speaking.reply.timeline
        if not timeline.complete or speaking.next < timeline.length:
            return None
        self._speaking = None
        self._update_activity()
        return speaking.reply

    def _level(self, pcm: Pcm) -> Pcm:
        """Ducking: the gain moves to its target over one unit."""
        if self._gain == self.gain_target == 1.0:
            return pcm
        ramp = np.linspace(self._gain, self.gain_target, len(pcm), dtype=np.float32)
        self._gain = self.gain_target
        return (pcm * ramp).astype(np.int16)

    def _heard_position(self) -> int:
        """How far the present reply has been heard, samples from its start."""
        heard_s = self._transport.heard_s()
        for start_s, position in reversed(self._placed):
            if start_s <= heard_s:
                return position + min(round((heard_s - start_s) * PLAYED_HZ), self._samples)
        return 0

    def _replan(self) -> None:
        """Forget what was planned and not presented, and plan again from the next unit on."""
        self._epoch += 1
        speaking = self._speaking
        if speaking is not None:
            planned = [unit for unit, _ in self._ready]
            if self._under_way is not None:
                planned.append(self._under_way)
            positions = [
                unit.position
                for unit in planned
                if unit.reply is speaking.reply
                and unit.position is not None
                and unit.index >= self._presented
            ]
            speaking.next = min([speaking.next, *positions])
        self._ready.clear()
        self._next_index = self._presented
        self._room.set()


def _moves(mouth: MouthShape) -> bool:
    return max(mouth.jaw, mouth.round, mouth.tuck, mouth.tongue) > MOVING_MOUTH
