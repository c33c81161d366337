"""The program's own conversation on a recording, in simulated time.

A recording of a minute is fed to the program as fast as its engines compute. What runs on an engine's thread
is run at once and timed, and its result is handed over that much later in simulated time; a thread that is
still busy takes its next piece of work after the last. So a decision comes as late as it would in a live
conversation on a machine that does nothing else.

The time that counts is the wall clock's, but never more than the processor time the whole process took: what
other processes take is not ours. With `wall` the clock alone counts, as is right where a GPU computes. Work
under way is not cut short by what comes after it, so a call that would have given way after a few tokens
costs its whole length. Nothing that runs here may use a socket.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, PLAYED_HZ, AudioBlock, Pcm
from cvi.audio.level import faded_from
from cvi.bench.layers.measurement import ListeningEngines
from cvi.clock import Clock
from cvi.conversation.audio_input import PREROLL_S
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event, TurnScored, UserPaused, UserResumed, UserStartedSpeaking
from cvi.conversation.journal import Journal
from cvi.conversation.openers import make_openers
from cvi.conversation.phrases import SILENT
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.llm.base import LlmEngine, Message, Sampling
from cvi.testing.fakes import fake_render
from cvi.testing.script import ScriptedTransport
from cvi.testing.virtual_time import VirtualTimeLoop
from cvi.tts.base import Speech, Word
from cvi.turns.base import VAD_HOP_S

T = TypeVar("T")

TAIL_S = 4.0
"""How long the room is heard after a recording's end, so that its last silence can be judged."""
TONE = 8000
"""The steady voice's amplitude: every sample is this or its negative, so its gain can be read off."""
_PIECE_S = 2.0
_BLIP_S = 0.02
"""A reply without sound would be a failure, and no history."""
_NEVER_S = 1e9
_MONOLOGUE = "There is a lot to say about this, and I shall say all of it."


class SimulatedLoop(VirtualTimeLoop):
    """`slowness` scales the measured times: 0 shows what the policy alone decides, 1 this machine."""

    def __init__(self, slowness: float = 1.0, *, wall: bool = False) -> None:
        super().__init__()
        self._wall = wall
        self._slowness = slowness
        self._free_at: dict[int, float] = {}
        self._own = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cvi-simulated")
        self._counted_s = 0.0
        self.computed_s = 0.0
        """All the time engines have computed so far, unscaled."""

    def count(self, seconds: float) -> None:
        """Let the call that runs now on an engine's thread count as so much longer."""
        self._counted_s += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run `func` now; the future is done when it would have been."""
        pool = executor or self._own
        self._counted_s = 0.0
        began, began_cpu = time.perf_counter(), time.process_time()
        work = pool.submit(func, *args)
        failure = work.exception()
        took_s = time.perf_counter() - began
        if not self._wall:
            took_s = min(took_s, time.process_time() - began_cpu)
        took_s += self._counted_s
        self.computed_s += took_s
        start_s = max(self.time(), self._free_at.get(id(pool), 0.0))
        done_s = start_s + took_s * self._slowness
        self._free_at[id(pool)] = done_s
        future: asyncio.Future[T] = self.create_future()

        def hand_over() -> None:
            if future.cancelled():
                return
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(work.result())

        self.call_at(done_s, hand_over)
        return future

    def close(self) -> None:
        """End the loop's own thread, too."""
        self._own.shutdown(wait=False)
        super().close()


def run_simulated(main: Coroutine[Any, Any, T], slowness: float = 1.0, *, wall: bool = False) -> T:
    """Run a coroutine in simulated time. Engines built in it must be closed in it."""
    loop = SimulatedLoop(slowness, wall=wall)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@dataclass(slots=True)
class HeardPause:
    """One pause as the program heard it; seconds in the recording.

    `speech_end_s` is the waveform's, `known_s` when the pause was believed, `resumed_s` the first moment at
    which renewed speech held a commit back, None when it never came. `words` is how complete the text was
    judged at `words_s`, `voice` what the turn model said at `voice_s`; None where speech went on before.
    `signs` are all that was weighed but the voice, `usual_pause_s` is the person's, and `scores` what judges
    made of it (`cvi.bench.layers.floor_fit`).
    """

    speech_end_s: float
    known_s: float
    resumed_s: float | None = None
    text: str = ""
    words: float | None = None
    words_s: float | None = None
    voice: float | None = None
    voice_s: float | None = None
    signs: dict[str, float] = field(default_factory=dict)
    usual_pause_s: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    recording: str = ""


@dataclass(frozen=True, slots=True)
class FloorMoment:
    """How likely the floor was free at a time; see `Floor.on_probability`."""

    time_s: float
    probability: float
    speaking: bool


@dataclass(frozen=True, slots=True)
class SimulatedConversation:
    """The journal, all the participant heard (24 kHz int16 from time zero), and each hop of the floor."""

    events: list[Event]
    heard: Pcm
    floor: list[FloorMoment] = field(default_factory=list)

    def times(self, kind: type[Event]) -> list[float]:
        """When events of this class were written, seconds."""
        return [event.t for event in self.events if isinstance(event, kind)]


async def hear_pauses(pcm: Pcm, engines: ListeningEngines, *, partials: bool = True) -> list[HeardPause]:
    """Every pause heard in a recording and the room after it. Runs on a `SimulatedLoop`.

    The floor is never given away, so that no decision changes what is heard after it; what any policy would
    have decided is worked out from the pauses (`cvi.bench.layers.decisions`). Without `partials` nothing is
    recognized before a pause, which changes no judgement and only its computing time.
    """
    never = replace(
        engines.settings.thresholds,
        least_patience_s=_NEVER_S,
        draft=2.0,
        draft_after_s=math.inf,
        partial_every_s=engines.settings.thresholds.partial_every_s if partials else math.inf,
    )
    settings = replace(engines.settings, thresholds=never, greeting="", echo=False, speculative=True)
    clock = Clock()
    sound = np.concatenate([pcm, room_tone(pcm, TAIL_S)])
    journal = Journal(None, clock)
    watcher = _PauseWatcher(engines, clock, sound)
    journal.subscribe(watcher.on_event)
    await _converse(sound, replace(engines, turn_model=None), settings, journal, clock, voice_s=0.0)
    await watcher.finish()
    return watcher.pauses


async def converse(
    pcm: Pcm, engines: ListeningEngines, *, monologue: bool, answer_s: float = 0.0
) -> SimulatedConversation:
    """Let the persona hear `pcm` and the room after it, with its real decisions. Runs on a `SimulatedLoop`.

    With `monologue` it speaks from the first moment, and again after each interruption, in one steady voice;
    without, its answers are a blip, and only their moments are left. They need `answer_s` to their first
    words; where that is long, they begin with an opener, as any do.
    """
    settings = replace(
        engines.settings,
        greeting=_MONOLOGUE if monologue else "",
        # The monologue stands for any reply, and replies give way.
        greeting_interruptible=True,
        phrases=SILENT,
        echo=False,
    )
    clock = Clock()
    sound = np.concatenate([pcm, room_tone(pcm, TAIL_S)])
    length_s = len(sound) / HEARD_HZ
    journal = Journal(None, clock)
    voice_s = length_s if monologue else _BLIP_S
    floor: list[FloorMoment] = []
    heard = await _converse(
        sound, engines, settings, journal, clock, voice_s=voice_s, answer_s=answer_s, floor=floor
    )
    return SimulatedConversation(journal.events or [], heard[: round(length_s * PLAYED_HZ)], floor)


async def _converse(
    sound: Pcm,
    engines: ListeningEngines,
    settings: ConversationSettings,
    journal: Journal,
    clock: Clock,
    *,
    voice_s: float,
    answer_s: float = 0.0,
    floor: list[FloorMoment] | None = None,
) -> Pcm:
    """Hold the conversation until the sound is over, noting each hop in `floor`; returns what was heard."""
    transport = RecordedCaller(clock, sound)
    llm = FixedAnswerLlm(engines.llm, _MONOLOGUE, answer_s)
    voice = SteadyVoice(voice_s)
    engines.vad.reset()
    speech_engines = SpeechEngines(
        engines.vad,
        engines.stt,
        llm,
        voice,
        engines.turn_model,
        openers=await make_openers(voice, settings.language) if answer_s else (),
        first_wait_s=answer_s,
    )
    conversation = Conversation(settings, speech_engines, fake_render, transport, journal, clock)
    if floor is not None and conversation.floor is not None:
        conversation.floor.on_probability = lambda *hop: floor.append(FloorMoment(*hop))
    await engines.llm.warm(conversation.history.recent)
    await conversation.run()
    return transport.heard()


class _PauseWatcher:
    """Reads the journal as it is written, and asks the turn model at each pause's onset."""

    def __init__(self, engines: ListeningEngines, clock: Clock, sound: Pcm) -> None:
        self._model = engines.turn_model
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
                pause.text, pause.words_s = event.text, event.t
                pause.words = event.completeness if event.words is None else event.words
                pause.signs, pause.usual_pause_s = event.signs, event.usual_pause_s

    async def finish(self) -> None:
        await asyncio.gather(*self._asked)

    async def _ask(self, pause: HeardPause) -> None:
        assert self._model is not None
        heard = self._sound[round(self._turn_from_s * HEARD_HZ) : round(pause.known_s * HEARD_HZ)]
        pause.voice = await self._model.ended(heard)
        pause.voice_s = self._clock.now()


class RecordedCaller(ScriptedTransport):
    """A transport whose caller is a recording; the conversation ends when it is over."""

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """The recording in blocks, without what does not fill one."""
        blocks = len(self._caller) // HOP_SAMPLES
        if not blocks:
            return
        async for block in super().microphone():
            yield block
            blocks -= 1
            if not blocks:
                return

    def flush(self) -> None:
        """What is left of the unit that is played falls silent, as with a device."""
        if self.units and self._clock.now() < (last := self.units[-1]).start_s + 1 / self.fps:
            at = round((self._clock.now() - last.start_s) * PLAYED_HZ)
            self.units[-1] = replace(last, pcm=faded_from(last.pcm, at))

    def heard(self) -> Pcm:
        """Everything that was played, from time zero at 24 kHz; silence where nothing was."""
        silence = np.zeros(PLAYED_HZ // self.fps, np.int16)
        played = {unit.index: unit.pcm for unit in self.units}
        pieces = [played.get(index, silence) for index in range(max(played, default=-1) + 1)]
        return np.concatenate([silence[:0], *pieces])


class SteadyVoice:
    """A voice that speaks every text as `seconds` of one loud tone."""

    name = "steady"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def warm(self) -> None:
        """Nothing to load."""

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        """The tone in pieces of at most 2 s, each with the whole text as its word."""
        left_s = self._seconds
        while left_s > 0:
            piece_s = min(left_s, _PIECE_S)
            pcm = np.full(round(piece_s * PLAYED_HZ), TONE, np.int16)
            pcm[1::2] = -TONE
            yield Speech(pcm, words=(Word(0, len(text), 0.0, piece_s),))
            left_s -= piece_s
            await asyncio.sleep(0)

    def close(self) -> None:
        """Nothing to release."""


class FixedAnswerLlm:
    """A language model that judges turns as the real one does, but answers with one fixed sentence, after
    `answer_s` seconds."""

    def __init__(self, model: LlmEngine, answer: str, answer_s: float = 0.0) -> None:
        self.name = model.name
        self.warm, self.prefill, self.completeness = model.warm, model.prefill, model.completeness
        self.structured = model.structured
        self._answer = answer
        self._answer_s = answer_s

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """The fixed sentence."""
        await asyncio.sleep(self._answer_s)
        yield self._answer

    async def close(self) -> None:
        """Leave the model alone: it belongs to whoever built it."""


def room_tone(pcm: Pcm, seconds: float) -> Pcm:
    """Noise as loud as the quietest twentieth of a recording: what would be heard had it gone on."""
    frames = pcm[: len(pcm) // 320 * 320].reshape(-1, 320).astype(np.float32)
    levels = np.sort(np.sqrt(np.mean(np.square(frames), axis=1))) if len(frames) else np.ones(1)
    level = float(levels[len(levels) // 20])
    noise = np.random.default_rng(0).normal(0, 1, round(seconds * HEARD_HZ)) * max(level, 0.5)
    return np.clip(np.rint(noise), -32768, 32767).astype(np.int16)
