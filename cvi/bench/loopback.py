"""`cvi bench loopback`: the measuring path measured by a peer that answers a known time after the caller.

The peer stands in a conversation's place, on the same transport, tap and clock, with a real face and its
moving head, and hears nothing: it knows from the labels when the caller ends, and speaks that many
milliseconds later. What the probe says beyond that is the probe's own error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.bench.probe.evidence import Evidence, SoundTrack, save_evidence
from cvi.bench.probe.mouth_motion import MouthAppearance, learn_mouth_at_rest
from cvi.bench.probe.session_measurement import MeasuredSession, measure, playout_of
from cvi.bench.probe.tap import MemorySink, Tap
from cvi.bench.probe.waveform import envelope
from cvi.bench.recordings.caller_blocks import CallerBlock, build_blocks
from cvi.bench.recordings.recipe import find_recipe, load_recipe
from cvi.bench.run import Figure, Run, Variant
from cvi.bench.run_store import RunRecorder
from cvi.clock import Clock
from cvi.conversation.playout import Render
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.face.base import Activity, Controls, FaceEngine, FaceSettings, MouthShape
from cvi.face.behaviour import Behaviour
from cvi.face.replica import find_replica, load_replica_card
from cvi.media.frames import AVUnit, Frame
from cvi.threads import NativeThread
from cvi.transport.base import Transport
from cvi.transport.file import FileTransport

CALLERS = "smoke"
DELAYS_MS = (0, 100, 250, 500)
TOLERANCE_MS = 5.0
_TAIL_S = 0.6
_OPEN = 0.7
_ENVELOPE_S = 0.04
_LOUD = 2000


@dataclass(frozen=True, slots=True)
class LoopbackAnswer:
    """One measured answer of the loopback. `picture_true_ms` is when its first open mouth was shown."""

    delay_ms: float
    turn: str
    sound_ms: float | None
    picture_ms: float | None
    picture_true_ms: float

    @property
    def sound_error_ms(self) -> float | None:
        """Measured less true; None when it was not heard."""
        return None if self.sound_ms is None else self.sound_ms - self.delay_ms

    @property
    def picture_error_ms(self) -> float | None:
        """Measured less true; None when it was not seen."""
        return None if self.picture_ms is None else self.picture_ms - self.picture_true_ms


async def run_loopback(
    replica: str,
    turns: int,
    size: tuple[int, int],
    fps: int,
    recorder: RunRecorder,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[Run, list[LoopbackAnswer]]:
    """One session a delay, in real time; the run is written. Raises UsageError, CviError."""
    card = load_replica_card(find_replica(replica))
    face: FaceEngine = build("face", card.renderer, FaceSettings(card.folder, *size, fps))
    (block,) = build_blocks(load_recipe(find_recipe(CALLERS)), turns=turns)
    recorder.options["replica"] = card.name
    answers: list[LoopbackAnswer] = []
    sessions: list[MeasuredSession] = []
    thread = NativeThread("face")

    async def draw(controls: Controls) -> Frame:
        return await thread.run(lambda: face.render(controls))

    try:
        progress("Learning how the mouth looks at rest")
        appearance = await thread.run(lambda: learn_mouth_at_rest(face.render, *size))
        for delay_ms in DELAYS_MS:
            progress(f"Answering after {delay_ms} ms")
            evidence, measured, found = await loopback_session(block, delay_ms, draw, appearance, fps=fps)
            answers += found
            sessions.append(measured)
            path = recorder.folder / f"{evidence.session}.evidence.npz"
            await asyncio.to_thread(save_evidence, evidence, path)
            recorder.files.append(path.name)
    finally:
        thread.close()
        face.close()
    variant = Variant(
        name="loopback",
        about="a peer that answers a known time after the caller's last sound",
        turns=tuple(turn for session in sessions for turn in session.turns),
        playout=playout_of(sessions, None),
        figures=tuple(_figures(answers)),
    )
    return recorder.finish([variant], duration_s=round(recorder.elapsed_s, 1)), answers


def judge_loopback(answers: Sequence[LoopbackAnswer], fps: int) -> None:
    """Raise CviError when a sound is off by more than TOLERANCE_MS, or a picture by a frame more."""
    # A frame either way, and what the clock's reading is worth.
    allowed_ms = {"sound": TOLERANCE_MS, "picture": 1000 / fps + TOLERANCE_MS}
    for answer in answers:
        errors = {"sound": answer.sound_error_ms, "picture": answer.picture_error_ms}
        for kind, error_ms in errors.items():
            if error_ms is not None and abs(error_ms) <= allowed_ms[kind]:
                continue
            missing = "was not heard" if kind == "sound" else "was not seen"
            complaint = missing if error_ms is None else f"is off by {error_ms:+.1f} ms"
            raise CviError(
                f"The {kind} of turn {answer.turn} at {answer.delay_ms:.0f} ms {complaint}.",
                "Is the machine busy? Measure on an idle one.",
            )


async def loopback_session(
    block: CallerBlock,
    delay_ms: float,
    render: Render,
    appearance: MouthAppearance,
    *,
    fps: int = 25,
    now: Callable[[], float] = time.monotonic,
    transport: Callable[[Clock], Transport] | None = None,
) -> tuple[Evidence, MeasuredSession, list[LoopbackAnswer]]:
    """One session with one delay, in real time. The peer answers with the caller's own first words.

    `transport` makes another one than the file transport for a clock; `now` is the probe's clock.
    """
    clock = Clock()
    inner = transport(clock) if transport is not None else _file_transport(block, clock, fps)
    sink = MemorySink(appearance.box)
    tap = Tap(inner, sink, now=now)
    voice = block.voice()
    script = _Script.of(block, _first_words(block, voice), delay_ms, fps)
    await tap.open()
    try:
        await _perform(tap, clock, script, render)
    finally:
        await tap.close()
    evidence = sink.evidence(f"loopback-{delay_ms:g}", fps, tap.zero_s)
    measured = measure(evidence, block.turns, voice, "loopback", appearance)
    answers = [
        LoopbackAnswer(delay_ms, turn.id, record.first_audio_ms, record.first_frame_ms, true_ms)
        for turn, record, true_ms in zip(
            block.turns, measured.turns, _open_mouths_ms(block, script, delay_ms, fps), strict=True
        )
    ]
    return evidence, measured, answers


@dataclass(frozen=True, slots=True)
class _Script:
    """What the peer does: the sound of the whole session at PLAYED_HZ, and how open the mouth is in each
    frame."""

    sound: Pcm
    opening: list[float]

    @staticmethod
    def of(block: CallerBlock, answer: Pcm, delay_ms: float, fps: int) -> _Script:
        end_s = block.turns[-1].end_s + delay_ms / 1000 + len(answer) / PLAYED_HZ + _TAIL_S
        frames = round(end_s * fps)
        sound = np.zeros(frames * PLAYED_HZ // fps, np.int16)
        for turn in block.turns:
            at = round((turn.speech_end_s + delay_ms / 1000) * PLAYED_HZ)
            sound[at : at + len(answer)] = answer
        middles = (np.arange(frames) + 0.5) / fps
        loud = envelope(SoundTrack(sound, 0.0, PLAYED_HZ), middles, _ENVELOPE_S)
        return _Script(sound, (loud / max(float(loud.max()), 1e-9)).tolist())


async def _perform(transport: Transport, clock: Clock, script: _Script, render: Render) -> None:
    """Play the script, unit by unit, as a conversation's performance would."""
    behaviour = Behaviour(0)
    fps, samples = transport.fps, PLAYED_HZ // transport.fps

    async def draw(index: int) -> Frame:
        opening = script.opening[index]
        activity: Activity = "speaking" if opening else "listening"
        mouth = MouthShape(jaw=_OPEN * opening)
        return await render(behaviour.advance((index + 0.5) / fps, activity, mouth))

    async def listen() -> None:
        async for _ in transport.microphone():
            pass

    frame = await draw(0)
    clock.restart()
    listening = asyncio.create_task(listen())
    try:
        for index in range(len(script.opening)):
            await transport.due(index)
            pcm = script.sound[index * samples : (index + 1) * samples]
            transport.present(AVUnit(index, index / fps, frame, pcm, 1 if pcm.any() else 0))
            if index + 1 < len(script.opening):
                frame = await draw(index + 1)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _open_mouths_ms(block: CallerBlock, script: _Script, delay_ms: float, fps: int) -> list[float]:
    """After each turn's end, when the first frame was due whose mouth is open by a tenth, ms."""
    found: list[float] = []
    for turn in block.turns:
        first = int((turn.speech_end_s + delay_ms / 1000) * fps)
        index = next(n for n in range(max(first - 1, 0), len(script.opening)) if script.opening[n] > 0.1)
        found.append(1000 * (index / fps - turn.speech_end_s))
    return found


def _first_words(block: CallerBlock, voice: Pcm) -> Pcm:
    """The caller's own first words from their first loud sample on: an onset that leaves no doubt when."""
    turn = block.turns[0]
    words = voice[round(turn.speech_start_s * HEARD_HZ) : round(turn.speech_end_s * HEARD_HZ)]
    played = resample(words, HEARD_HZ, PLAYED_HZ)
    return played[int(np.flatnonzero(np.abs(played) > _LOUD)[0]) :]


def _file_transport(block: CallerBlock, clock: Clock, fps: int) -> Transport:
    return FileTransport(block.scenario, None, clock=clock, fps=fps, recording=None)


def _figures(answers: Sequence[LoopbackAnswer]) -> list[Figure]:
    figures: list[Figure] = []
    for delay_ms in DELAYS_MS:
        same = [answer for answer in answers if answer.delay_ms == delay_ms]
        for kind in ("sound", "picture"):
            errors = [getattr(answer, f"{kind}_error_ms") for answer in same]
            values = tuple(round(error, 3) for error in errors if error is not None)
            label = f"{kind}, {delay_ms} ms: measured less true"
            figures.append(Figure(f"{kind}_error_ms_at_{delay_ms}", label, "ms", values))
    return figures
