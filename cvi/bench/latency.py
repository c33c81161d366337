"""`cvi bench latency`: callers into the running system, measured at ear and eye, beside the plain way.

Sides (ways to answer, ways to reach) take turns block by block (ours, the other, the other, ours, ...), each
block a conversation of its own with the same engines, so that whatever the machine does meanwhile happens
to all.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cvi.bench.added import on_the_way
from cvi.bench.agreement import agreements, with_journal, with_own_barge_ins
from cvi.bench.callers.block import CallerBlock
from cvi.bench.contenders import Contender, contenders
from cvi.bench.fingerprint import take_fingerprint
from cvi.bench.probe.evidence import Evidence, save_evidence
from cvi.bench.probe.measuring import MeasuredSession, joined, measure
from cvi.bench.probe.mouth import MouthLook, learn_mouth
from cvi.bench.remote_peer.call import RemotePeerCost
from cvi.bench.run import Agreement, BargeInRecord, Figure, OwnCost, Run, TurnRecord, Variant
from cvi.bench.session import Held, Way, hold
from cvi.bench.statistics import theil_sen
from cvi.bench.variants import Policy
from cvi.conversation.events import ConversationEnded
from cvi.engines import ResolvedConfig, build_engine_set, conversation_settings
from cvi.media.decode import write_wav


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: the callers' blocks, who answers, how they are reached."""

    cast: ResolvedConfig
    blocks: Sequence[CallerBlock]
    policies: Sequence[Policy]
    ways: Sequence[Way]
    folder: Path
    command: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class _Collected:
    """What has come of one side so far."""

    measured: list[MeasuredSession] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)


async def measure_latency(
    plan: Plan,
    *,
    progress: Callable[[str], None] = lambda step: None,
) -> Run:
    """Hold all sessions, in real time, and measure them. Recordings are kept in the plan's folder.

    Raises CviError when engines cannot be built or a session cannot be measured.
    """
    # As `cvi talk`: a frame must not wait five milliseconds for the interpreter.
    sys.setswitchinterval(0.001)
    began, began_s = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    settings = conversation_settings(plan.cast, "bench")
    way, variants_held = plan.ways[0], contenders(plan.policies, plan.ways)
    progress("Warming up")
    engines = await build_engine_set(plan.cast, settings, width=way.width, height=way.height, fps=way.fps)
    collected = {variant.name: _Collected() for variant in variants_held}
    try:
        face = engines.face
        assert face is not None, "an engine set for measuring has a face"
        progress("Learning how the mouth looks at rest")
        look = await asyncio.to_thread(learn_mouth, face.render, way.width, way.height)
        cpu_began, wall_began = time.process_time(), time.monotonic()
        for number, block in enumerate(plan.blocks):
            for variant in variants_held if number % 2 == 0 else reversed(variants_held):
                session = f"{variant.name}-{number + 1:02d}-{block.name}"
                progress(f"{session}: {len(block.turns)} turns")
                layers, render = engines.layers, engines.render
                held = await hold(
                    session,
                    block,
                    variant.policy,
                    settings,
                    layers,
                    render,
                    variant.way,
                    look.box,
                    plan.folder,
                )
                collected[variant.name].held.append(held)
        process_cpu_s, wall_s = time.process_time() - cpu_began, time.monotonic() - wall_began
    finally:
        await engines.close()
    progress("Measuring what was recorded")
    variants, checks, files = _read(plan, variants_held, collected, look)
    engine_names = {layer: getattr(plan.cast, layer).engine for layer in ("stt", "llm", "tts", "face")}
    return Run(
        kind="latency",
        command=plan.command,
        began=began,
        duration_s=round(time.monotonic() - began_s, 1),
        fingerprint=take_fingerprint(plan.cast.profile.name, engine_names).as_data(),
        variants=tuple(variants),
        options=dict(plan.options),
        agreement=tuple(checks),
        own_cost=OwnCost(
            probe_cpu_s=round(
                sum(held.probe_cpu_s for variant in collected.values() for held in variant.held), 2
            ),
            process_cpu_s=round(process_cpu_s, 2),
            wall_s=round(wall_s, 1),
        ),
        files=tuple(files),
        notes=tuple(_notes(plan.blocks, variants, collected)),
    )


def _read(
    plan: Plan, contending: Sequence[Contender], collected: dict[str, _Collected], look: MouthLook
) -> tuple[list[Variant], list[Agreement], list[str]]:
    """The figures of every side, from what its sessions left."""
    variants: list[Variant] = []
    checks: list[Agreement] = []
    files: list[str] = []
    for contender in contending:
        name, variant = contender.name, collected[contender.name]
        turns: list[TurnRecord] = []
        barge_ins: list[BargeInRecord] = []
        seams: list[tuple[MeasuredSession, MeasuredSession]] = []
        for block, held in zip(plan.blocks, variant.held, strict=True):
            voice = block.voice()
            measured = measure(held.evidence, block.turns, voice, name, look, partial=True)
            variant.measured.append(measured)
            if held.seam is not None:
                seams.append((measured, measure(held.seam, block.turns, voice, name, partial=True)))
            turns += with_journal(measured.turns, held.events)
            barge_ins += with_own_barge_ins(measured.barge_ins, held.events)
            files += [path.name for path in (*_write(held.evidence, plan.folder), *held.files)]
        playout = joined(variant.measured, _drift(variant.measured))
        dropped = sum(_dropped(held) for held in variant.held)
        engines = {layer: getattr(plan.cast, layer).engine for layer in ("stt", "llm", "tts", "face")}
        variants.append(
            Variant(
                name=name,
                about=contender.about,
                engines=engines,
                turns=tuple(turns),
                barge_ins=tuple(barge_ins),
                playout=replace(playout, dropped=dropped),
                figures=(*on_the_way(seams), *_first_pictures(variant.held)) if seams else (),
            )
        )
        weather = contender.way.weather if seams else None
        checks += agreements(
            name,
            turns,
            jitter_ms=_jitter_ms(contender.way) if seams else None,
            loses=weather is not None and weather.loses,
        )
    return variants, checks, files


def _first_pictures(held: Sequence[Held]) -> tuple[Figure, ...]:
    """How soon there was something to see, a value a session."""
    seen = [one.evidence.frame_times_s for one in held if len(one.evidence.frame_times_s)]
    values = tuple(round(1000 * float(times_s[0]), 1) for times_s in seen)
    return (Figure("first_picture_ms", "conversation begun to first picture", "ms", values),)


def _jitter_ms(way: Way) -> float:
    return 1000 * way.weather.jitter_s if way.weather is not None else 0.0


def _write(evidence: Evidence, folder: Path) -> list[Path]:
    """Both sides as they were heard, and when each block and picture came: what all figures are made of."""
    caller, persona = evidence.caller(), evidence.persona()
    paths = [folder / f"{evidence.session}.{end}" for end in ("caller.wav", "persona.wav", "evidence.npz")]
    write_wav(paths[0], caller.pcm, caller.rate_hz)
    write_wav(paths[1], persona.pcm, persona.rate_hz)
    save_evidence(evidence, paths[2])
    return paths


def _drift(sessions: Sequence[MeasuredSession]) -> tuple[float, float, float] | None:
    """Milliseconds a minute, over each session from its beginning: the slope that all of them share."""
    points: list[tuple[float, float]] = []
    for session in sessions:
        offsets = [point.offset_ms for point in session.sync]
        if len(offsets) >= 2:
            middle = float(np.median(offsets))
            points += [(point.at_s / 60, point.offset_ms - middle) for point in session.sync]
    slope = theil_sen(points)
    return None if slope is None else (round(slope.value, 2), round(slope.low, 2), round(slope.high, 2))


def _dropped(held: Held) -> int:
    """Frame periods between the first frame and the last in which none came."""
    times_s = held.evidence.frame_times_s
    if len(times_s) < 2:
        return 0
    wanted = round(float(times_s[-1] - times_s[0]) * held.evidence.fps) + 1
    return max(wanted - len(times_s), 0)


def _notes(
    blocks: Sequence[CallerBlock], variants: Sequence[Variant], collected: dict[str, _Collected]
) -> list[str]:
    notes: list[str] = []
    for variant in variants:
        for block, held in zip(blocks, collected[variant.name].held, strict=True):
            session = held.evidence.session
            lost = len(block.turns) - sum(turn.session == session for turn in variant.turns)
            last = held.events[-1]
            if isinstance(last, ConversationEnded) and last.reason == "took_too_long":
                echo_db = block.room.echo_db
                heard = f", its own voice coming back {echo_db:g} dB" if echo_db is not None else ""
                notes.append(f"{session} did not come to an end{heard}, and was stopped.")
            if lost:
                notes.append(f"{session}: {lost} of {len(block.turns)} turns were not said or not found.")
        answered = sum(turn.first_audio_ms is not None for turn in variant.turns)
        wanted = sum(turn.kind != "backchannel" for turn in variant.turns)
        if answered < wanted:
            notes.append(f"{variant.name}: {wanted - answered} of {wanted} turns got no answer of their own.")
        far = [held.far for held in collected[variant.name].held if held.far is not None]
        notes += _far_notes(variant.name, far)
    return notes


def _far_notes(name: str, far: Sequence[RemotePeerCost]) -> list[str]:
    """What the far end took of the same machine, and what did not reach it."""
    if not far:
        return []
    cpu_s, wall_s = sum(one.cpu_s for one in far), sum(one.wall_s for one in far)
    notes = [
        f"{name}: the far end, a process of its own on this machine, took {cpu_s:.1f} s of processor time in "
        f"{wall_s:.0f} s of calls: {100 * cpu_s / wall_s:.0f} % of a core. Its ear held sound back for "
        f"{min(one.held_ms for one in far):.0f} to {max(one.held_ms for one in far):.0f} ms."
    ]
    lost, late = sum(one.lost for one in far), sum(one.late for one in far)
    pictures = sum(one.pictures_lost for one in far)
    if lost or late or pictures:
        notes.append(f"{name}: {lost} packets of sound lost, {late} too late, {pictures} pictures lost.")
    return notes
