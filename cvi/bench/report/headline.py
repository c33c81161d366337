"""What a run found, in one sentence and a few large numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cvi.bench.report.analysis import RunAnalysis, Summarized
from cvi.bench.report.axis import number, signed
from cvi.bench.report.courses import verdict_words
from cvi.bench.report.tables import between
from cvi.bench.soak.series import SeriesVerdict, growing_series
from cvi.bench.statistics import Comparison


@dataclass(frozen=True, slots=True)
class Tile:
    """A large number. `tone`: "" or "good" or "bad"."""

    name: str
    value: str
    beside: str = ""
    tone: str = ""


def headline(analysis: RunAnalysis) -> str:
    """One sentence."""
    run = analysis.run
    if run.kind == "soak":
        return _soak_headline(analysis)
    main = analysis.main
    answers = main.of("first_audio_ms") if main else None
    if main is not None and answers is not None:
        who = "the replies" if main.variant.name == "cvi" else f"the replies of {main.variant.name}"
        median = number(answers.summary.p50.value)
        return f"Half of {who} are heard within {median} ms of the caller’s last sound."
    first = main.measured[0] if main is not None and main.measured else None
    if first is not None:
        value = f"{number(first.middle.value)} {first.unit}".strip()
        who = ""
        if main is not None and len(analysis.variants) > 1:
            who = f" ({main.variant.about if run.kind == 'turns' else main.variant.name})"
        how = "" if first.share or first.single else " at the median"
        return f"{_capital(first.figure.label.replace(': ', ', '))}: {value}{how}{who}."
    return f"A run of {run.kind} without a figure."


def tiles(analysis: RunAnalysis) -> list[Tile]:
    """At most six."""
    return list(_tiles(analysis))[:6]


def _tiles(analysis: RunAnalysis) -> Iterator[Tile]:
    if analysis.run.kind == "soak":
        yield from map(_course_tile, analysis.courses)
        return
    main = analysis.main
    if main is None:
        return
    shown = [one for name in ("first_audio_ms", "first_frame_ms") if (one := main.of(name)) is not None]
    for one in shown or main.measured[:3]:
        yield from _figure_tiles(one)
    for row in analysis.against:
        if row.name == "first_audio_ms" and isinstance(row.comparison, Comparison):
            ratio = row.comparison.ratio
            tone = {"better": "good", "worse": "bad"}.get(row.finding, "")
            yield Tile(f"of {row.variant_a}’s time", f"{ratio.value:.2f} ×", between(ratio, 2), tone)
    playout = main.variant.playout
    if playout.frames:
        late = playout.late + playout.dropped
        share = 100 * late / (playout.frames + playout.dropped)
        yield Tile("frames late or dropped", f"{number(share)} %", f"{late:,} of {playout.frames:,}")
        gaps = len(playout.gaps)
        yield Tile("gaps in the sound", str(gaps), tone="bad" if gaps else "good")
    if analysis.run.agreement:
        agrees = analysis.run.agrees
        yield Tile("journal and ear", "agree" if agrees else "differ", tone="good" if agrees else "bad")


def _course_tile(course: SeriesVerdict) -> Tile:
    trend, unit = course.trend, course.watched.unit
    if trend is None:
        return Tile(course.watched.label.lower(), "–", "too short")
    tone = {"flat": "good", "not growing": "good", "growing": "bad"}.get(trend.verdict, "")
    slope = f"{signed(trend.slope)} {unit}".strip()
    beside = verdict_words(course) if trend.verdict == "levelled" else f"{slope} an hour"
    return Tile(course.watched.label.lower(), f"{number(trend.level)} {unit}".strip(), beside, tone)


def _figure_tiles(one: Summarized) -> Iterator[Tile]:
    unit = f" {one.unit}" if one.unit else ""
    if one.share or one.single:
        beside = between(one.middle) if one.share or one.figure.interval else ""
        yield Tile(_short(one), f"{number(one.middle.value)}{unit}", beside)
        return
    for name, found in (("P50", one.summary.p50), ("P95", one.summary.p95)):
        yield Tile(f"{_short(one)}, {name}", f"{number(found.value)}{unit}", between(found))


def _short(one: Summarized) -> str:
    return {"first_audio_ms": "first sound", "first_frame_ms": "moving mouth"}.get(
        one.figure.name, one.figure.label
    )


def _soak_headline(analysis: RunAnalysis) -> str:
    growing = growing_series(analysis.courses)
    minutes = number(round(analysis.run.duration_s / 60, 1))
    levelled = [c for c in analysis.courses if c.trend is not None and c.trend.verdict == "levelled"]
    undecided = [c for c in analysis.courses if c.trend is None or c.trend.verdict == "undecided"]
    if growing:
        names = _listed([course.watched.label.lower() for course in growing])
        return f"In {minutes} minutes, this grew: {names}."
    if undecided and len(undecided) == len(analysis.courses):
        return f"{minutes} minutes are too short to tell whether anything grows."
    said = [f"{course.watched.label.lower()} {verdict_words(course)}" for course in levelled]
    if undecided:
        names = _listed([course.watched.label.lower() for course in undecided])
        return f"In {minutes} minutes nothing was seen to grow; {'; '.join([*said, f'undecided: {names}'])}."
    if said:
        return f"In {minutes} minutes nothing went on growing; {_listed(said)}."
    return f"In {minutes} minutes nothing grew."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
