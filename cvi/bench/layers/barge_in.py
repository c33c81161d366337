"""`cvi bench barge-in`: what the persona does when somebody speaks over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cvi.bench.layers.engines import Listeners
from cvi.bench.layers.holding import hold
from cvi.bench.layers.keeping import shares
from cvi.bench.layers.yielding import Reaction, reaction
from cvi.bench.recordings.labels import Overlap
from cvi.bench.run import Figure, Variant
from cvi.turns.thresholds import TurnThresholds

YIELDS_WITHIN_S = 3.0
FIT_YIELD_AFTER_S = (0.3, 0.5, 0.6, 0.8)


@dataclass(frozen=True, slots=True)
class Reacted:
    overlap: Overlap
    reaction: Reaction

    @property
    def early(self) -> bool:
        """The persona stopped for a sound that the labels do not know, before the voice began."""
        return self.reaction.silent_s is not None and self.reaction.silent_s < 0

    @property
    def yielded(self) -> bool:
        silent_s = self.reaction.silent_s
        return silent_s is not None and 0 <= silent_s <= YIELDS_WITHIN_S


async def react(
    overlaps: Sequence[Overlap], ears: Listeners, thresholds: TurnThresholds, progress: Callable[[str], None]
) -> list[Reacted]:
    """Let the persona talk through every overlap. Runs on a `SimulatedLoop`."""
    told = replace(ears, settings=replace(ears.settings, thresholds=thresholds))
    found: list[Reacted] = []
    for overlap in overlaps:
        held = await hold(overlap.sound(), told, monologue=True)
        found.append(Reacted(overlap, reaction(held.heard, overlap.onset_s)))
        progress(overlap.id)
    return found


def barge_in_variant(found: Sequence[Reacted], names: dict[str, str], name: str = "cvi") -> Variant:
    """Protocol 3's figures, all read from the waveform that was heard."""
    bids = [one for one in found if one.overlap.should_yield and not one.early]
    listens = [one for one in found if not one.overlap.should_yield and not one.early]
    figures = (
        Figure(
            "silence_ms",
            "a bid for the floor: voice to silence",
            "ms",
            tuple(1000 * _there(one.reaction.silent_s) for one in bids if one.yielded),
        ),
        Figure(
            "ducked_ms",
            "any voice: to a quieter voice",
            "ms",
            tuple(1000 * _there(r.ducked_s) for one in found if (r := one.reaction).ducked_s is not None),
        ),
        shares("missed", "bids missed (not silent within 3 s)", (not one.yielded for one in bids)),
        shares("wrongly_yielded", "signs of listening wrongly yielded to", (one.yielded for one in listens)),
        Figure(
            "resume_ms",
            "a sign of listening: full voice again, from its onset",
            "ms",
            tuple(1000 * _there(r.resumed_s) for one in listens if (r := one.reaction).resumed_s is not None),
        ),
        shares(
            "early", "stopped before the voice began, for a sound not labelled", (one.early for one in found)
        ),
    )
    return Variant(name, "heard through the real conversation, steady voice", names, figures=figures)


def _there(value: float | None) -> float:
    assert value is not None
    return value
