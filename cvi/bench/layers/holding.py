"""The whole conversation on one speaker's sound, with its real decisions, in simulated time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.bench.layers.engines import Listeners
from cvi.bench.layers.listening import TAIL_S
from cvi.bench.layers.stage_set import Line, OnlyJudge, SteadyVoice, no_picture, room_tone
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event
from cvi.conversation.journal import Journal
from cvi.conversation.settings import SpeechEngines

_MONOLOGUE = "There is a lot to say about this, and I shall say all of it."


@dataclass(frozen=True, slots=True)
class Held:
    """The journal, and everything the participant heard: 24 kHz int16 from time zero."""

    events: list[Event]
    heard: Pcm

    def times(self, kind: type[Event]) -> list[float]:
        """When events of this class were written, seconds."""
        return [event.t for event in self.events if isinstance(event, kind)]


async def hold(pcm: Pcm, ears: Listeners, *, monologue: bool) -> Held:
    """Let the persona hear `pcm` and the room after it. Runs on a `SimulatedLoop`.

    With `monologue` it speaks from the first moment, and again after each interruption, in one steady
    voice; without, it answers with nothing, so that all that is left of an answer is its moment.
    """
    clock = Clock()
    sound = np.concatenate([pcm, room_tone(pcm, TAIL_S)])
    settings = replace(
        ears.settings,
        greeting=_MONOLOGUE if monologue else "",
        # It stands for any reply here, and replies give way.
        greeting_interruptible=True,
        apology="",
        not_heard="",
        echo=False,
    )
    journal = Journal(None, clock)
    line = Line(clock, sound)
    voice = SteadyVoice(len(sound) / HEARD_HZ if monologue else 0.0)
    ears.vad.reset()
    layers = SpeechEngines(ears.vad, ears.stt, OnlyJudge(ears.llm, _MONOLOGUE), voice, ears.turn_model)
    conversation = Conversation(settings, layers, no_picture, line, journal, clock)
    await ears.llm.warm(conversation.history.recent)
    await conversation.run()
    heard = np.concatenate(line.played) if line.played else np.zeros(0, np.int16)
    return Held(journal.events or [], heard[: round(len(sound) / HEARD_HZ * PLAYED_HZ)])
