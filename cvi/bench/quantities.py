"""What a run measured, as named lists of values: the one place that knows where each figure lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from cvi.bench.run import BargeInRecord, Figure, TurnRecord, Variant

MEASURED = (
    ("first_audio_ms", "speech end to first sound"),
    ("first_frame_ms", "speech end to first moving mouth"),
)
ACCOUNT = (
    ("floor", "the floor passed"),
    ("transcript", "final transcript"),
    ("first_token", "first word written"),
    ("first_clause", "first clause written"),
    ("first_speech", "first clause spoken (gated)"),
    ("first_audio", "first sound"),
    ("first_frame", "first moving mouth"),
)
BARGE_IN = (
    ("silence_ms", "barge-in to silence"),
    ("mouth_at_rest_ms", "barge-in to mouth at rest"),
)
_Task = TypeVar("_Task", TurnRecord, BargeInRecord)
_AT_THE_EAR = "From the waveforms and pictures recorded outside the program."


def measured(variant: Variant) -> tuple[Figure, ...]:
    """What was measured from outside: answers, interruptions, and what else the run counted."""
    found = [
        Figure(name, label, "ms", values, protocol=_AT_THE_EAR)
        for name, label in MEASURED
        if (values := tuple(_present(_turn_values(variant, name))))
    ]
    for name, label in BARGE_IN:
        values = tuple(value for cut in variant.barge_ins if (value := getattr(cut, name)) is not None)
        if values:
            found.append(Figure(name, label, "ms", values, protocol=_AT_THE_EAR))
    named = {figure.name for figure in found}
    return (*found, *(figure for figure in variant.figures if figure.name not in named and figure.values))


def account(variant: Variant) -> tuple[Figure, ...]:
    """The program's own account of its answers; empty for a system that keeps none."""
    return tuple(
        Figure(f"journal.{key}", label, "ms", values, protocol="From the program's own journal.")
        for key, label in ACCOUNT
        if (values := tuple(v for turn in variant.turns if (v := turn.journal.get(key)) is not None))
    )


def tasks(variant: Variant, name: str) -> dict[tuple[str, int], float] | None:
    """One value a task, keyed by its name and how often it was met before, so that the same task on two
    sides can be paired. None for figures that belong to no task."""
    if any(name == known for known, _ in MEASURED):
        return _numbered(variant.turns, lambda turn: getattr(turn, name))
    if any(name == known for known, _ in BARGE_IN):
        return _numbered(variant.barge_ins, lambda cut: getattr(cut, name))
    if name.startswith("journal."):
        key = name.removeprefix("journal.")
        return _numbered(variant.turns, lambda turn: turn.journal.get(key))
    return None


def _turn_values(variant: Variant, name: str) -> list[float | None]:
    return [getattr(turn, name) for turn in variant.turns]


def _present(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _numbered(
    records: Sequence[_Task], value: Callable[[_Task], float | None]
) -> dict[tuple[str, int], float]:
    met: Counter[str] = Counter()
    found: dict[tuple[str, int], float] = {}
    for record in records:
        key = (record.id, met[record.id])
        met[record.id] += 1
        if (there := value(record)) is not None:
            found[key] = there
    return found
