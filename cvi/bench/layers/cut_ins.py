"""How often a turn with pauses is cut into, and how soon it is answered, by the real conversation.

Each labelled turn is a conversation of its own in simulated time. A stand-in for the language model answers
after a given time, because what is heard of a floor that passed too early depends on it: a model that needs
half a second takes back in silence what a faster one would have said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cvi.bench.layers.measurement import ListeningEngines, milliseconds, proportion
from cvi.bench.layers.simulation import converse
from cvi.bench.recordings.labelled_recordings import LabelledTurn
from cvi.bench.run import Figure, Variant
from cvi.conversation.events import DraftStarted, Event, ReplyFirstAudio, ReplyOpener, TurnCommitted

SHORTEST_HESITATION_S = 0.25
"""A turn counts as hesitating from such a pause on."""


@dataclass(frozen=True, slots=True)
class AnsweredTurn:
    """`commits` and `heard` are the times after the beginning of the recording at which the floor passed and
    the persona began to be heard before the turn was over; `response_s` is from its end to the first sound
    after it, None where there was none. `opened` where that sound is an opener."""

    id: str
    commits: tuple[float, ...]
    heard: tuple[float, ...]
    response_s: float | None
    opened: bool = False
    drafts: int = 0


def hesitating(turns: Sequence[LabelledTurn]) -> list[LabelledTurn]:
    """The turns that have an end and a pause before it."""
    return [
        turn
        for turn in turns
        if any(silence.is_end for silence in turn.silences)
        and any((s.end_s or s.start_s) - s.start_s >= SHORTEST_HESITATION_S for s in turn.silences)
    ]


async def answer_turns(
    turns: Sequence[LabelledTurn],
    engines: ListeningEngines,
    answer_s: float,
    progress: Callable[[str], None] = lambda name: None,
) -> list[AnsweredTurn]:
    """Let the persona answer every turn; its answers need `answer_s` to their first words. Runs on a
    `SimulatedLoop`. What is said is recognized at pauses alone, which changes no decision."""
    thresholds = replace(engines.settings.thresholds, partial_every_s=float("inf"))
    engines = replace(engines, settings=replace(engines.settings, thresholds=thresholds))
    answered = []
    for turn in turns:
        conversation = await converse(turn.sound(), engines, monologue=False, answer_s=answer_s)
        answered.append(answered_turn(turn, conversation.events))
        progress(turn.id)
    return answered


def answered_turn(turn: LabelledTurn, events: Sequence[Event]) -> AnsweredTurn:
    """What the journal says of one turn; its labels say when it was over."""
    end_s = max(silence.start_s for silence in turn.silences if silence.is_end)
    commits = [event.t for event in events if isinstance(event, TurnCommitted)]
    sounds = [event for event in events if isinstance(event, ReplyFirstAudio)]
    first = next((event for event in sounds if event.at_s >= end_s), None)
    openers = {event.reply for event in events if isinstance(event, ReplyOpener)}
    return AnsweredTurn(
        turn.id,
        tuple(t for t in commits if t < end_s),
        tuple(event.at_s for event in sounds if event.at_s < end_s),
        None if first is None else first.at_s - end_s,
        first is not None and first.reply in openers,
        sum(isinstance(event, DraftStarted) for event in events),
    )


def cut_in_variant(answered: Sequence[AnsweredTurn], answer_s: float, names: dict[str, str]) -> Variant:
    """The figures."""
    figures: tuple[Figure, ...] = (
        proportion(
            "cut_in_heard",
            "hesitating turns cut in on: the persona was heard",
            (bool(a.heard) for a in answered),
        ),
        proportion(
            "cut_in_silent",
            "the floor passed in a pause, nothing was heard",
            (bool(a.commits) and not a.heard for a in answered),
        ),
        milliseconds("response_ms", "the turn's end to the first sound", (a.response_s for a in answered)),
        proportion("opened", "that sound is an opener", (a.opened for a in answered)),
        proportion("unanswered", "turns without an answer", (a.response_s is None for a in answered)),
        Figure("drafts", "drafts a turn", "", tuple(float(a.drafts) for a in answered)),
    )
    return Variant(
        f"answers after {answer_s:g} s",
        "hesitating turns in the real conversation; answers need so long to their first words",
        names,
        figures=figures,
    )
