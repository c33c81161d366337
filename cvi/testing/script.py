"""Scripted conversations in virtual time.

>>> script = Script()
>>> script.user_says(0.5, "what is your name")
>>> outcome = script.play(FakeLlm(["My name is June."]))
>>> [event.text for event in outcome.of(TurnCommitted)]
['what is your name']
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES, AudioBlock, Pcm
from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event
from cvi.conversation.journal import Journal
from cvi.conversation.listening_signs import ListeningSign
from cvi.conversation.openers import Opener
from cvi.conversation.playout import Render
from cvi.conversation.resumption import Past
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.face.sound_mouth import MouthReader
from cvi.llm.base import Message
from cvi.media.frames import AVUnit
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts, FakeTurnModel, FakeVad, Vocabulary, fake_render
from cvi.testing.virtual_time import run_virtual
from cvi.turns.base import VadEngine

E = TypeVar("E", bound=Event)


class ScriptedTransport:
    """A `Transport` whose caller is a recording and which keeps every unit that is presented.

    Sound is heard when it is presented. `notes` are the calls of `notify`.
    """

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
        """Whether the recording is over."""
        return self._clock.now() * HEARD_HZ >= len(self._caller)

    async def open(self) -> None:
        """Nothing: there is no device."""

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """The recording in blocks of HOP_SAMPLES, then silence until `close`."""
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
        """Wait for the unit's own time."""
        await self._clock.sleep_until(index / self.fps)
        return index / self.fps

    def present(self, unit: AVUnit) -> None:
        """Keep the unit."""
        self.units.append(unit)

    def heard_s(self) -> float:
        """Everything up to now has been heard."""
        return self._clock.now()

    def flush(self) -> None:
        """Nothing: no sound waits."""

    def reply_ended(self) -> None:
        """Nothing: the caller does not wait for replies."""

    def notify(self, event: str, text: str = "") -> None:
        """Keep the note."""
        self.notes.append((event, text))

    async def close(self) -> None:
        """The caller leaves."""
        self._left.set()


@dataclass(frozen=True)
class ScriptOutcome:
    """The outcome of a script: the journal's events, the units presented, the history, why it ended.

    `notes` are the transport's notifications, (event, text) in order.
    """

    events: list[Event]
    units: list[AVUnit]
    history: tuple[Message, ...]
    reason: str
    llm: FakeLlm
    tts: FakeTts
    notes: list[tuple[str, str]]

    def of(self, kind: type[E]) -> list[E]:
        """The events of one class of `cvi.conversation.events`, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def sound_between(self, start_s: float, end_s: float) -> Pcm:
        """What the participant heard in a span of the conversation's clock."""
        heard = [unit.pcm for unit in self.units if start_s <= unit.start_s < end_s]
        return np.concatenate(heard) if heard else np.zeros(0, np.int16)


class Script:
    """What the caller says and an application does, in seconds from the conversation's start."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self._utterances: list[tuple[float, Pcm]] = []
        self._actions: list[tuple[float, Callable[[Conversation], object]]] = []

    def user_says(self, at_s: float, text: str) -> float:
        """Add an utterance; returns the time it ends. "..." in the text is a hesitation."""
        sound = self.vocabulary.sound(text)
        self._utterances.append((at_s, sound))
        return at_s + len(sound) / HEARD_HZ

    def user_coughs(self, at_s: float, seconds: float) -> float:
        """Add a voice without words; returns the time it ends."""
        self._utterances.append((at_s, self.vocabulary.noise(seconds)))
        return at_s + seconds

    def user_sounds(self, at_s: float, pcm: Pcm) -> float:
        """Add recorded sound, 16 kHz int16; returns the time it ends."""
        self._utterances.append((at_s, pcm))
        return at_s + len(pcm) / HEARD_HZ

    def app_does(self, at_s: float, action: Callable[[Conversation], object]) -> None:
        """Steer the conversation from outside: `script.app_does(2.0, lambda c: c.say("Hello"))`."""
        self._actions.append((at_s, action))

    def caller(self) -> Pcm:
        """The caller's whole sound, 16 kHz int16; it lasts at least until the last action."""
        ends = [round(at_s * HEARD_HZ) + len(sound) for at_s, sound in self._utterances]
        length = max([*ends, *(round((at_s + 0.1) * HEARD_HZ) for at_s, _ in self._actions)], default=0)
        pcm = np.zeros(length, np.int16)
        for at_s, sound in self._utterances:
            start = round(at_s * HEARD_HZ)
            pcm[start : start + len(sound)] = sound
        return pcm

    def play(
        self,
        llm: FakeLlm | None = None,
        *,
        tts: FakeTts | None = None,
        stt: FakeStt | None = None,
        vad: VadEngine | None = None,
        turns: FakeTurnModel | None = None,
        mouth_reader: MouthReader | None = None,
        render: Render = fake_render,
        openers: Sequence[Opener] = (),
        first_wait_s: float | None = None,
        listening_signs: Sequence[ListeningSign] = (),
        settings: ConversationSettings | None = None,
        capabilities: Capabilities | None = None,
        journal: Path | None = None,
        past: Past | None = None,
    ) -> ScriptOutcome:
        """Hold the conversation in virtual time, to its end; engines that are not given are fakes.

        With `journal`, the journal is also written to that file. `past`: it goes on from there.
        """
        llm, tts, stt = llm or FakeLlm(), tts or FakeTts(), stt or FakeStt(self.vocabulary)
        settings = settings or ConversationSettings("script", "You are a test.")

        async def hold() -> ScriptOutcome:
            clock = Clock()
            record = Journal(journal, clock, past.events if past is not None else ())
            events: list[Event] = []
            record.subscribe(events.append)
            transport = ScriptedTransport(clock, self.caller())
            layers = SpeechEngines(
                vad or FakeVad(),
                stt,
                llm,
                tts,
                turns,
                mouth_reader,
                tuple(openers),
                first_wait_s,
                tuple(listening_signs),
            )
            conversation = Conversation(
                settings, layers, render, transport, record, clock, capabilities, past
            )

            async def steer(at_s: float, action: Callable[[Conversation], object]) -> None:
                await clock.sleep_until(at_s)
                action(conversation)

            running = asyncio.ensure_future(conversation.run())
            await asyncio.sleep(0)  # the clock is at zero now
            steering = asyncio.gather(*(steer(*action) for action in self._actions))
            reason = await running
            steering.cancel()
            record.close()
            messages = conversation.history.messages
            return ScriptOutcome(events, transport.units, messages, reason, llm, tts, transport.notes)

        return run_virtual(hold())
