"""Two runs compared: what is faster, by how much, and whether that is more than chance.

Every ratio is of medians, B to A, with a bootstrapped 95 % interval; a difference is called real when
the interval does not hold 1. Where both runs met the same tasks, the tasks are paired. Proportions are
compared by their difference, whose interval must not hold 0. What a route to the system adds is a difference
of percentiles, paired turn by turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from cvi.bench.run import (
    SHARE,
    TRANSPORTS,
    Figure,
    Run,
    TurnRecord,
    Variant,
    account_figures,
    measured_figures,
    name_over,
    values_by_task,
)
from cvi.bench.run_store import differences
from cvi.bench.statistics import (
    Comparison,
    Interval,
    ShareComparison,
    compare,
    compare_intervals,
    compare_pairs,
    compare_shares,
    percentile_difference,
)
from cvi.errors import UsageError

QUANTITIES = {"first_audio_ms": "first sound", "first_frame_ms": "first moving mouth"}
Finding = Literal["better", "worse", "no difference shown", "too few to tell"]
# Both hold answers to a caller, measured the same way.
_ANSWERING = frozenset({"latency", "ab"})
# Of the smaller variant's tasks this share must be met by both for them to be paired.
_PAIRED_SHARE = 0.8
# Fewer pairs than this, and nothing is said of what a route adds.
_FEWEST_PAIRS = 4
# Options that say where, not what.
_IMMATERIAL = frozenset({"output", "json", "folder"})


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both variants. `finding` is B's, seen from A; `paired`: the same tasks were compared."""

    variant_a: Annotated[str, Field(alias="side_a")]
    variant_b: Annotated[str, Field(alias="side_b")]
    name: str
    label: str
    unit: str
    paired: bool
    comparison: Comparison | ShareComparison
    finding: Finding


@dataclass(frozen=True, slots=True)
class RunComparison:
    """`warnings` are sentences: what else differs between the runs and could be the cause."""

    kind: str
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]


def compare_runs(a: Run, b: Run, variants: tuple[str, str] | None = None) -> RunComparison:
    """B against A. `variants` names one of each; else those of equal name, else the first of each.

    Raises UsageError for runs that measured different things, or have no figure in common.
    """
    if a.kind != b.kind and not {a.kind, b.kind} <= _ANSWERING:
        raise UsageError(
            f"A is a run of '{a.kind}' and B of '{b.kind}': their figures mean different things.",
            "Compare runs of the same kind.",
        )
    rows = [row for pair in _pairs(a, b, variants) for row in compare_variants(*pair)]
    if not rows:
        raise UsageError("These runs have no figure in common.", "See what each holds: cvi bench report.")
    return RunComparison(a.kind, tuple(rows), tuple(_warnings(a, b)))


def compare_variants(a: Variant, b: Variant) -> Iterator[Row]:
    """Every figure that both variants have, measured ones first."""
    of_b = {figure.name: figure for figure in (*measured_figures(b), *account_figures(b))}
    for figure in (*measured_figures(a), *account_figures(a)):
        other = of_b.get(figure.name)
        if other is None or other.unit != figure.unit:
            continue
        found, paired = _compared(a, b, figure, other)
        if found is not None:
            yield Row(
                a.name, b.name, figure.name, figure.label, figure.unit, paired, found, _finding(found, figure)
            )


def ratio_to_cascade(run: Run, quantity: str = "first_audio_ms") -> Comparison | None:
    """Ours against the baseline's, turn by turn where both answered; None without a baseline."""
    ours, plain = run.variant("cvi"), run.variant("cascade")
    if ours is None or plain is None:
        return None
    left, right = _answers(plain.turns, quantity), _answers(ours.turns, quantity)
    both = [(left[key], right[key]) for key in left if key in right]
    return compare_pairs(both) if both else compare(list(left.values()), list(right.values()))


@dataclass(frozen=True, slots=True)
class AddedDelay:
    """How much later answers came over one route than over another, or with perception than without, ms, of
    `n` turns met on both.

    `turn` is the median of the turns' own differences; `p50` and `p95` are differences of percentiles. All
    with their 95 % intervals, bootstrapped over pairs."""

    variant: str
    plain: str
    label: str
    n: int
    turn: Interval
    p50: Interval
    p95: Interval


def added_delays(run: Run) -> list[AddedDelay]:
    """Every variant over another route beside the same over the first one, and ours beside itself without
    perception, quantity by quantity."""
    found: list[AddedDelay] = []
    for plain, other in _more_of_the_same(run):
        for name, label in QUANTITIES.items():
            a, b = values_by_task(plain, name) or {}, values_by_task(other, name) or {}
            pairs = [(a[key], b[key]) for key in sorted(a.keys() & b.keys())]
            if len(pairs) < _FEWEST_PAIRS:
                continue
            turn = percentile_difference([(0.0, after - before) for before, after in pairs], 50)
            p50, p95 = percentile_difference(pairs, 50), percentile_difference(pairs, 95)
            found.append(AddedDelay(other.name, plain.name, label, len(pairs), turn, p50, p95))
    return found


def _more_of_the_same(run: Run) -> Iterator[tuple[Variant, Variant]]:
    for plain in run.variants:
        for transport in TRANSPORTS:
            if (other := run.variant(name_over(plain.name, transport))) is not None:
                yield plain, other
    ours, unseen = run.variant("cvi"), run.variant("unseen")
    if ours is not None and unseen is not None:
        yield unseen, ours


def _answers(turns: Iterable[TurnRecord], quantity: str) -> dict[str, float]:
    return {turn.id: value for turn in turns if (value := getattr(turn, quantity)) is not None}


def _compared(
    a: Variant, b: Variant, left: Figure, right: Figure
) -> tuple[Comparison | ShareComparison | None, bool]:
    if left.unit == SHARE:
        hits_a, hits_b = round(sum(left.values)), round(sum(right.values))
        return compare_shares(hits_a, len(left.values), hits_b, len(right.values)), False
    if left.interval is not None and right.interval is not None and left.values and right.values:
        known = (Interval(one.values[0], *one.interval) for one in (left, right) if one.interval is not None)
        return compare_intervals(*known) or compare(left.values, right.values), False
    of_a, of_b = values_by_task(a, left.name), values_by_task(b, left.name)
    if of_a and of_b:
        shared = sorted(of_a.keys() & of_b.keys())
        if len(shared) >= max(2, _PAIRED_SHARE * min(len(of_a), len(of_b))):
            return compare_pairs([(of_a[key], of_b[key]) for key in shared]), True
    return compare(left.values, right.values), False


def _finding(comparison: Comparison | ShareComparison, figure: Figure) -> Finding:
    if not comparison.real:
        few = isinstance(comparison, Comparison) and not comparison.enough
        return "too few to tell" if few else "no difference shown"
    return "better" if (comparison.difference.value < 0) == figure.lower_is_better else "worse"


def _pairs(a: Run, b: Run, variants: tuple[str, str] | None) -> list[tuple[Variant, Variant]]:
    if variants is not None:
        return [(_variant(a, "A", variants[0]), _variant(b, "B", variants[1]))]
    if not a.variants or not b.variants:
        raise UsageError("A run without a variant cannot be compared.", "Measure again.")
    shared = [(variant, other) for variant in a.variants if (other := b.variant(variant.name)) is not None]
    return shared or [(a.variants[0], b.variants[0])]


def _variant(run: Run, which: str, name: str) -> Variant:
    found = run.variant(name)
    if found is None:
        known = ", ".join(variant.name for variant in run.variants)
        raise UsageError(f"{which} has no variant '{name}'.", f"It has: {known or 'none'}.")
    return found


def _warnings(a: Run, b: Run) -> Iterator[str]:
    if differ := differences(a.fingerprint, b.fingerprint):
        yield f"The machines or versions differ ({'; '.join(differ)})."
    options = sorted((a.options.keys() | b.options.keys()) - _IMMATERIAL)
    changed = [
        f"{key}: {a.options.get(key)} / {b.options.get(key)}"
        for key in options
        if a.options.get(key) != b.options.get(key)
    ]
    if changed:
        yield f"The options differ ({'; '.join(changed)})."
    for which, run in (("A", a), ("B", b)):
        if not run.agrees:
            yield f"In {which} the program's own account does not agree with what was measured."
