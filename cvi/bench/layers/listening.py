"""The real ears, recognizer and judge on a recording: every pause they heard and what they made of it.

The conversation that runs is the program's own, with a patience that never ends, so that no decision
changes what is heard after it; what any policy would have decided is worked out from the record
afterwards (`cvi.bench.layers.floor`). Time is simulated, computing is timed.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.bench.layers.engines import Listeners
from cvi.bench.layers.stage_set import Line, OnlyJudge, SteadyVoice, no_picture, room_tone
from cvi.clock import Clock
from cvi.conversation.audio_input import PREROLL_S
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event, TurnScored, UserPaused, UserResumed, UserStartedSpeaking
from cvi.conversation.journal import Journal
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.turns.base import VAD_HOP_S

TAIL_S = 4.0
"""How long the room is heard after a recording's end, so that its last silence can be judged."""

_NEVER_S = 1e9


@dataclass(slots=True)
class HeardPause:
    """One pause as the program heard it; seconds in the recording.

    `speech_end_s` is the waveform's, `known_s` when the pause was believed, `resumed_s` the first moment
    at which renewed speech held a commit back, None when it never came. `words` is how complete the text
    was judged at `words_s`, `voice` what the turn model said at `voice_s`; None where they were not done
    before speech went on.
    """

    speech_end_s: float
    known_s: float
    resumed_s: float | None = None
    text: str = ""
    words: float | None = None
    words_s: float | None = None
    voice: float | None = None
    voice_s: float | None = None


async def listen(pcm: Pcm, ears: Listeners) -> list[HeardPause]:
    """Every pause heard in a recording and the room after it. Runs on a `SimulatedLoop`."""
    settings = _endless_patience(ears.settings)
    clock = Clock()
    sound = np.concatenate([pcm, room_tone(pcm, TAIL_S)])
    journal = Journal(None, clock)
    watcher = _Watcher(ears, clock, sound)
    journal.subscribe(watcher.on_event)
    layers = SpeechEngines(ears.vad, ears.stt, OnlyJudge(ears.llm), SteadyVoice(0.0))
    ears.vad.reset()
    conversation = Conversation(settings, layers, no_picture, Line(clock, sound), journal, clock)
    await ears.llm.warm(conversation.history.recent)
    await conversation.run()
    await watcher.finish()
    return watcher.pauses


class _Watcher:
    """Reads the journal as it is written, and asks the turn model at each pause's onset."""

    def __init__(self, ears: Listeners, clock: Clock, sound: Pcm) -> None:
        self._model = ears.turn_model
        self._clock = clock
        self._sound = sound
        self._turn_from_s = 0.0
        self._asked: set[asyncio.Task[None]] = set()
        self.pauses: list[HeardPause] = []

    def on_event(self, event: Event) -> None:
        match event:
            case UserStartedSpeaking():
                self._turn_from_s = max(event.at_s - PREROLL_S, 0.0)
            case UserPaused():
                self.pauses.append(HeardPause(event.speech_end_s, event.t))
                if self._model is not None:
                    task = asyncio.get_running_loop().create_task(self._ask(self.pauses[-1]))
                    self._asked.add(task)
                    task.add_done_callback(self._asked.discard)
            case UserResumed():
                self.pauses[-1].resumed_s = event.at_s + VAD_HOP_S
            case TurnScored():
                pause = self.pauses[-1]
                pause.text, pause.words, pause.words_s = event.text, event.completeness, event.t

    async def finish(self) -> None:
        await asyncio.gather(*self._asked)

    async def _ask(self, pause: HeardPause) -> None:
        assert self._model is not None
        heard = self._sound[round(self._turn_from_s * HEARD_HZ) : round(pause.known_s * HEARD_HZ)]
        pause.voice = await self._model.ended(heard)
        pause.voice_s = self._clock.now()


def _endless_patience(settings: ConversationSettings) -> ConversationSettings:
    """Nothing is committed or drafted."""
    thresholds = replace(
        settings.thresholds,
        patience_sure_s=_NEVER_S,
        patience_likely_s=_NEVER_S,
        patience_unlikely_s=_NEVER_S,
        draft=2.0,
        draft_after_s=math.inf,
    )
    return replace(settings, thresholds=thresholds, greeting="", echo=False, speculative=True)
