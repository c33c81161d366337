"""The page of one or more runs, as one HTML file with style and charts in it, and its figures as JSON."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from cvi.bench.report import charts, wording
from cvi.bench.report.analysis import Analysis, RunAnalysis, VariantFigure, analyse, as_data
from cvi.bench.report.timeline import turn_timelines
from cvi.bench.run import Run, Variant
from cvi.errors import MissingError
from cvi.files import write_json, write_text

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


def render(analysis: Analysis) -> str:
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
    for name in ("number", "signed", "between", "with_unit", "verdict_words"):
        environment.filters[name] = getattr(wording, name)
    here = files("cvi.bench.report")
    template = environment.from_string(here.joinpath("page.html").read_text(encoding="utf-8"))
    page = template.render(
        analysis=analysis,
        style=here.joinpath("style.css").read_text(encoding="utf-8"),
        series_chart=charts.soak_series,
        headline=wording.headline,
        key_numbers=wording.key_numbers,
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
        "curves": [charts.cumulative(row) for row in samples if _enough(row)],
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
        drawn.append(charts.tail([variant.name for variant in timed], lateness, 1000 / fps, "a frame’s time"))
    sync = [(v.name, [(p.at_s, p.offset_ms) for p in v.playout.sync]) for v in shown if v.playout.sync]
    if sync:
        says = "Picture after sound, in ms, over the session."
        drawn.append(charts.scatter(sync, says, "minutes; picture after sound, ms"))
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
