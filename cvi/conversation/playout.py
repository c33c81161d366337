"""What the participant sees and hears: one media unit each frame period, without an end.

Units are planned in order on the event loop, rendered on the face's own thread a few ahead, and
presented on the transport's playout clock. A unit that is not rendered in time is presented with
the frame before it, so that sound never waits for picture; it is counted as late.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.clock import Clock
from cvi.conversation.events import PlayoutFigures, SpeechGap
from cvi.conversation.journal import Journal
from cvi.conversation.reply import Reply
from cvi.conversation.witness import PlayoutLog
from cvi.face.base import NO_CUES, REST, Activity, Controls, Cues, MouthShape
from cvi.face.behaviour import Behaviour
from cvi.face.driver import MouthDriver
from cvi.media.frames import AVUnit, Frame
from cvi.transport.base import Transport

# Units rendered ahead, to ride out a busy processor: 120 ms at 25 fps while speaking. In idle two are
# enough; they are dropped, not waited for, when a reply comes.
AHEAD_SPEAKING = 3
AHEAD_IDLE = 2
MOVING_MOUTH = 0.04

# Draws one frame, on whatever thread the renderer lives.
Render = Callable[[Controls], Awaitable[Frame]]


@dataclass(slots=True)
class PlayoutCounts:
    """`units` presented; `late`: handed over more than a frame period after their time; `repeated`:
    shown with the frame before, since theirs was not drawn yet; `stale`: with one older than that, so
    that the picture was more than a frame period behind; `gaps`: the voice could not keep up."""

    units: int = 0
    late: int = 0
    repeated: int = 0
    stale: int = 0
    gaps: int = 0
    worst_late_s: float = 0.0

    def figures(self) -> PlayoutFigures:
        """The counts as the journal's last event holds them."""
        worst_late_ms = round(self.worst_late_s * 1000, 1)
        return PlayoutFigures(
            self.units, self.late, self.repeated, self.stale, self.gaps, worst_late_ms
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    index: int
    reply: Reply | None
    position: int | None
    controls: Controls
    mouth_moves: bool


@dataclass(slots=True)
class _Scene:
    """A reply on stage: `next` is the position after the last plan."""

    reply: Reply
    next: int = 0


class AVPlayout:
    """Runs from `open` of the transport to the end of the conversation. Event loop only."""

    def __init__(
        self,
        transport: Transport,
        render: Render,
        behaviour: Behaviour,
        journal: Journal,
        clock: Clock,
        *,
        on_finished: Callable[[Reply], None],
    ) -> None:
        self._transport = transport
        self._render = render
        self._behaviour = behaviour
        self._journal = journal
        self._clock = clock
        self._on_finished = on_finished
        self._samples = PLAYED_HZ // transport.fps
        self._scene: _Scene | None = None
        self._after: tuple[MouthDriver, float] | None = None
        self._ready: deque[tuple[_Plan, Frame]] = deque()
        self._under_way: _Plan
        self._next_index = 0
        self._presented = 0
        self._epoch = 0
        self._room = asyncio.Event()
        self._last_frame: Frame | None = None
        # How far what is heard lags behind the units' own times: a device has buffers of its own.
        self._lag_s = 0.0
        self._repeats = 0
        self._placed: deque[tuple[float, int]] = deque(maxlen=64)
        self._gain = 1.0
        self._witness = PlayoutLog(journal)
        self.silent_s = 0.0
        """When the last cut reply fell silent at the ear."""
        self.gain_target = 1.0
        self.activity: Activity = "idle"
        self.cues = NO_CUES
        self.counts = PlayoutCounts()

    @property
    def reply(self) -> Reply | None:
        """The reply that has the stage, if any."""
        return self._scene.reply if self._scene else None

    @property
    def audible(self) -> bool:
        """Something of the reply on stage has been presented."""
        return self._scene is not None and self._witness.audible

    def stage(self, reply: Reply) -> None:
        """Give the stage to a committed reply, from the next unit on."""
        assert self._scene is None, "one reply at a time"
        self._scene = _Scene(reply)
        self._witness.begin()
        reply.on_first_speech = self._replan
        self._after = None
        self._placed.clear()
        self.gain_target = self._gain = 1.0
        self._replan()

    def cut(self) -> str:
        """Take the stage from the reply at once; returns the words of it that were heard."""
        scene = self._scene
        assert scene is not None
        heard = self._heard_position()
        presented = self._placed[-1][1] + self._samples if self._placed else 0
        self._transport.flush()
        now_s = presented / PLAYED_HZ
        scene.reply.mouth.cut(now_s)
        self._after = (scene.reply.mouth, now_s - self._presented / self._transport.fps)
        self._scene = None
        # What is between the transport and the ear can't be called back.
        now = self._clock.now()
        self.silent_s = now + max(now - self._transport.heard_s() - self._lag_s, 0.0)
        self._witness.await_rest()
        self._replan()
        return scene.reply.timeline.text_heard(heard)

    def heard_text(self) -> str:
        """What has been heard of the reply on stage so far."""
        return self._scene.reply.timeline.text_heard(self._heard_position()) if self._scene else ""

    async def run(self) -> None:
        """Render and present until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._render_ahead())
            group.create_task(self._play_out())

    @property
    def _ahead(self) -> int:
        """While the reply is awaited, nothing but idle may wait in its way."""
        return AHEAD_SPEAKING if self._scene is not None and self._scene.next > 0 else AHEAD_IDLE

    async def _render_ahead(self) -> None:
        while True:
            while len(self._ready) >= self._ahead:
                self._room.clear()
                await self._room.wait()
            plan, epoch = self._plan(), self._epoch
            frame = await self._render(plan.controls)
            if epoch != self._epoch:
                continue
            if plan.index >= self._presented:
                self._ready.append((plan, frame))
            else:
                self._last_frame = frame
                self._repeats = 0

    async def _play_out(self) -> None:
        fps = self._transport.fps
        while True:
            heard_at_s = await self._transport.due(self._presented)
            plan, frame = self._take()
            if frame is None:
                # Only before the very first frame: there is nothing to show yet.
                frame = await self._render(plan.controls)
            self._last_frame = frame
            start_s = plan.index / fps
            late_s = self._clock.now() - heard_at_s
            self._lag_s = heard_at_s - start_s
            self.counts.units += 1
            self.counts.worst_late_s = max(self.counts.worst_late_s, late_s)
            self.counts.late += late_s > 1 / fps
            self._present(plan, frame, start_s)
            self._presented += 1
            self._room.set()

    def _take(self) -> tuple[_Plan, Frame | None]:
        while self._ready and self._ready[0][0].index < self._presented:
            self._ready.popleft()
        if self._ready and self._ready[0][0].index == self._presented:
            self._repeats = 0
            return self._ready.popleft()
        # The plan under way is this unit's; when it is rendered it will be too late and is dropped.
        if self._last_frame is not None:
            self.counts.repeated += 1
            self._repeats += 1
            self.counts.stale += self._repeats > 1
        plan = self._under_way if self._under_way_is_next() else self._plan()
        return plan, self._last_frame

    def _under_way_is_next(self) -> bool:
        return self._next_index == self._presented + 1

    def _plan(self) -> _Plan:
        """Decide unit `_next_index`: what is heard in it, and the pose."""
        index = max(self._next_index, self._presented)
        self._next_index = index + 1
        time_s = (index + 0.5) / self._transport.fps
        reply, position, mouth, cues = None, None, REST, self.cues
        scene = self._scene
        if scene is not None:
            timeline = scene.reply.timeline
            left = timeline.length - scene.next
            if left >= self._samples or (left > 0 and timeline.complete):
                reply, position = scene.reply, scene.next
                mouth, cues = self._speaking(scene, position / PLAYED_HZ + 0.5 / self._transport.fps)
                scene.next += self._samples
            elif not timeline.complete and scene.next > 0:
                self.counts.gaps += 1
                self._journal.write(SpeechGap(reply=scene.reply.generation))
        elif self._after is not None:
            driver, shift_s = self._after
            mouth = driver.mouth_at(time_s + shift_s)
        activity: Activity = "speaking" if position is not None else self.activity
        controls = self._behaviour.advance(time_s, activity, mouth, cues)
        self._under_way = _Plan(index, reply, position, controls, _moves(mouth))
        return self._under_way

    def _speaking(self, scene: _Scene, at_s: float) -> tuple[MouthShape, Cues]:
        """The mouth at a time of the reply, and what the rest of the face takes from the speech."""
        driver = scene.reply.mouth
        emotion = scene.reply.emotion_at(round(at_s * PLAYED_HZ))
        cues = replace(
            self.cues,
            phrase_end=driver.phrase_end_at(at_s),
            emphasis=driver.emphasis_at(at_s),
            emotion=emotion or "neutral",
            emotion_level=0.7 if emotion else 0.0,
        )
        return driver.mouth_at(at_s), cues

    def _present(self, plan: _Plan, frame: Frame, start_s: float) -> None:
        reply = plan.reply
        if reply is not None and (self._scene is None or self._scene.reply is not reply or not reply.alive):
            reply = None  # stale: cut after it was planned
        if reply is None or plan.position is None:
            pcm = np.zeros(self._samples, np.int16)
        else:
            pcm = self._level(reply.timeline.read(plan.position, self._samples))
            self._placed.append((start_s, plan.position))
        self._transport.present(
            AVUnit(plan.index, start_s, frame, pcm, reply.generation if reply is not None else 0)
        )
        self._record(plan, reply, pcm, start_s)

    def _level(self, pcm: Pcm) -> Pcm:
        """Ducking: the gain moves to its target over one unit."""
        if self._gain == self.gain_target == 1.0:
            return pcm
        ramp = np.linspace(self._gain, self.gain_target, len(pcm), dtype=np.float32)
        self._gain = self.gain_target
        return (pcm * ramp).astype(np.int16)

    def _record(self, plan: _Plan, reply: Reply | None, pcm: Pcm, start_s: float) -> None:
        """Have written down what this unit showed, at the time that it reaches eye and ear."""
        at_s = start_s + self._lag_s
        self._witness.see(plan.mouth_moves, at_s)
        scene = self._scene
        if scene is None:
            return
        if reply is not None:
            self._witness.hear(reply, pcm, plan.mouth_moves, at_s, self.heard_text)
        elif scene.reply.timeline.complete and scene.next >= scene.reply.timeline.length:
            self._scene = None
            self._on_finished(scene.reply)

    def _heard_position(self) -> int:
        """How far the reply on stage has been heard, samples from its start."""
        heard_s = self._transport.heard_s()
        for start_s, position in reversed(self._placed):
            if start_s <= heard_s:
                return position + min(round((heard_s - start_s) * PLAYED_HZ), self._samples)
        return 0

    def _replan(self) -> None:
        """Forget what was planned and not presented; plan anew from the next unit."""
        self._epoch += 1
        self._ready.clear()
        self._next_index = self._presented
        self._room.set()


def _moves(mouth: MouthShape) -> bool:
    return max(mouth.jaw, mouth.round, mouth.tuck, mouth.tongue) > MOVING_MOUTH
