"""What is said of runs: computed once, for the page and for its JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cvi.bench.compare import Row, RunComparison, compare_runs, compare_variants
from cvi.bench.run import SHARE, Figure, Run, Variant, account_figures, measured_figures
from cvi.bench.run_store import RUN_NAME, as_json
from cvi.bench.soak.trend import SeriesVerdict, judge_series
from cvi.bench.statistics import Interval, Summary, share, summarize
from cvi.errors import UsageError

# The variants of `cvi bench turns` that are the program's own, the fullest first.
_OWN = ("both", "words")


@dataclass(frozen=True, slots=True)
class Summarized:
    """A figure and its percentiles; for ones and zeros also the `share` of ones, 0..1, with its interval."""

    figure: Figure
    summary: Summary
    share: Interval | None = None

    @property
    def single(self) -> bool:
        """One number, not a sample of something."""
        return self.share is None and self.summary.n == 1

    @property
    def middle(self) -> Interval:
        """What stands for it: the share in per cent, the one number, or the median; with its interval."""
        if self.share is not None:
            return Interval(100 * self.share.value, 100 * self.share.low, 100 * self.share.high)
        if self.single and self.figure.interval is not None:
            return Interval(self.figure.values[0], *self.figure.interval)
        return self.summary.p50

    @property
    def unit(self) -> str:
        """The unit of `middle`."""
        return "%" if self.share is not None else self.figure.unit


@dataclass(frozen=True, slots=True)
class VariantFigure:
    """A figure of the variant number `place` of its run."""

    place: int
    variant: str
    data: Summarized


@dataclass(frozen=True, slots=True)
class VariantAnalysis:
    """The figures `measured` from outside, and those of the program's own `account`."""

    variant: Variant
    measured: tuple[Summarized, ...]
    account: tuple[Summarized, ...]

    def of(self, name: str) -> Summarized | None:
        """The figure of that name; None where the variant has none."""
        found = (one for one in (*self.measured, *self.account) if one.figure.name == name)
        return next(found, None)


@dataclass(frozen=True, slots=True)
class RunAnalysis:
    """`main` is the variant that the run is about, `against` its comparison with each other one (B is the
    main one). `series` are those of a soak."""

    name: str
    run: Run
    variants: tuple[VariantAnalysis, ...]
    main: VariantAnalysis | None
    against: tuple[Row, ...]
    series: tuple[SeriesVerdict, ...]

    def measured(self) -> list[list[VariantFigure]]:
        """Each figure measured from outside, for the variants that have it."""
        names = dict.fromkeys(one.figure.name for variant in self.variants for one in variant.measured)
        return [self._figures(name) for name in names]

    def account(self) -> list[VariantFigure]:
        """The figures of the program's own account, variants together."""
        names = dict.fromkeys(one.figure.name for variant in self.variants for one in variant.account)
        return [figure for name in names for figure in self._figures(name)]

    def _figures(self, name: str) -> list[VariantFigure]:
        return [
            VariantFigure(place, variant.variant.name, data)
            for place, variant in enumerate(self.variants)
            if (data := variant.of(name)) is not None
        ]


@dataclass(frozen=True, slots=True)
class Analysis:
    """`between`: every later run against the first, with the run's name; those that cannot be compared are
    left out."""

    runs: tuple[RunAnalysis, ...]
    between: tuple[tuple[str, RunComparison], ...]


def analyse(runs: Sequence[tuple[Path, Run]]) -> Analysis:
    """Analyse runs, given with their folders, one at least."""
    found = tuple(_analyse_run(_name(place), run) for place, run in runs)
    between: list[tuple[str, RunComparison]] = []
    for other in found[1:]:
        try:
            between.append((other.name, compare_runs(found[0].run, other.run)))
        except UsageError:
            continue
    return Analysis(found, tuple(between))


def as_data(analysis: Analysis) -> dict[str, Any]:
    """For JSON: everything the page shows but the single turns, which stand in the runs' own records."""
    return {
        "runs": [_run_data(run) for run in analysis.runs],
        "comparisons": [
            {"a": analysis.runs[0].name, "b": name, "rows": _rows(c.rows), "warnings": list(c.warnings)}
            for name, c in analysis.between
        ],
    }


def _analyse_run(name: str, run: Run) -> RunAnalysis:
    variants = tuple(
        VariantAnalysis(one, _summarized(measured_figures(one)), _summarized(account_figures(one)))
        for one in run.variants
    )
    own = next((v for name in _OWN for v in variants if v.variant.name == name), None)
    main = own or next(iter(variants), None)
    others = (other for other in variants if other is not main)
    against = tuple(row for other in others if main for row in compare_variants(other.variant, main.variant))
    return RunAnalysis(name, run, variants, main, against, tuple(judge_series(run.series, run.duration_s)))


def _summarized(figures: Sequence[Figure]) -> tuple[Summarized, ...]:
    return tuple(
        Summarized(figure, summary, _share(figure))
        for figure in figures
        if (summary := summarize(figure.values)) is not None
    )


def _share(figure: Figure) -> Interval | None:
    return share(round(sum(figure.values)), len(figure.values)) if figure.unit == SHARE else None


def _name(place: Path) -> str:
    folder = place.parent if place.name == RUN_NAME else place
    return folder.resolve().name


def _run_data(analysis: RunAnalysis) -> dict[str, Any]:
    run = analysis.run
    return {
        "name": analysis.name,
        "kind": run.kind,
        "command": list(run.command),
        "began": run.began,
        "duration_s": run.duration_s,
        "fingerprint": run.fingerprint,
        "options": run.options,
        "notes": list(run.notes),
        "sides": [_variant_data(variant) for variant in analysis.variants],
        "ratios": _rows(analysis.against),
        "agreement": [as_json(check) for check in run.agreement],
        "own_cost": {**asdict(run.own_cost), "share": run.own_cost.share},
        "trends": [
            {
                "name": one.watched.name,
                "unit": one.watched.unit,
                "warm_up_s": one.warm_up_s,
                "points": [list(point) for point in zip(one.at_s, one.values, strict=True)],
                "trend_per_hour": asdict(one.trend) if one.trend else None,
            }
            for one in analysis.series
        ],
    }


def _variant_data(analysis: VariantAnalysis) -> dict[str, Any]:
    playout = asdict(analysis.variant.playout)
    for long in ("lateness_ms", "sync"):
        playout.pop(long)
    return {
        "name": analysis.variant.name,
        "about": analysis.variant.about,
        "engines": analysis.variant.engines,
        "outcomes": Counter(turn.outcome for turn in analysis.variant.turns),
        "figures": [_figure_data(one) for one in (*analysis.measured, *analysis.account)],
        "playout": playout,
    }


def _figure_data(one: Summarized) -> dict[str, Any]:
    figure = one.figure
    return {
        "name": figure.name,
        "label": figure.label,
        "unit": figure.unit,
        "lower_is_better": figure.lower_is_better,
        "protocol": figure.protocol,
        **({"n": one.summary.n, "share": asdict(one.share)} if one.share else asdict(one.summary)),
        **({"interval": list(figure.interval)} if figure.interval else {}),
    }


def _rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{**as_json(row), "real": row.comparison.real} for row in rows]
