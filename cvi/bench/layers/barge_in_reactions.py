"""`cvi bench barge-in`: what the persona does when somebody speaks over it (protocol 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.bench.layers.measurement import (
    EngineRequest,
    ListeningEngines,
    count_sources,
    finish,
    listening_engines,
    milliseconds,
    proportion,
    show_progress,
)
from cvi.bench.layers.simulation import TONE, converse, run_simulated
from cvi.bench.layers.turns import ONE_CORE_EACH
from cvi.bench.recordings.labelled_recordings import Overlap, Recordings
from cvi.bench.run import Variant
from cvi.bench.run_store import RunRecorder
from cvi.errors import UsageError
from cvi.turns.thresholds import TurnThresholds

YIELDS_WITHIN_S = 3.0
FIT_YIELD_AFTER_S = (0.2, 0.3, 0.4, 0.6)
_GAP_S = 0.08
_CELL = PLAYED_HZ // 1000 * 2
_CELL_S = _CELL / PLAYED_HZ
_FULL = 0.97
_FULL_FOR_S = 0.3


@dataclass(frozen=True, slots=True)
class VoiceReaction:
    """What the persona's voice did; seconds after the onset of the other voice, None where it did not happen.

    `silent_s`: it had stopped; negative when it stopped before anybody spoke. `ducked_s`: it became quieter;
    `resumed_s`: it was at full loudness again, for a while, having neither stopped nor been cut.
    """

    silent_s: float | None
    ducked_s: float | None
    resumed_s: float | None

    @property
    def early(self) -> bool:
        """It stopped for a sound that the labels do not know, before the voice began."""
        return self.silent_s is not None and self.silent_s < 0

    @property
    def yielded(self) -> bool:
        """It stopped for the voice, in time."""
        return self.silent_s is not None and 0 <= self.silent_s <= YIELDS_WITHIN_S


def measure_barge_in(
    found: Recordings,
    *,
    data: str,
    persona: str,
    profile: str,
    slowness: float,
    fit: bool,
    recognized: Path | None,
    output: Path | None,
    json: bool,
) -> None:
    """Measure, store, print: at the default interruptibility, and at the persona's where that is another.

    Raises UsageError when nobody speaks over anybody in the recordings.
    """
    if not found.overlaps:
        raise UsageError(f"{data} has no voices over the other side's.", "`cvi bench turns` may fit it.")
    options = {"data": data, "persona": persona, "slowness": slowness}
    recorder = RunRecorder("barge-in", options | {"overlaps": count_sources(found.overlaps)}, output=output)
    recorder.notes.append(ONE_CORE_EACH)
    config = EngineRequest(persona, profile).resolved()
    recorder.profile = config.profile.name

    async def run() -> list[Variant]:
        async with listening_engines(config, None, recognized) as engines:
            own = TurnThresholds()
            tried = {"cvi": own}
            if replace(engines.settings.thresholds, commit_at=own.commit_at) != own:
                tried[f"as {persona} sets it"] = engines.settings.thresholds
            if fit:
                tried["fading or not"] = replace(own, fading_db=inf)
                for after_s in FIT_YIELD_AFTER_S:
                    by_s = max(own.decide_by_s, after_s)
                    tried[f"yield after {after_s:g} s"] = replace(
                        own, yield_after_s=after_s, decide_by_s=by_s
                    )
            progress = show_progress(len(tried) * len(found.overlaps))
            return [
                barge_in_variant(
                    found.overlaps,
                    await react(found.overlaps, engines, limits, progress),
                    engines.names,
                    name,
                )
                for name, limits in tried.items()
            ]

    finish(recorder, run_simulated(run(), slowness, wall=recorder.profile == "workstation"), json)


async def react(
    overlaps: Sequence[Overlap],
    engines: ListeningEngines,
    thresholds: TurnThresholds,
    progress: Callable[[str], None],
) -> list[VoiceReaction]:
    """Let the persona talk through every overlap. Runs on a `SimulatedLoop`."""
    engines = replace(engines, settings=replace(engines.settings, thresholds=thresholds))
    reactions: list[VoiceReaction] = []
    for overlap in overlaps:
        conversation = await converse(overlap.sound(), engines, monologue=True)
        reactions.append(voice_reaction(conversation.heard, overlap.onset_s))
        progress(overlap.id)
    return reactions


def barge_in_variant(
    overlaps: Sequence[Overlap], reactions: Sequence[VoiceReaction], names: dict[str, str], name: str = "cvi"
) -> Variant:
    """Protocol 3's figures, all read from the waveform that was heard."""
    in_time = [pair for pair in zip(overlaps, reactions, strict=True) if not pair[1].early]
    bids = [reaction for overlap, reaction in in_time if overlap.should_yield]
    backchannels = [reaction for overlap, reaction in in_time if not overlap.should_yield]
    stopped_s = (reaction.silent_s for reaction in bids if reaction.yielded)
    figures = (
        milliseconds("silence_ms", "a bid for the floor: voice to silence", stopped_s),
        milliseconds("ducked_ms", "any voice: to a quieter voice", (r.ducked_s for r in reactions)),
        proportion("missed", "bids missed (not silent within 3 s)", (not r.yielded for r in bids)),
        proportion("wrongly_yielded", "backchannels yielded to", (r.yielded for r in backchannels)),
        milliseconds(
            "resume_ms",
            "a backchannel: full voice again, from its onset",
            (reaction.resumed_s for reaction in backchannels),
        ),
        proportion(
            "early", "stopped before the voice began, for a sound not labelled", (r.early for r in reactions)
        ),
    )
    return Variant(name, "heard through the real conversation, steady voice", names, figures=figures)


def voice_reaction(heard: Pcm, onset_s: float) -> VoiceReaction:
    """Read the steady voice: `heard` is everything from time zero at 24 kHz."""
    cells = np.abs(heard[: len(heard) // _CELL * _CELL].astype(np.int32)).reshape(-1, _CELL)
    gain = cells.max(axis=1) / TONE
    spoken = np.flatnonzero(gain > 0)
    if not len(spoken):
        return VoiceReaction(-onset_s, None, None)
    stopped_s = _first_gap_s(gain, int(spoken[0]))
    silent_s = None if stopped_s is None else stopped_s - onset_s
    after = gain[round(onset_s / _CELL_S) :]
    if silent_s is not None:
        after = after[: max(round(silent_s / _CELL_S), 0)]
    quiet = np.flatnonzero(after < _FULL)
    if not len(quiet):
        return VoiceReaction(silent_s, None, None)
    resumed_s = None
    if silent_s is None:
        # Each quiet cell with the next one: the first distance long enough is full voice again.
        long = np.flatnonzero(np.diff(np.append(quiet, len(after))) > _FULL_FOR_S / _CELL_S)
        resumed_s = (int(quiet[long[0]]) + 1) * _CELL_S if len(long) else None
    return VoiceReaction(silent_s, int(quiet[0]) * _CELL_S, resumed_s)


def _first_gap_s(gain: npt.NDArray[np.float64], first: int) -> float | None:
    """When the first silence of some length began."""
    needed = round(_GAP_S / _CELL_S)
    run = 0
    for cell in range(first, len(gain)):
        run = run + 1 if gain[cell] == 0 else 0
        if run == needed:
            return (cell - needed + 1) * _CELL_S
    return None
