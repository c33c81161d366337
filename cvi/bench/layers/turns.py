"""`cvi bench turns`: false cuts against delay on labelled turns, and moments told in dialogues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from cvi.bench.layers.engines import Listeners
from cvi.bench.layers.floor import (
    ARMS,
    LABELS,
    Decision,
    area_under_curve,
    decisions,
    operating_points,
    shipped,
    swept,
    told,
)
from cvi.bench.layers.holding import hold
from cvi.bench.layers.keeping import shares
from cvi.bench.layers.listening import HeardPause, listen
from cvi.bench.layers.windows import Score, joined, score
from cvi.bench.recordings.labels import Dialogue, LabelledTurn
from cvi.bench.run import Figure, Variant
from cvi.bench.statistics import Interval
from cvi.conversation.events import BargeIn, TurnCommitted
from cvi.turns.thresholds import TurnThresholds

# A timeout in plain systems; what silence alone is shown at beside its sweep.
PLAIN_SILENCE_S = 0.8
POINTS = (
    ("cuts_at_300", "best of the sweep: false cuts at a mean delay of 300 ms", "%", 100.0),
    ("cuts_at_600", "best of the sweep: false cuts at a mean delay of 600 ms", "%", 100.0),
    ("delay_at_5", "best of the sweep: mean delay at 5 % false cuts", "ms", 1000.0),
    ("delay_at_10", "best of the sweep: mean delay at 10 % false cuts", "ms", 1000.0),
)
_SWEEP = "eot-bench's sweep of policies, chosen and measured on the same decisions."
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Heard:
    """All decisions of protocol 1, and the pauses that were heard where the labels have speech."""

    decisions: list[Decision]
    astray: list[HeardPause]

    def as_data(self) -> dict[str, object]:
        """For the file beside the record."""
        return {
            "decisions": [asdict(decision) for decision in self.decisions],
            "astray": [asdict(pause) for pause in self.astray],
        }


async def hear_turns(turns: Sequence[LabelledTurn], ears: Listeners, progress: Progress) -> Heard:
    """Feed every labelled turn to the ears. Runs on a `SimulatedLoop`."""
    heard = Heard([], [])
    for turn in turns:
        found, astray = decisions(turn, await listen(turn.sound(), ears))
        heard.decisions.extend(found)
        heard.astray.extend(astray)
        progress(turn.id)
    return heard


def turn_variants(heard: Heard, thresholds: TurnThresholds, names: dict[str, str]) -> list[Variant]:
    """A side for silence alone, one for ours, and with a turn model one for each use of it. The swept points
    have 95 % intervals, of recordings drawn anew."""
    arms = ARMS if names.get("turns", "none") != "none" else ("silence", "words")
    return [_variant(arm, heard, thresholds, names) for arm in arms]


def _variant(arm: str, heard: Heard, thresholds: TurnThresholds, names: dict[str, str]) -> Variant:
    if arm == "silence":
        fire = swept(arm, 1.0, 0.0, PLAIN_SILENCE_S)
    else:
        fire = shipped(arm, thresholds)
    results = [told(decision, fire) for decision in heard.decisions]
    ends = [result.after_s for result in results if result.decision.is_end]
    cuts = [result.after_s is not None for result in results if not result.decision.is_end]
    figures = [
        shares("false_cut", "false cuts as the program is set", cuts),
        Figure(
            "end_delay_ms",
            "delay as the program is set",
            "ms",
            tuple(1000 * t for t in ends if t is not None),
        ),
        shares("end_missed", "ends not told within 4 s", (t is None for t in ends)),
    ]
    if arm != "silence":
        pure = [
            told(d, shipped(arm, thresholds, computing=False)).after_s for d in heard.decisions if d.is_end
        ]
        figures.append(
            Figure(
                "decision_delay_ms",
                "delay were computing free",
                "ms",
                tuple(1000 * t for t in pure if t is not None),
            )
        )
        figures += _computing(arm, heard)
    astray = (_fires(pause, fire) for pause in heard.astray)
    figures.append(shares("cut_in_speech", "the floor given away within labelled speech", astray))
    own = names if arm != "silence" else {"vad": names["vad"]}
    return Variant(arm, LABELS[arm], own, figures=(*figures, *_points(arm, heard)))


def _fires(pause: HeardPause, fire: Callable[[HeardPause], float | None]) -> bool:
    at_s = fire(pause)
    return at_s is not None and (pause.resumed_s is None or at_s < pause.resumed_s)


def _computing(arm: str, heard: Heard) -> list[Figure]:
    """How long judging took after the pause was known, and how long the pause took to be known."""
    pauses = [pause for decision in heard.decisions for pause in decision.pauses]
    known = tuple(1000 * (p.known_s - p.speech_end_s) for p in pauses)
    words = tuple(1000 * (p.words_s - p.known_s) for p in pauses if p.words_s is not None)
    voice = tuple(1000 * (p.voice_s - p.known_s) for p in pauses if p.voice_s is not None)
    figures = [Figure("known_ms", "a pause is known, after speech ended", "ms", known)]
    if arm != "voice":
        figures.append(Figure("judge_ms", "computing: transcript and its judge", "ms", words))
    if arm != "words":
        figures.append(Figure("voice_ms", "computing: turn model", "ms", voice))
    return figures


def _points(arm: str, heard: Heard) -> list[Figure]:
    points = operating_points(heard.decisions, arm)
    figures: list[Figure] = []
    for name, label, unit, scale in POINTS:
        found: Interval | None = getattr(points, name)
        value = () if found is None else (found.value * scale,)
        interval = None if found is None else (found.low * scale, found.high * scale)
        figures.append(Figure(name, label, unit, value, protocol=_SWEEP, interval=interval))
    area = None if arm == "silence" else area_under_curve(heard.decisions, arm)
    if area is not None:
        figures.append(Figure("auc", "area under the curve", "", (area,), lower_is_better=False))
    return figures


async def tell_dialogues(
    dialogues: Sequence[Dialogue], ears: Listeners, progress: Progress
) -> tuple[Score, Score]:
    """Protocol 2 with the real conversation on each speaker: turn ends, and the floor being taken."""
    ends: list[Score] = []
    takes: list[Score] = []
    for dialogue in dialogues:
        for speaker, events in enumerate(dialogue.speakers):
            pcm = dialogue.sound(speaker)
            if events.turn_ends or events.holds:
                held = await hold(pcm, ears, monologue=False)
                ends.append(
                    score(held.times(TurnCommitted), events.turn_ends, events.holds)
                )
            if events.takes or events.backchannels:
                held = await hold(pcm, ears, monologue=True)
                takes.append(
                    score(held.times(BargeIn), events.takes, events.backchannels)
                )
        progress(dialogue.id)
    return joined(ends), joined(takes)


def dialogue_variant(ends: Score, takes: Score, names: dict[str, str]) -> Variant:
    """Protocol 2's figures."""
    figures = [
        figure
        for what, label, found in (("end", "turn ends", ends), ("take", "floor taken", takes))
        for figure in (
            shares(
                f"{what}_found",
                f"{label}: found, -0.25 to +3 s",
                [True] * len(found.delays_s) + [False] * found.missed,
                lower=False,
            ),
            Figure(f"{what}_delay_ms", f"{label}: delay", "ms", tuple(1000 * d for d in found.delays_s)),
            shares(
                f"{what}_false",
                f"{label}: told where there was none",
                [True] * found.false_spans + [False] * found.true_spans,
            ),
        )
    ]
    return Variant(
        "dialogues", "each speaker's own channel, the real conversation", names, figures=tuple(figures)
    )
