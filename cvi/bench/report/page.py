"""The page of one or more runs: one HTML file with style and charts in it, and its figures as JSON.

Charts are inline SVG, drawn by matplotlib. Text stays text, and every colour is a variable of the page's
style sheet, so that a chart follows light and dark mode. They are drawn about as wide as a phone's screen
and scaled up where there is more room.
"""

from __future__ import annotations

import io
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvi.bench.report.analysis import (
    BenchAnalysis,
    RunAnalysis,
    VariantFigure,
    analyse,
    as_data,
    between,
    headline,
    key_numbers,
    number,
    signed,
    verdict_words,
    with_unit,
)
from cvi.bench.report.timeline import turn_timelines
from cvi.bench.run import Run, Variant
from cvi.bench.statistics import SeriesVerdict
from cvi.errors import MissingError
from cvi.files import write_json, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT_NAME = "report.html"
_FEWEST_FOR_A_CURVE = 5
# Runs whose variants did the same tasks; elsewhere they are sizes or settings, not competitors.
_COMPETITIONS = frozenset({"latency", "ab", "turns", "barge-in"})


def write_report(runs: Sequence[tuple[Path, Run]], page: Path) -> tuple[Path, Path]:
    """Write the page of `runs` (folders and records, one at least) and its JSON beside it.

    Returns both paths. Raises CviError when they cannot be written, MissingError without the packages of the
    extra `bench`.
    """
    analysis = analyse(runs)
    data = page.with_suffix(".json")
    write_text(page, render(analysis))
    write_json(data, as_data(analysis))
    return page, data


def report_line(folder: Path, run: Run) -> str:
    """Write a run's page into its folder. Returns a line that says where it is, or what is missing."""
    try:
        page, _ = write_report([(folder, run)], folder / REPORT_NAME)
    except MissingError as error:
        return f"No report page: {error}"
    return f"Report  {page}"


def render(analysis: BenchAnalysis) -> str:
    """The whole document. Raises MissingError without jinja2 or matplotlib."""
    try:
        import matplotlib  # noqa: F401 - for the charts
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        remedy = "pip install 'cvi-local[bench]'"
        raise MissingError(f"A report's page needs {error.name}.", remedy) from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for show in (number, signed, between, with_unit, verdict_words):
        environment.filters[show.__name__] = show
    here = files("cvi.bench.report")
    template = environment.from_string(here.joinpath("page.html").read_text(encoding="utf-8"))
    page = template.render(
        analysis=analysis,
        style=here.joinpath("style.css").read_text(encoding="utf-8"),
        series_chart=soak_series,
        headline=headline,
        key_numbers=key_numbers,
        measured=measured_section,
        playout=playout_section,
        timelines=turn_timelines,
        outcomes=_outcomes,
        about=_about,
        is_competition=lambda run: run.kind in _COMPETITIONS,
    )
    return page.lstrip()


def measured_section(analysis: RunAnalysis) -> dict[str, Any]:
    """Every figure measured from outside: the curves, and the figures that are samples, shares and single
    numbers; `protocols` where they were measured in different ways."""
    rows = analysis.measured()
    samples = [row for row in rows if any(f.data.share is None and not f.data.single for f in row)]
    figures = [figure for row in rows for figure in row]
    protocols = {f.data.figure.label: f.data.figure.protocol for f in figures if f.data.figure.protocol}
    return {
        "any": bool(rows),
        "curves": [cumulative(row) for row in samples if _enough(row)],
        "samples": [figure for row in samples for figure in row],
        "shares": [f for row in rows if any(f.data.share for f in row) for f in row],
        "singles": [f for row in rows if all(f.data.single for f in row) for f in row],
        "protocols": protocols if len(set(protocols.values())) > 1 else {},
    }


def playout_section(analysis: RunAnalysis) -> dict[str, Any]:
    """How frames and sound came: the variants that showed any, their charts, and all gaps in the sound."""
    shown = [v.variant for v in analysis.variants if v.variant.playout.frames or v.variant.playout.gaps]
    drawn = []
    timed = [variant for variant in shown if variant.playout.lateness_ms]
    fps = next((variant.playout.fps for variant in timed if variant.playout.fps), 0.0)
    if fps:
        lateness = [variant.playout.lateness_ms for variant in timed]
        drawn.append(tail([variant.name for variant in timed], lateness, 1000 / fps, "a frame’s time"))
    sync = [(v.name, [(p.at_s, p.offset_ms) for p in v.playout.sync]) for v in shown if v.playout.sync]
    if sync:
        says = "Picture after sound, in ms, over the session."
        drawn.append(scatter(sync, says, "minutes; picture after sound, ms"))
    gaps = [(variant.name, gap) for variant in shown for gap in variant.playout.gaps]
    return {"variants": shown, "charts": drawn, "gaps": gaps}


def _enough(row: Sequence[VariantFigure]) -> bool:
    return all(figure.data.summary.n >= _FEWEST_FOR_A_CURVE for figure in row)


def _outcomes(variant: Variant) -> str:
    counts = Counter(turn.outcome for turn in variant.turns)
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.most_common())


def _about(run: Run) -> Iterator[tuple[str, str]]:
    """What the run was made with and on: names and values. The home folder's name is left out."""
    cost = run.own_cost
    pairs: list[tuple[str, Any]] = [
        ("command", shlex.join(run.command).replace(str(Path.home()), "~")),
        ("began", run.began),
        ("took", f"{run.duration_s / 60:.1f} min"),
        (
            "measuring took",
            f"{cost.probe_cpu_s:.1f} s of processor time in {cost.wall_s:.0f} s, "
            f"{100 * cost.share:.1f} % of the process’s"
            if cost.wall_s
            else "",
        ),
        ("options", run.options),
        *((v.name, " · ".join(filter(None, (v.about, _shown(v.engines))))) for v in run.variants),
        ("files", run.files),
        *((key.replace("_", " "), value) for key, value in run.fingerprint.items()),
    ]
    return ((name, text) for name, value in pairs if (text := _shown(value)))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        kept = {key: inner for key, inner in value.items() if inner not in (None, "", False)}
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in kept.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


# Each stands in the drawing for the variable of the style sheet that it becomes in the page.
_INK, _SOFT, _HAIR, _PAPER, _BAD = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIANTS = tuple(f"#1000{place:02d}" for place in range(5))
_VARIABLES = {_INK: "ink", _SOFT: "soft", _HAIR: "hair", _PAPER: "paper", _BAD: "bad"} | {
    colour: f"variant-{place}" for place, colour in enumerate(_VARIANTS)
}
_DASHES = ("-", (0, (6, 3)), (0, (2, 3)), (0, (9, 3, 2, 3)), (0, (12, 3)))
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cvi",
    "font.size": 9,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _SOFT,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "grid.color": _HAIR,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "ytick.left": False,
    "text.color": _INK,
    "legend.frameon": False,
    "legend.labelcolor": _SOFT,
    "path.simplify": True,
}
_WIDE, _LOW, _SMALL = (4.7, 2.9), (4.7, 2.3), (3.6, 1.8)
# Where a curve's axis ends: at this much of P95, when the largest value lies more than twice as far out.
_FAR, _MUCH_FARTHER = 1.5, 2.0
_LEAST_SHARE = 1e-4
# Medians nearer to each other than this (shares of the width) are written in rows.
_NEAR = 0.14
# A median beyond it is written before its dot.
_RIGHTMOST = 0.8
_SUPERFLUOUS = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", re.DOTALL)
_number = count()


def cumulative(figures: Sequence[VariantFigure]) -> str:
    """The share of values up to x, a curve a variant, with P50, P90, P95 and their intervals on it."""
    figure = figures[0].data.figure
    values = [value for one in figures for value in one.data.figure.values]
    medians = "; ".join(f"{one.variant}: median {number(one.data.summary.p50.value)}" for one in figures)
    says = f"{figure.label}, cumulative distribution. {medians} {figure.unit}."
    axes = _axes(_WIDE)
    for one in figures:
        colour, summary = _colour(one.place), one.data.summary
        axes.ecdf(one.data.figure.values, color=colour, ls=_dash(one.place), lw=1.6, label=one.variant)
        for share, found in ((0.5, summary.p50), (0.9, summary.p90), (0.95, summary.p95)):
            axes.hlines(share, found.low, found.high, color=colour, lw=4, alpha=0.3)
            axes.plot(found.value, share, "o", color=colour, ms=5, clip_on=False)
    end = _far_enough(figures)
    axes.set_xlim(min(0.0, *values) if figure.unit == "ms" else min(values), end)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 0.9, 1], ["0", "25", "50", "75", "90", "100 %"])
    _write_medians(axes, figures)
    if end is not None:
        farther = f"{sum(value > end for value in values)} farther out"
        axes.text(0.99, 0.03, farther, transform=axes.transAxes, ha="right", color=_SOFT, size=9)
    return _svg(axes, says, f"{figure.label}, {figure.unit}" if figure.unit else figure.label, len(figures))


def tail(names: Sequence[str], values: Sequence[Sequence[float]], limit: float, limit_name: str) -> str:
    """The share of values above x, on a logarithmic axis down to one in ten thousand; `limit` is marked."""
    says = f"Share of frames handed over later than so many ms. The line marks {limit_name}."
    axes = _axes(_LOW)
    for place, (name, one) in enumerate(zip(names, values, strict=True)):
        ordered = np.sort(np.asarray(one))
        above = 1 - np.arange(1, len(ordered) + 1) / len(ordered)
        shown = above >= _LEAST_SHARE
        axes.step(
            ordered[shown], above[shown], where="post", color=_colour(place), ls=_dash(place), label=name
        )
    axes.axvline(limit, color=_INK, lw=0.8, ls=":")
    axes.text(limit, 1.2, f" {limit_name}", color=_SOFT, va="bottom", size=9)
    axes.set_yscale("log")
    axes.set_ylim(_LEAST_SHARE, 1)
    axes.set_yticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["0.01", "0.1", "1", "10", "100 %"])
    axes.minorticks_off()
    axes.set_xlim(left=0)
    return _svg(axes, says, "handed over later than, ms", len(names))


def scatter(points: Sequence[tuple[str, Sequence[tuple[float, float]]]], says: str, x_title: str) -> str:
    """Values over time: for each variant its (seconds, value)."""
    axes = _axes(_LOW)
    for place, (name, one) in enumerate(points):
        minutes, values = np.asarray(one).T
        axes.plot(minutes / 60, values, "o", color=_colour(place), ms=3, label=name)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0), max(high, 0))
    return _svg(axes, says, x_title, len(points))


def soak_series(found: SeriesVerdict) -> str:
    """A series of a soak: the warm-up shaded, the trend after it drawn.

    The axis does not begin at zero, where a leak of a few per cent would look flat, but spans at least 4 %
    of the level, so that noise does not look like a slope.
    """
    trend, unit = found.trend, found.watched.unit
    at_min, values = np.array(found.at_s) / 60, np.array(found.values)
    says = f"{found.watched.label} over {number(at_min.max())} minutes: {verdict_words(found)}."
    axes = _axes(_SMALL)
    axes.axvspan(0, found.warm_up_s / 60, color=_HAIR, lw=0)
    axes.plot(at_min, values, ".-", color=_VARIANTS[0], lw=1.3, ms=4)
    if trend is not None:
        ends = np.array([trend.since_s, max(found.at_s)])
        line = trend.level + trend.slope * (ends - ends.mean()) / 3600
        colour = _BAD if trend.verdict == "growing" else _INK
        axes.plot(ends / 60, line, color=colour, lw=1.2, ls=(0, (5, 4)))
    low, high = values.min(), values.max()
    room = max((high - low) * 0.25, 0.04 * abs(high), 0.5 if unit else 2.0)
    axes.set_ylim(max(0.0, low - room) if low >= 0 else low - room, high + room)
    axes.set_xlim(left=0)
    return _svg(axes, says, f"minutes{f'; {unit}' if unit else ''}", 1)


def _style() -> AbstractContextManager[None]:
    """How matplotlib draws meanwhile."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def _axes(size: tuple[float, float]) -> Axes:
    with _style():
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=size, layout="constrained")
        axes = canvas.subplots()
        numbers: Any = lambda value, _: number(round(value, 9))  # noqa: E731
        axes.xaxis.set_major_formatter(numbers)
        axes.yaxis.set_major_formatter(numbers)
    for surface in (canvas.patch, axes.patch):
        surface.set_alpha(0)
    return axes


def _svg(axes: Axes, says: str, x_title: str, variants: int) -> str:
    """What was drawn as an element of a page, with ids of its own and the style sheet's colours.

    `says` describes it for those who do not see it.
    """
    drawn = io.StringIO()
    with _style():
        axes.set_xlabel(x_title, loc="left")
        if variants > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, borderpad=0)
        canvas = axes.get_figure(root=True)
        assert canvas is not None
        canvas.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    svg = _SUPERFLUOUS.sub("", drawn.getvalue())
    view_box = re.search(r'viewBox="[^"]*"', svg)
    assert view_box is not None
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>chart-{next(_number)}-", body)
    body = re.sub(r"#[01]\d{5}", lambda m: f"var(--{_VARIABLES.get(m[0], 'soft')})", body)
    return f'<svg {view_box[0]} class="chart" role="img" aria-label="{escape(says)}">{body}'


def _colour(place: int) -> str:
    return _VARIANTS[place] if place < len(_VARIANTS) else _SOFT


def _dash(place: int) -> Any:
    return _DASHES[place] if place < len(_DASHES) else "-"


def _write_medians(axes: Axes, figures: Sequence[VariantFigure]) -> None:
    """Each median beside its dot; where they come close, one below the other."""
    left, right = axes.get_xlim()
    before, row = -1.0, 0
    for one in sorted(figures, key=lambda one: one.data.summary.p50.value):
        median = one.data.summary.p50.value
        at = (median - left) / (right - left)
        row = row + 1 if at - before < _NEAR else 0
        before = at
        side = -1 if at > _RIGHTMOST else 1
        axes.annotate(
            number(median),
            (median, 0.5),
            (6 * side, -10 - 10 * row),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            color=_colour(one.place),
            weight="bold",
            size=9,
        )


def _far_enough(figures: Sequence[VariantFigure]) -> float | None:
    """Where the axis ends when the largest value would squeeze all the others, else None."""
    most = max(one.data.summary.most for one in figures)
    usual = _FAR * max(one.data.summary.p95.value for one in figures)
    return usual if 0 < usual < most / _MUCH_FARTHER else None
