"""Scripted conversations in virtual time.

>>> script = Script()
>>> script.user_says(0.5, "what is your name")
>>> outcome = script.play(FakeLlm(["My name is June."]))
>>> [event.text for event in outcome.of(TurnCommitted)]
['what is your name']
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES, AudioBlock, Pcm
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event
from cvi.conversation.journal import Journal
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.face.sound_mouth import MouthReader
from cvi.llm.base import Message
from cvi.media.frames import AVUnit
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts, FakeTurnModel, FakeVad, Vocabulary, fake_render
from cvi.testing.virtual_time import run_virtual

E = TypeVar("E", bound=Event)


class ScriptedTransport:
    """A caller made of sound at given times, and a record of every unit presented."""

    name = "script"
    fps = 25

    def __init__(self, clock: Clock, caller: Pcm) -> None:
        self._clock = clock
        self._caller = caller
        self._left = asyncio.Event()
        self.units: list[AVUnit] = []
        self.notes: list[tuple[str, str]] = []

    @property
    def caller_over(self) -> bool:
        return self._clock.now() * HEARD_HZ >= len(self._caller)

    async def open(self) -> None:
        pass

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        block = 0
        while not self._left.is_set():
            start = block * HOP_SAMPLES
            block += 1
            await self._clock.sleep_until(block * HOP_S)
            pcm = np.zeros(HOP_SAMPLES, np.int16)
            part = self._caller[start : start + HOP_SAMPLES]
            pcm[: len(part)] = part
            yield AudioBlock(pcm, start / HEARD_HZ)

    async def due(self, index: int) -> float:
        await self._clock.sleep_until(index / self.fps)
        return index / self.fps

    def present(self, unit: AVUnit) -> None:
        self.units.append(unit)

    def heard_s(self) -> float:
        return self._clock.now()

    def flush(self) -> None:
        pass

    def reply_ended(self) -> None:
        pass

    def notify(self, event: str, text: str = "") -> None:
        self.notes.append((event, text))

    async def close(self) -> None:
        self._left.set()


@dataclass(frozen=True)
class ScriptOutcome:
    """What came of a script: the journal, what was presented, the history, the reason it ended."""

    events: list[Event]
    units: list[AVUnit]
    history: tuple[Message, ...]
    reason: str
    llm: FakeLlm
    tts: FakeTts

    def of(self, kind: type[E]) -> list[E]:
        """The events of one class of `cvi.conversation.events`, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def sound_between(self, start_s: float, end_s: float) -> Pcm:
        """What the participant heard in a span of the conversation's clock."""
        heard = [unit.pcm for unit in self.units if start_s <= unit.start_s < end_s]
        return np.concatenate(heard) if heard else np.zeros(0, np.int16)


class Script:
    """What the caller says and when, in seconds from the conversation's start."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self._said: list[tuple[float, Pcm]] = []
        self._done: list[tuple[float, Callable[[Conversation], object]]] = []

    def user_says(self, at_s: float, text: str) -> float:
        """Add an utterance; returns the time it ends. "..." in the text is a hesitation."""
        sound = self.vocabulary.sound(text)
        self._said.append((at_s, sound))
        return at_s + len(sound) / HEARD_HZ

    def user_coughs(self, at_s: float, seconds: float) -> float:
        """Add a voice without words; returns the time it ends."""
        self._said.append((at_s, self.vocabulary.noise(seconds)))
        return at_s + seconds

    def app_does(self, at_s: float, action: Callable[[Conversation], object]) -> None:
        """Steer the conversation from outside: `script.app_does(2.0, lambda c: c.say("Hello"))`."""
        self._done.append((at_s, action))

    def caller(self) -> Pcm:
        ends = [round(at_s * HEARD_HZ) + len(sound) for at_s, sound in self._said]
        length = max([*ends, *(round((at_s + 0.1) * HEARD_HZ) for at_s, _ in self._done)], default=0)
        pcm = np.zeros(length, np.int16)
        for at_s, sound in self._said:
            start = round(at_s * HEARD_HZ)
            pcm[start : start + len(sound)] = sound
        return pcm

    def play(
        self,
        llm: FakeLlm | None = None,
        *,
        tts: FakeTts | None = None,
        stt: FakeStt | None = None,
        turns: FakeTurnModel | None = None,
        mouth_reader: MouthReader | None = None,
        settings: ConversationSettings | None = None,
        journal: Path | None = None,
    ) -> ScriptOutcome:
        """Hold the conversation in virtual time, to its end."""
        llm, tts = llm or FakeLlm(), tts or FakeTts()
        stt = stt or FakeStt(self.vocabulary)
        settings = settings or ConversationSettings("script", "You are a test.")

        async def hold() -> ScriptOutcome:
            clock = Clock()
            record = Journal(journal, clock)
            events: list[Event] = []
            record.subscribe(events.append)
            transport = ScriptedTransport(clock, self.caller())
            layers = SpeechEngines(FakeVad(), stt, llm, tts, turns, mouth_reader)
            conversation = Conversation(settings, layers, fake_render, transport, record, clock)

            async def steer(at_s: float, action: Callable[[Conversation], object]) -> None:
                await clock.sleep_until(at_s)
                action(conversation)

            running = asyncio.ensure_future(conversation.run())
            await asyncio.sleep(0)  # the clock is at zero now
            steering = asyncio.gather(*(steer(*done) for done in self._done))
            reason = await running
            steering.cancel()
            record.close()
            return ScriptOutcome(events, transport.units, conversation.history.messages, reason, llm, tts)

        return run_virtual(hold())


