"""`cvi bench ab`: the callers' blocks to other systems in turn, read by the same probe as our own answers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES, PLAYED_HZ, Pcm
from cvi.audio.level import level_db
from cvi.audio.resample import Resampler
from cvi.bench.ab_peers import BLOCK_S, BLOCK_SAMPLES, SpeechPeer
from cvi.bench.measured_session import interleaved, unanswered_notes
from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.session_measurement import MeasuredSession, measure
from cvi.bench.probe.tap import RoomSound
from cvi.bench.recordings.caller_blocks import CallerBlock
from cvi.bench.run import OwnCost, Run, Variant
from cvi.bench.run_store import RunRecorder
from cvi.clock import Clock
from cvi.media.decode import write_wav
from cvi.media.readers import AudioReader
from cvi.transport.caller import PATIENCE_S, CallerTrack
from cvi.transport.scenario import Scenario, split_by_silence

# A reply is over when nothing was heard for so long: longer than a pause between two sentences.
REPLY_OVER_S = 1.2
# What counts as a voice: quieter sound is a line's hiss, or a system's "comfort noise".
VOICE_DB = -50.0
# A peer's sound is read in blocks of this rate, as if there were frames; there is no picture.
_BLOCKS_PER_S = 25
# Later than this, a block of the caller's sound was so late that its answer's time is in doubt.
MOST_LAG_MS = 2 * 1000 * BLOCK_S
_HOP = round(HOP_S * PLAYED_HZ)


@dataclass(frozen=True, slots=True)
class PeerSetup:
    """A system to measure: its name in the run, and what makes a connection to it, one a block."""

    name: str
    about: str
    connect: Callable[[], SpeechPeer]


@dataclass(frozen=True, slots=True)
class PeerConversation:
    """Caller and peer on one axis from the conversation's beginning, int16: `caller` (n,) at HEARD_HZ, with
    the room's noise as the peer heard it; `peer` (m,) at PLAYED_HZ.

    `worst_lag_ms`: how late a block of the caller's sound was handed over at most. A peer, or a machine,
    that holds the caller up by more than a block spoils the measurement.
    """

    caller: Pcm
    peer: Pcm
    worst_lag_ms: float

    def evidence(self, session: str) -> Evidence:
        """The conversation as the probe reads it; without a picture."""
        caller = _rows(self.caller, HOP_SAMPLES)
        peer = _rows(self.peer, PLAYED_HZ // _BLOCKS_PER_S)
        return Evidence(
            session=session,
            fps=_BLOCKS_PER_S,
            caller_times_s=np.arange(1, len(caller) + 1, dtype=np.float64) * (HOP_SAMPLES / HEARD_HZ),
            caller_pcm=caller,
            frame_times_s=np.arange(len(peer), dtype=np.float64) / _BLOCKS_PER_S,
            persona_pcm=peer,
            mouths=None,
            flush_times_s=np.zeros(0),
        )


async def measure_peers(
    setups: Sequence[PeerSetup],
    blocks: Sequence[CallerBlock],
    recorder: RunRecorder,
    *,
    ready_s: float = 0.0,
    progress: Callable[[str], None] = lambda step: None,
) -> Run:
    """Each block to each peer, peers taking turns; the run and its recordings are written.

    `ready_s` is given to a peer between connecting and the caller's first block. Raises EngineError and
    its like when a peer fails, CviError when a session cannot be measured.
    """
    sessions: dict[str, list[MeasuredSession]] = defaultdict(list)
    lags_ms: dict[str, float] = defaultdict(float)
    for number, block, setup in interleaved(blocks, setups):
        session = f"{_file_name(setup.name)}-{number:02d}-{block.name}"
        progress(f"{session}: {len(block.turns)} turns")
        held = await _hold(setup, block, ready_s)
        lags_ms[setup.name] = max(lags_ms[setup.name], held.worst_lag_ms)
        for end, pcm, rate_hz in (("caller", held.caller, HEARD_HZ), ("peer", held.peer, PLAYED_HZ)):
            recorder.files.append(f"{session}.{end}.wav")
            write_wav(recorder.folder / recorder.files[-1], pcm, rate_hz)
        found = measure(held.evidence(session), block.turns, block.voice(), setup.name)
        sessions[setup.name].append(found)
    variants = [
        Variant(
            name=setup.name,
            about=setup.about,
            turns=tuple(turn for session in sessions[setup.name] for turn in session.turns),
            barge_ins=tuple(cut for session in sessions[setup.name] for cut in session.barge_ins),
        )
        for setup in setups
    ]
    recorder.notes.append("Sound only: a peer's picture is not measured.")
    for variant in variants:
        recorder.notes += unanswered_notes(variant)
        if lags_ms[variant.name] > MOST_LAG_MS:
            recorder.notes.append(
                f"{variant.name}: the caller's sound came up to {lags_ms[variant.name]:.0f} ms late; "
                "the machine was too busy, or the peer held it up."
            )
    # Peers run outside of this process, which does nothing but measure.
    cpu_s, wall_s = round(recorder.cpu_s, 2), round(recorder.elapsed_s, 1)
    return recorder.finish(variants, own_cost=OwnCost(cpu_s, cpu_s, wall_s), duration_s=wall_s)


async def converse(
    peer: SpeechPeer,
    scenario: Scenario,
    clock: Clock,
    room: RoomSound | None = None,
) -> PeerConversation:
    """Hold it to its end: the caller has said everything, and the last answer is over (or never came).

    The peer is open. Each segment starts 0.6 s after the answer to the one before is over, or when there was
    none for 12 s. `room` is what is heard beside the caller. `clock` is restarted. Raises EngineError when
    the peer fails.
    """
    playback = PeerPlayback(peer.out_hz)
    sound = AudioReader(scenario.audio)  # blocks for milliseconds, before the clock starts
    try:
        segments = scenario.segments or split_by_silence(scenario.audio)
        call = _Call(CallerTrack(sound, segments), playback, room or RoomSound())
        clock.restart()
        listening = asyncio.create_task(_listen(peer, playback, clock))
        try:
            while not call.over:
                await clock.sleep_until(call.heard_to_s + BLOCK_S)
                if listening.done():
                    listening.result()
                await peer.hear(call.next_block(clock.now()))
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
    finally:
        sound.close()
    playback.finish()
    return PeerConversation(call.caller(), playback.between(0.0, call.heard_to_s), call.worst_lag_s * 1000)


class PeerPlayback:
    """What is heard of a peer: its pieces of sound laid where a loudspeaker would play them.

    A piece begins when it comes, or where the one before it ends, whichever is later. So a system that sends
    a whole reply at once, one that sends it at the pace of speech, and one that sends silence all the time
    are heard as a person would hear them. Sound at PLAYED_HZ; sample 0 is the conversation's beginning.
    """

    def __init__(self, from_hz: int = HEARD_HZ) -> None:
        """`from_hz` is the peer's rate."""
        self._resampler = Resampler(from_hz, PLAYED_HZ)
        self._pieces: list[tuple[int, Pcm]] = []
        self._end = 0
        self._voiced: list[tuple[int, int]] = []

    def add(self, pcm: Pcm, at_s: float) -> None:
        """A piece came at `at_s`."""
        came = max(0, round(at_s * PLAYED_HZ))
        if came > self._end:
            # A pause: what the filter still holds belongs before it.
            self._lay(self._resampler.flush(), self._end)
            self._end = max(came, self._end)
        self._lay(self._resampler.push(pcm), self._end)

    def clear(self, at_s: float) -> None:
        """The peer was interrupted: what is later than `at_s` is never played."""
        self._resampler.reset()
        cut = max(0, round(at_s * PLAYED_HZ))
        pieces = [(start, pcm[: cut - start]) for start, pcm in self._pieces if start < cut]
        self._pieces = [(start, pcm) for start, pcm in pieces if len(pcm)]
        self._voiced = [(start, min(end, cut)) for start, end in self._voiced if start < cut]
        self._end = min(self._end, cut)

    def finish(self) -> None:
        """Nothing more will come."""
        self._lay(self._resampler.flush(), self._end)

    def last_voice_s(self, now_s: float) -> float | None:
        """When a voice was last heard, `now_s` at most; None when there was none yet."""
        now = round(now_s * PLAYED_HZ)
        for start, end in reversed(self._voiced):
            if start < now:
                return min(end, now) / PLAYED_HZ
        return None

    def between(self, from_s: float, to_s: float) -> Pcm:
        """What was heard in a span, silence included."""
        first, last = round(from_s * PLAYED_HZ), round(to_s * PLAYED_HZ)
        heard = np.zeros(last - first, np.int16)
        for start, pcm in reversed(self._pieces):
            begin, end = max(start, first), min(start + len(pcm), last)
            if begin < end:
                heard[begin - first : end - first] = pcm[begin - start : end - start]
            elif start + len(pcm) <= first:
                break
        return heard

    def _lay(self, pcm: Pcm, start: int) -> None:
        if not len(pcm):
            return
        self._pieces.append((start, pcm))
        self._end = start + len(pcm)
        for at in range(0, len(pcm), _HOP):
            hop = pcm[at : at + _HOP]
            if level_db(hop) > VOICE_DB:
                span = (start + at, start + at + len(hop))
                if self._voiced and self._voiced[-1][1] == span[0]:
                    span = (self._voiced.pop()[0], span[1])
                self._voiced.append(span)


class _Call:
    """Where the caller is in what it has to say, and whether it is answered."""

    def __init__(self, track: CallerTrack, playback: PeerPlayback, room: RoomSound) -> None:
        self._track = track
        self._playback = playback
        self._room = room
        self._blocks: list[Pcm] = []
        self._answer_over = False
        self.worst_lag_s = 0.0

    @property
    def heard_to_s(self) -> float:
        return len(self._blocks) * BLOCK_S

    def next_block(self, now_s: float) -> Pcm:
        """20 ms more of the caller, which end now."""
        start = len(self._blocks) * BLOCK_SAMPLES
        self.worst_lag_s = max(self.worst_lag_s, now_s - self.heard_to_s - BLOCK_S)
        self._room.played(self._playback.between(self.heard_to_s - BLOCK_S, self.heard_to_s))
        pcm = self._room.add_to(self._track.read(start, start + BLOCK_SAMPLES))
        self._track.forget(start)
        self._blocks.append(pcm)
        self._follow_answer(self.heard_to_s)
        return pcm

    @property
    def over(self) -> bool:
        over_at = self._track.over_at
        if over_at is None or self.heard_to_s * HEARD_HZ <= over_at:
            return False
        over_s, voice_s = over_at / HEARD_HZ, self._playback.last_voice_s(self.heard_to_s) or 0.0
        silent_s = self.heard_to_s - max(over_s, voice_s)
        return (voice_s > over_s and silent_s > REPLY_OVER_S) or silent_s > PATIENCE_S

    def caller(self) -> Pcm:
        return np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)

    def _follow_answer(self, now_s: float) -> None:
        """Tell the caller when something is heard, and when it has been over for a while."""
        voice_s = self._playback.last_voice_s(now_s)
        if voice_s is None:
            return
        if now_s - voice_s < REPLY_OVER_S:
            self._track.persona_heard(voice_s)
            self._answer_over = False
        elif not self._answer_over:
            self._answer_over = True
            # Nobody can know sooner that it is over; the caller waits its usual 0.6 s more.
            self._track.reply_ended(now_s)


async def _listen(peer: SpeechPeer, playback: PeerPlayback, clock: Clock) -> None:
    async with aclosing(peer.speech()) as speech:
        async for pcm in speech:
            if pcm is None:
                playback.clear(clock.now())
            else:
                playback.add(pcm, clock.now())


async def _hold(setup: PeerSetup, block: CallerBlock, ready_s: float) -> PeerConversation:
    room = RoomSound(block.room_noise(), block.room.echo_db, block.room.echo_delay_ms)
    peer = setup.connect()
    try:
        await peer.open()
        await asyncio.sleep(ready_s)
        return await converse(peer, block.scenario, Clock(), room)
    finally:
        await peer.close()


def _rows(pcm: Pcm, samples: int) -> Pcm:
    whole = -(-len(pcm) // samples) * samples
    return np.pad(pcm, (0, whole - len(pcm))).reshape(-1, samples)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")[:40] or "peer"
