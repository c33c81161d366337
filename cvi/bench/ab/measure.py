"""Peers measured: the callers' blocks to each in turn, read by the same probe as our own answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, PLAYED_HZ, Pcm
from cvi.bench.ab.converse import Heard, converse
from cvi.bench.ab.peer import BLOCK_S, Peer
from cvi.bench.callers.block import CallerBlock, CallerTurn
from cvi.bench.callers.recipe import RoomAcoustics
from cvi.bench.fingerprint import take_fingerprint
from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.measuring import MeasuredSession, measure
from cvi.bench.probe.tap import RoomSound
from cvi.bench.run import OwnCost, Run, Variant
from cvi.clock import Clock
from cvi.media.decode import read_audio, write_wav
from cvi.transport.scenario import LEAD_S, Scenario, load_scenario, split_by_silence

# A peer's sound is read in blocks of this rate, as if there were frames; there is no picture.
_BLOCKS_PER_S = 25
# Later than this, a block of the caller's sound was so late that its answer's time is in doubt.
MOST_LAG_MS = 2 * 1000 * BLOCK_S


@dataclass(frozen=True, slots=True)
class Contender:
    """A system to measure: its name in the run, and what makes a connection to it, one a block."""

    name: str
    about: str
    connect: Callable[[], Peer]


@dataclass(frozen=True, slots=True)
class Caller:
    """One conversation's worth of caller: what is played, its labels, the room around it."""

    name: str
    scenario: Scenario
    turns: tuple[CallerTurn, ...]
    bed: Path | None = None
    room: RoomAcoustics = field(default_factory=RoomAcoustics)

    def voice(self) -> Pcm:
        """What the labels are about, at HEARD_HZ."""
        return read_audio(self.scenario.audio)

    def around(self) -> RoomSound:
        bed = read_audio(self.bed) if self.bed is not None else None
        return RoomSound(bed, self.room.echo_db, self.room.echo_delay_ms)


def caller_of_block(block: CallerBlock) -> Caller:
    """The callers that `cvi bench latency` plays."""
    scenario = load_scenario(block.scenario)
    scenario = replace(scenario, segments=scenario.segments[: len(block.turns)])
    return Caller(block.name, scenario, block.turns, block.bed, block.room)


def caller_of_file(path: Path, most: int | None = None) -> Caller:
    """A scenario file, or a recording parted where it is silent; `most` turns of it. Raises UsageError."""
    is_scenario = path.suffix.lower() in (".yaml", ".yml")
    scenario = load_scenario(path) if is_scenario else Scenario(path)
    segments = (scenario.segments or split_by_silence(scenario.audio))[:most]
    turns = tuple(
        CallerTurn(
            id=f"{path.stem}-{number:02d}",
            kind="barge_in" if segment.into_reply_s is not None else "question",
            text=segment.text,
            start_s=segment.start_s,
            end_s=segment.end_s,
            speech_start_s=segment.start_s + (0.0 if is_scenario else LEAD_S),
            speech_end_s=segment.speech_end_s if segment.speech_end_s is not None else segment.end_s,
            into_reply_s=segment.into_reply_s,
        )
        for number, segment in enumerate(segments, 1)
    )
    return Caller(path.stem, replace(scenario, segments=segments), turns)


async def measure_peers(
    contenders: Sequence[Contender],
    callers: Sequence[Caller],
    folder: Path,
    command: tuple[str, ...],
    options: dict[str, Any],
    *,
    ready_s: float = 0.0,
    progress: Callable[[str], None] = lambda step: None,
) -> Run:
    """Each caller to each peer, peers taking turns; recordings are kept in `folder`.

    `ready_s` is given to a peer between connecting and the caller's first block. Raises EngineError and
    its like when a peer fails, CviError when a session cannot be measured.
    """
    began, began_s, cpu_s = (
        datetime.now(UTC).isoformat(timespec="seconds"),
        time.monotonic(),
        time.process_time(),
    )
    sessions: dict[str, list[MeasuredSession]] = {contender.name: [] for contender in contenders}
    files: list[str] = []
    lags: dict[str, float] = {}
    for number, caller in enumerate(callers):
        order = contenders if number % 2 == 0 else list(reversed(contenders))
        for contender in order:
            session = f"{_plain(contender.name)}-{number + 1:02d}-{caller.name}"
            progress(f"{session}: {len(caller.turns)} turns")
            heard = await _held(contender, caller, ready_s)
            lags[contender.name] = max(lags.get(contender.name, 0.0), heard.worst_lag_ms)
            files += _keep(heard, folder, session)
            found = measure(evidence(heard, session), caller.turns, caller.voice(), contender.name)
            sessions[contender.name].append(found)
    used_s = time.process_time() - cpu_s
    wall_s = time.monotonic() - began_s
    return Run(
        kind="ab",
        command=command,
        began=began,
        duration_s=round(wall_s, 1),
        fingerprint=take_fingerprint().as_data(),
        variants=tuple(_variant(contender, sessions[contender.name]) for contender in contenders),
        options=options,
        # Peers run outside of this process, which does nothing but measure.
        own_cost=OwnCost(round(used_s, 2), round(used_s, 2), round(wall_s, 1)),
        files=tuple(files),
        notes=tuple(_notes(contenders, sessions, lags)),
    )


def evidence(heard: Heard, session: str) -> Evidence:
    """What was heard of a conversation, as the probe reads it; without a picture."""
    caller = _rows(heard.caller, HOP_SAMPLES)
    peer = _rows(heard.peer, PLAYED_HZ // _BLOCKS_PER_S)
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


async def _held(contender: Contender, caller: Caller, ready_s: float) -> Heard:
    peer = contender.connect()
    try:
        await peer.open()
        await asyncio.sleep(ready_s)
        return await converse(peer, caller.scenario, Clock(), room=caller.around())
    finally:
        await peer.close()


def _variant(contender: Contender, sessions: Sequence[MeasuredSession]) -> Variant:
    return Variant(
        name=contender.name,
        about=contender.about,
        turns=tuple(turn for session in sessions for turn in session.turns),
        barge_ins=tuple(cut for session in sessions for cut in session.barge_ins),
    )


def _notes(
    contenders: Sequence[Contender], sessions: dict[str, list[MeasuredSession]], lags: dict[str, float]
) -> list[str]:
    notes = ["Sound only: a peer's picture is not measured."]
    for contender in contenders:
        turns = [turn for session in sessions[contender.name] for turn in session.turns]
        wanted = [turn for turn in turns if turn.kind != "backchannel"]
        answered = sum(turn.first_audio_ms is not None for turn in wanted)
        if answered < len(wanted):
            missing = len(wanted) - answered
            notes.append(f"{contender.name}: {missing} of {len(wanted)} turns got no answer of their own.")
        if lags.get(contender.name, 0.0) > MOST_LAG_MS:
            notes.append(
                f"{contender.name}: the caller's sound came up to {lags[contender.name]:.0f} ms late; "
                "the machine was too busy, or the peer held it up."
            )
    return notes


def _keep(heard: Heard, folder: Path, session: str) -> list[str]:
    names = [f"{session}.caller.wav", f"{session}.peer.wav"]
    write_wav(folder / names[0], heard.caller, HEARD_HZ)
    write_wav(folder / names[1], heard.peer, PLAYED_HZ)
    return names


def _rows(pcm: Pcm, samples: int) -> Pcm:
    whole = -(-len(pcm) // samples) * samples
    return np.pad(pcm, (0, whole - len(pcm))).reshape(-1, samples)


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")[:40] or "peer"
