"""What a run found, in words: how numbers are written, verdicts, a headline and up to six large numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cvi.bench.report.analysis import RunAnalysis, Summarized
from cvi.bench.soak.trend import SeriesVerdict, growing_series
from cvi.bench.statistics import Comparison, Interval

_TONES = {"better": "good", "worse": "bad", "flat": "good", "not growing": "good", "growing": "bad"}
_SHORT_LABELS = {"first_audio_ms": "first sound", "first_frame_ms": "moving mouth"}


def number(value: float) -> str:
    """A value with as many digits as mean something: 0.042, 4.2, 612, 1,388, −3."""
    if value < 0:
        return f"−{number(-value)}"
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}".removesuffix(".0")
    if value >= 1:
        return f"{value:.2f}".rstrip("0").removesuffix(".")
    return f"{value:.2g}"


def signed(value: float) -> str:
    """A difference with its sign, +3 or −3; 0 has none."""
    return f"+{number(value)}" if value > 0 else number(value)


def with_unit(value: float, unit: str) -> str:
    """`number` and the unit: "612 ms"; without a space where there is no unit."""
    return f"{number(value)} {unit}".strip()


def between(interval: Interval, digits: int | None = None) -> str:
    """The bounds of an interval: "498–621", "−3 to 4"; with a fixed number of decimals where given."""
    if digits is not None:
        return f"{interval.low:.{digits}f}–{interval.high:.{digits}f}"
    return f"{number(interval.low)}{'–' if interval.low >= 0 else ' to '}{number(interval.high)}"


def verdict_words(one: SeriesVerdict) -> str:
    """A soak series' verdict: "flat", "rose by 70 MiB, then level", "undecided: a longer run can tell"."""
    trend = one.trend
    if trend is None:
        return "too short"
    if trend.verdict == "levelled":
        return f"rose by {with_unit(trend.rise, one.watched.unit)}, then level"
    return "undecided: a longer run can tell" if trend.verdict == "undecided" else trend.verdict


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """A large number under the headline. `tone` is "good", "bad" or ""."""

    name: str
    value: str
    detail: str = ""
    tone: str = ""


def headline(analysis: RunAnalysis) -> str:
    """What the run found, in one sentence."""
    run, main = analysis.run, analysis.main
    if run.kind == "soak":
        return _soak_headline(analysis)
    answers = main.of("first_audio_ms") if main else None
    if main is not None and answers is not None:
        whose = "the replies" if main.variant.name == "cvi" else f"the replies of {main.variant.name}"
        median = number(answers.summary.p50.value)
        return f"Half of {whose} are heard within {median} ms of the caller’s last sound."
    first = main.measured[0] if main is not None and main.measured else None
    if main is None or first is None:
        return f"A run of {run.kind} without a figure."
    label = first.figure.label.replace(": ", ", ")
    whose = ""
    if len(analysis.variants) > 1:
        whose = f" ({main.variant.about if run.kind == 'turns' else main.variant.name})"
    how = "" if first.share or first.single else " at the median"
    return f"{label[:1].upper()}{label[1:]}: {with_unit(first.middle.value, first.unit)}{how}{whose}."


def key_numbers(analysis: RunAnalysis) -> list[KeyNumber]:
    """At most six large numbers: answers and what they are compared with, or each series of a soak."""
    if analysis.run.kind == "soak":
        return [_series_number(one) for one in analysis.series][:6]
    return list(_measured_numbers(analysis))[:6]


def _measured_numbers(analysis: RunAnalysis) -> Iterator[KeyNumber]:
    main = analysis.main
    if main is None:
        return
    shown = [one for name in _SHORT_LABELS if (one := main.of(name)) is not None]
    for one in shown or main.measured[:3]:
        yield from _figure_numbers(one)
    for row in analysis.against:
        if row.name == "first_audio_ms" and isinstance(row.comparison, Comparison):
            ratio, tone = row.comparison.ratio, _TONES.get(row.finding, "")
            yield KeyNumber(f"of {row.variant_a}’s time", f"{ratio.value:.2f} ×", between(ratio, 2), tone)
    playout = main.variant.playout
    if playout.frames:
        late = playout.late + playout.dropped
        share = 100 * late / (playout.frames + playout.dropped)
        yield KeyNumber("frames late or dropped", f"{number(share)} %", f"{late:,} of {playout.frames:,}")
        gaps = len(playout.gaps)
        yield KeyNumber("gaps in the sound", str(gaps), tone="bad" if gaps else "good")
    if analysis.run.agreement:
        value, tone = ("agree", "good") if analysis.run.agrees else ("differ", "bad")
        yield KeyNumber("journal and waveform", value, tone=tone)


def _figure_numbers(one: Summarized) -> Iterator[KeyNumber]:
    label = _SHORT_LABELS.get(one.figure.name, one.figure.label)
    if one.share or one.single:
        detail = between(one.middle) if one.share or one.figure.interval else ""
        yield KeyNumber(label, with_unit(one.middle.value, one.unit), detail)
        return
    for name, found in (("P50", one.summary.p50), ("P95", one.summary.p95)):
        yield KeyNumber(f"{label}, {name}", with_unit(found.value, one.unit), between(found))


def _series_number(one: SeriesVerdict) -> KeyNumber:
    trend, unit, label = one.trend, one.watched.unit, one.watched.label.lower()
    if trend is None:
        return KeyNumber(label, "–", "too short")
    slope = f"{signed(trend.slope)} {unit}".strip()
    detail = verdict_words(one) if trend.verdict == "levelled" else f"{slope} an hour"
    return KeyNumber(label, with_unit(trend.level, unit), detail, _TONES.get(trend.verdict, ""))


def _soak_headline(analysis: RunAnalysis) -> str:
    minutes = number(round(analysis.run.duration_s / 60, 1))
    if growing := growing_series(analysis.series):
        return f"In {minutes} minutes, this grew: {_listed(growing)}."
    undecided = [c for c in analysis.series if c.trend is None or c.trend.verdict == "undecided"]
    if undecided and len(undecided) == len(analysis.series):
        return f"{minutes} minutes are too short to tell whether anything grows."
    levelled = [
        f"{one.watched.label.lower()} {verdict_words(one)}"
        for one in analysis.series
        if one.trend is not None and one.trend.verdict == "levelled"
    ]
    if undecided:
        findings = "; ".join([*levelled, f"undecided: {_listed(undecided)}"])
        return f"In {minutes} minutes nothing was seen to grow; {findings}."
    if levelled:
        return f"In {minutes} minutes nothing went on growing; {_joined(levelled)}."
    return f"In {minutes} minutes nothing grew."


def _listed(all_series: list[SeriesVerdict]) -> str:
    return _joined([one.watched.label.lower() for one in all_series])


def _joined(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
